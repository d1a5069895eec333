"""The numbers of steps as a history tells them, with what is uncertain in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from wfsim.errors import DefinitionError, UsageError
from wfsim.files.document import read_document
from wfsim.history.attempts import PastRuns
from wfsim.history.fits import (
    CANDIDATES,
    Fit,
    Observed,
    empirical,
    fitted,
    given,
    would_complete,
)
from wfsim.history.read import read_history
from wfsim.model.distributions import stats
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow
from wfsim.report.text import write
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.scenario import Scenario
from wfsim.study.estimates import check_confidence
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd

    from wfsim.history.load import Load
    from wfsim.history.validation import Validation

_NORMAL = NormalDist()


def calibrate(
    history: Any,
    *,
    candidates: Sequence[str] = CANDIDATES,
    confidence: float = 0.95,
    waiting: Literal["apart", "included"] = "apart",
    failed: Literal["left out", "observed", "censored"] = "left out",
    resumed: Literal["observed", "left out"] = "observed",
    **reading: Any,
) -> Calibration:
    """Return durations and failure probabilities of the steps that *history* tells of.

    *history* is what `read_history` takes, *reading* its further arguments.  Each of
    *candidates* is fitted by maximum likelihood, with attempts of which nobody saw the
    end as censored; of those that are no further from the durations than chance explains
    the one of the least AIC is chosen.  Where there is none the durations are taken as
    they were, if ``empirical`` is a candidate.  *confidence* is that of intervals.

    *waiting* says whether waiting for something else is part of a duration.  *failed*
    says what the duration of a failed attempt is: ignored (``left out``), one like any
    other, or a lower bound for what success would have taken.  Where failed attempts are
    left out, so is the same share of the censored ones: else slow attempts would be
    over-represented.  *resumed* is about attempts that follow one
    that was cut short by a crash: a step that finds half of its work done takes less
    time, and is no example of what it takes from its start.  An attempt that ran into
    its limit of time is censored, and no failure: the limit is part of the flow, and
    fails it again.

    Raises `DefinitionError` for a history that cannot be read, `UsageError` for
    arguments that make no sense.
    """
    _check(candidates, confidence, waiting=waiting, failed=failed, resumed=resumed)
    choices = Choices(waiting, failed, resumed)
    runs: PastRuns = read_history(history, **reading)
    return Calibration(
        (
            _estimate(*name, group, sample, candidates)
            for name, group, sample in _samples(runs, choices)
        ),
        confidence,
        choices,
        runs,
    )


class Choices(NamedTuple):
    """What counts as a duration; see `calibrate`."""

    waiting: str = "apart"
    failed: str = "left out"
    resumed: str = "observed"


def _samples(
    runs: PastRuns, choices: Choices
) -> Iterator[tuple[tuple[str, str], pd.DataFrame, Observed]]:
    """Yield (flow, step), the attempts and the durations of each step of *past*."""
    attempts = runs.attempts.reset_index(drop=True)
    if attempts.empty:
        raise DefinitionError(
            f"{runs.source or 'history'}:1: tells of no attempt; give one in which a "
            "step has begun"
        )
    before = attempts.groupby(["case", "step"], sort=False)["status"].shift()
    timed = (before != "crashed") | (choices.resumed == "observed")
    for (flow, step), group in attempts.groupby(["flow", "step"], sort=False):
        part = group[timed[group.index]]
        sample = _sample(part, choices.waiting, choices.failed)
        yield (str(flow), str(step)), group, sample


_CHOICES = {
    "waiting": ("apart", "included"),
    "failed": ("left out", "observed", "censored"),
    "resumed": ("observed", "left out"),
}


def _check(candidates: Sequence[str], confidence: float, **choices: str) -> None:
    for name in candidates:
        if name not in CANDIDATES:
            raise UsageError(f"candidates: unknown {name!r}{suggest(name, CANDIDATES)}")
    for name, value in choices.items():
        if value not in _CHOICES[name]:
            known = suggest(str(value), _CHOICES[name])
            raise UsageError(f"{name}: unknown {value!r}{known}")
    check_confidence(confidence)


def _sample(group: pd.DataFrame, waiting: str, failed: str) -> Observed:
    status = group["status"]
    times = group["duration"] + (group["waited"] if waiting == "included" else 0.0)
    like = ("completed", "failed") if failed == "observed" else ("completed",)
    seen = status.isin(like) & times.notna()
    cut = group["censored"] | ((status == "failed") & (failed == "censored"))
    # That something took longer than no time says nothing.
    cut &= times > 0.0
    ends, open_ends = sorted(times[seen].tolist()), sorted(times[cut].tolist())
    if failed == "left out":
        lost = times[(status == "failed") & times.notna()]
        open_ends = would_complete(ends, sorted(lost.tolist()), open_ends)
    return Observed(tuple(ends), tuple(open_ends))


def _failures(group: pd.DataFrame) -> tuple[int, int]:
    """Return how many attempts failed, and how many completed or failed."""
    failures = int((group["status"] == "failed").sum())
    return failures, failures + int((group["status"] == "completed").sum())


def _estimate(
    flow: str,
    step: str,
    group: pd.DataFrame,
    sample: Observed,
    candidates: Sequence[str],
) -> Estimate:
    failures, tried = _failures(group)
    fits = fitted(sample, candidates)
    return Estimate(
        flow,
        step,
        attempts=len(group),
        tried=tried,
        failures=failures,
        censored=int(group["censored"].sum()),
        waited=float(group["waited"].mean()),
        sample=sample,
        fits=fits,
        chosen=fits[0] if fits else None,
        failure=failures / tried if tried else 0.0,
    )


class Estimate(NamedTuple):
    """What is known of one step: how often it was tried, how it ended, how long it took.

    *tried* counts the attempts that completed or failed.  *fits* are the candidates, the
    best first; *chosen* is the one that is used, None if no attempt ever completed that
    is known to have begun.
    """

    flow: str
    step: str
    attempts: int
    tried: int
    failures: int
    censored: int
    waited: float
    sample: Observed
    fits: tuple[Fit, ...]
    chosen: Fit | None
    failure: float

    @property
    def lack(self) -> str:
        """Why there is no distribution."""
        completed = self.tried > self.failures
        return "of unknown duration" if completed else "never completed"


class Calibration:
    """Durations and failure probabilities of steps, with their uncertainty.

    What `wfsim.calibrate` returns.  A step is named ``step``, or ``(flow, step)`` where
    several flows have one of that name.
    """

    def __init__(
        self,
        estimates: Iterable[Estimate],
        confidence: float = 0.95,
        choices: Choices | None = None,
        runs: PastRuns | None = None,
    ) -> None:
        self.estimates = tuple(estimates)
        self.confidence = confidence
        self.choices = choices or Choices()
        self.past = runs

    def __repr__(self) -> str:
        chosen = ", ".join(
            f"{item.step} {item.chosen.name if item.chosen else item.lack}"
            for item in self.estimates
        )
        attempts = sum(item.attempts for item in self.estimates)
        return f"<Calibration from {attempts:,} attempts: {chosen}>"

    @property
    def frame(self) -> pd.DataFrame:
        """One row per flow and step, in the order of the history.

        ================ ======= =====================================================
        ``flow``         text
        ``step``         text
        ``attempts``     int64   all of them
        ``failures``     int64   of those that completed or failed
        ``censored``     int64   of which nobody saw the end
        ``waited``       float64 seconds that an attempt waited, on average
        ``failure``      float64 the probability that an attempt fails
        ``failure_low``  float64 its interval, Wilson's
        ``failure_high`` float64
        ``chosen``       text    the distribution; empty if no attempt completed
        ``p1``, ``p2``   float64 its parameters, as `Duration` has them; NaN if there
                                 is none, or it was not fitted
        ``p1_low``, ...  float64 their intervals
        ``mean``         float64 seconds
        ``p95``          float64 seconds
        ``aic``          float64 the smaller, the better
        ``ks``           float64 distance from the sample, from 0 to 1
        ``doubtful``     bool    whether that is more than chance explains, at 5 %
        ================ ======= =====================================================
        """
        import pandas as pd

        return pd.DataFrame([self._row(item) for item in self.estimates])

    def text(self) -> str:
        """Return the frame in short, as lines for a console."""
        rows = [("step", "failure", "duration", "p95", "KS", "")]
        several = len({item.flow for item in self.estimates}) > 1
        for row in self.frame.itertuples(index=False):
            item: Any = row
            known = self.estimate((item.flow, item.step))
            fit = known.chosen
            duration = str(fit.duration) if fit else known.lack
            p95, ks = (f"{item.p95:.1f} s", f"{item.ks:.3f}") if fit else ("", "")
            doubt = "doubtful" if item.doubtful else ""
            name = f"{item.flow}: {item.step}" if several else item.step
            rows.append((name, f"{item.failure:.1%}", duration, p95, ks, doubt))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    @property
    def candidates(self) -> pd.DataFrame:
        """One row per step and candidate, the best first.

        ``flow``, ``step``, ``candidate``, ``duration`` (text), ``aic``, ``ks`` (float64)
        and ``chosen`` (bool).
        """
        import pandas as pd

        rows = [
            (
                *_name(item),
                fit.name,
                str(fit.duration),
                fit.aic,
                fit.ks,
                fit == item.chosen,
            )
            for item in self.estimates
            for fit in item.fits
        ]
        names = ["flow", "step", "candidate", "duration", "aic", "ks", "chosen"]
        return pd.DataFrame(rows, columns=names)

    @property
    def durations(self) -> dict[str, Duration]:
        """How long each step takes; without those that never completed."""
        return {
            item.step: item.chosen.duration
            for item in self._of_one_flow()
            if item.chosen is not None
        }

    @property
    def failures(self) -> dict[str, float]:
        """The probability that an attempt of each step fails."""
        return {item.step: item.failure for item in self._of_one_flow()}

    def of(self, flow: str) -> Calibration:
        """Return the part that is about *flow*; raise `UsageError` if there is none."""
        part = [item for item in self.estimates if item.flow == flow]
        if not part:
            flows = {item.flow for item in self.estimates}
            raise UsageError(f"no flow {flow!r}{suggest(flow, flows)}")
        return self._with(part)

    def estimate(self, step: str | tuple[str, str]) -> Estimate:
        """Return what is known of *step*; raise `UsageError` if nothing is."""
        estimates = [item for item in self.estimates if step in (item.step, _name(item))]
        if len(estimates) > 1:
            flows = ", ".join(repr(item.flow) for item in estimates)
            raise UsageError(f"step {step!r} is in the flows {flows}; give (flow, step)")
        if not estimates:
            steps = {item.step for item in self.estimates}
            raise UsageError(f"no step {step!r}{suggest(str(step), steps)}")
        return estimates[0]

    def choose(self, step: str | tuple[str, str], distribution: Any) -> Calibration:
        """Return this with another *distribution* for *step*.

        It is the name of a candidate, ``"empirical"``, or whatever `Duration.parse`
        reads, of which no uncertainty is known then.
        """
        item = self.estimate(step)
        if distribution == "empirical":
            fit = empirical(item.sample)
        elif isinstance(distribution, str):
            named = {fit.name: fit for fit in item.fits}
            if distribution not in named:
                text = f"step {item.step!r} was not fitted with {distribution!r}"
                raise UsageError(f"{text}{suggest(distribution, [*named, 'empirical'])}")
            fit = named[distribution]
        else:
            try:
                fit = given(item.sample, Duration.parse(distribution))
            except ValueError as error:
                raise UsageError(f"step {item.step!r}: {error}") from None
        return self._with(
            other._replace(chosen=fit) if other is item else other
            for other in self.estimates
        )

    def resampled(self, seed: int) -> Calibration:
        """Return this with numbers drawn from their uncertainty.

        Parameters come from the normal distribution of their estimates, failure
        probabilities from Jeffreys' posterior.  What was not fitted is drawn from the
        values that were seen, with replacement.  The draws are keyed by flow and step.
        """
        draws = KeyedDraws(seed)
        return self._with(_resampled(item, draws) for item in self.estimates)

    @property
    def load(self) -> Load:
        """How often runs arrive, how often processes crash, how many workers there are.

        Raises `UsageError` without a history, and for several logs, which have one
        clock each.
        """
        from wfsim.history.load import Load

        if self.past is None or self.past.logs > 1:
            logs = "no history" if self.past is None else f"{self.past.logs} logs"
            raise UsageError(f"load is of one history, and this was made from {logs}")
        return Load(self.past.attempts, self.confidence)

    def validate(self, history: Any, **reading: Any) -> Validation:
        """Return how well this forecasts *history*, a part that it was not made from.

        *history* is what `read_history` takes, such as the second part of
        `PastRuns.split`, *reading* its further arguments.  What counts as a duration is
        as in this calibration.  Raises `UsageError` if it tells of no step of this.

        >>> import wfsim
        >>> nap = wfsim.Flow("Nap", (wfsim.Step("A"),))
        >>> scenario = wfsim.Scenario.of_flow(nap, duration={"exponential": 9.0})
        >>> logs = [wfsim.simulate(scenario, seed=seed) for seed in range(60)]
        >>> first, second = wfsim.read_history(logs).split(0.5)
        >>> wfsim.calibrate(first).validate(second)
        <Validation of 1 step with 30 durations: 100.0% in their 95% interval; 0 doubtful>
        """
        from wfsim.history.validation import Trial, Validation

        known = {_name(item): item for item in self.estimates}
        trials, missing = [], []
        for name, group, sample in _samples(
            read_history(history, **reading), self.choices
        ):
            item = known.get(name)
            if item is None:
                missing.append(name)
                continue
            failures, tried = _failures(group)
            duration = item.chosen.duration if item.chosen else None
            counts = item.failures, item.tried
            trials.append(Trial(*name, sample, duration, failures, tried, *counts))
        if not trials:
            raise UsageError(
                f"the history tells of no step of this calibration, but of {missing[0]}"
            )
        return Validation(trials, missing, self.confidence)

    def quantiles(self, step: str | tuple[str, str]) -> pd.DataFrame:
        """Return what a Q-Q plot of *step* draws, one row per duration that was seen.

        ``share`` (of Kaplan and Meier's estimate, between its steps), ``observed``,
        ``fitted`` (seconds, float64), and ``low`` and ``high``: where the fitted
        distribution puts an observation of that rank with the probability ``confidence``.
        With censored attempts that is an approximation.
        """
        import pandas as pd

        item = self.estimate(step)
        columns = ["share", "observed", "fitted", "low", "high"]
        if item.chosen is None:
            return pd.DataFrame(columns=columns, dtype="float64")
        duration, size = item.chosen.duration, len(item.sample.seen + item.sample.cut)
        rank = stats().beta.ppf
        tail = (1.0 - self.confidence) / 2.0
        rows = []
        for share, observed in _positions(item.sample):
            sides = share * (size + 1), (1.0 - share) * (size + 1)
            ends = [duration.quantile(float(rank(q, *sides))) for q in (tail, 1 - tail)]
            rows.append((share, observed, duration.quantile(share), *ends))
        return pd.DataFrame(rows, columns=columns)

    def flow(self, file: str | Path | Flow) -> Flow:
        """Return the flow of *file* with the durations and failures of this.

        Steps that the history does not tell of keep their own.  Raises `UsageError` if
        it tells of none of them.
        """
        from wfsim.files.flow_loader import load_flow

        flow = file if isinstance(file, Flow) else load_flow(file)
        part = self.of(flow.name) if self._has(flow.name) else self
        durations, failures = part.durations, part.failures
        if not set(flow.names) & set(durations):
            raise UsageError(f"the history tells of no step of the flow {flow.name!r}")
        return replace(
            flow,
            steps=tuple(
                replace(
                    step,
                    duration=durations.get(step.name, step.duration),
                    failure=failures.get(step.name, step.failure),
                )
                for step in flow.steps
            ),
        )

    def scenario(self, file: str | Path | Flow, **more: Any) -> Scenario:
        """Return a scenario that runs the flow of *file* with these numbers.

        *more* is what `Scenario.of_flow` takes; its ``duration`` and ``failure`` are for
        steps of which neither the history nor the file tells.
        """
        return Scenario.of_flow(self.flow(file), **more)

    def to_yaml(self, path: str | Path, flow: str | Path | None = None) -> Path:
        """Write these numbers to *path*; return it.

        Without *flow* they are the section ``steps`` of a scenario file; with the path
        of a flow file, that flow with these numbers in its steps.
        """
        return written(self, Path(path), flow)

    def _has(self, flow: str) -> bool:
        return any(item.flow == flow for item in self.estimates)

    def _with(self, estimates: Iterable[Estimate]) -> Calibration:
        return Calibration(estimates, self.confidence, self.choices, self.past)

    def _of_one_flow(self) -> tuple[Estimate, ...]:
        seen: set[str] = set()
        for item in self.estimates:
            if item.step in seen:
                raise UsageError(
                    f"step {item.step!r} is in several flows; take one with of(flow)"
                )
            seen.add(item.step)
        return self.estimates

    def _row(self, item: Estimate) -> dict[str, Any]:
        fit = item.chosen
        interval = _proportion(item.failures, item.tried, self.confidence)
        row: dict[str, Any] = {
            "flow": item.flow,
            "step": item.step,
            "attempts": item.attempts,
            "failures": item.failures,
            "censored": item.censored,
            "waited": item.waited,
            "failure": item.failure,
            "failure_low": interval[0],
            "failure_high": interval[1],
            "chosen": fit.name if fit else "",
        }
        intervals = fit.interval(self.confidence) if fit else []
        for number in range(2):
            ends = intervals[number] if number < len(intervals) else (math.nan,) * 3
            for suffix, value in zip(("", "_low", "_high"), ends, strict=True):
                row[f"p{number + 1}{suffix}"] = value
        row["mean"] = fit.duration.mean if fit else math.nan
        row["p95"] = fit.duration.quantile(0.95) if fit else math.nan
        row["aic"], row["ks"] = (fit.aic, fit.ks) if fit else (math.nan, math.nan)
        row["doubtful"] = fit is not None and fit.doubtful
        return row


def _resampled(item: Estimate, draws: KeyedDraws) -> Estimate:
    def uniform(*purpose: str | int) -> float:
        drawn = draws.uniform("calibration", item.flow, item.step, *purpose)
        return max(drawn, 2.0**-54)

    fit = item.chosen
    if fit is not None and fit.spread:
        normals = [_NORMAL.inv_cdf(uniform("parameter", number)) for number in range(2)]
        fit = fit._replace(duration=fit.drawn(normals))
    elif fit is not None and fit.name == "empirical":
        values = fit.duration.params
        again = [
            fit.duration.draw(uniform("value", number)) for number in range(len(values))
        ]
        fit = fit._replace(duration=Duration.parse({"empirical": again}))
    failure = item.failure
    if item.tried:
        sides = item.failures + 0.5, item.tried - item.failures + 0.5
        failure = float(stats().beta.ppf(uniform("failure"), *sides))
    return item._replace(chosen=fit, failure=failure)


def _positions(sample: Observed) -> list[tuple[float, float]]:
    """Return (share, duration) for a Q-Q plot: each in the middle of its own step."""
    steps = sample.steps()
    positions, before = [], 0.0
    times = Counter(sample.seen)
    for value, share in zip(steps.quantiles, steps.probabilities, strict=True):
        # Those that took equally long share a step.
        count = times[float(value)]
        for rank in range(count):
            part = (rank + 0.5) / count
            positions.append((before + (float(share) - before) * part, float(value)))
        before = float(share)
    return positions


def _proportion(successes: int, of: int, confidence: float) -> tuple[float, float]:
    if not of:
        return math.nan, math.nan
    test = stats().binomtest(successes, of)
    low, high = test.proportion_ci(confidence_level=confidence, method="wilson")
    return float(low), float(high)


def _name(item: Estimate) -> tuple[str, str]:
    return (item.flow, item.step)


_YAML_DIGITS = 6


def written(calibration: Any, path: Path, flow: str | Path | None) -> Path:
    """Write *calibration* to *path*, into the steps of the file *flow* if it is given."""
    if flow is None:
        durations, failures = calibration.durations, calibration.failures
        steps = {name: _numbers(durations.get(name), failures[name]) for name in failures}
        return write(path, _text({"steps": steps}))
    return write(path, _text(_flow(calibration, flow)))


def _flow(calibration: Any, file: str | Path) -> Mapping[str, Any]:
    from wfsim.files.flow_loader import load_flow

    flow = calibration.flow(load_flow(file))
    of = {step.name: step for step in flow.steps}
    document: dict[str, Any] = read_document(file).data
    names = set()
    for item in document["steps"]:
        name = item.get("stepName") or str(item.get("className")).rpartition(".")[2]
        if name in of and name in calibration.failures:
            names.add(name)
            item |= _numbers(of[name].duration, of[name].failure or 0.0)
    if hidden := (set(of) & set(calibration.failures)) - names:
        raise UsageError(
            f"{file}: step {min(hidden)!r} comes from a group; leave out the flow, and "
            "put the section 'steps' into a scenario file"
        )
    return document


def _numbers(duration: Duration | None, failure: float) -> dict[str, Any]:
    numbers = {} if duration is None else {"duration": _rounded(duration.spec())}
    return {**numbers, "failure": _rounded(failure)}


def _rounded(value: Any) -> Any:
    """Return the plain *value* with its numbers to six digits."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{_YAML_DIGITS}g}") if isinstance(value, float) else value


def _text(content: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(
        dict(content), default_flow_style=None, sort_keys=False, width=10_000
    )
    return text
