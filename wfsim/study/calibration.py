"""The numbers of steps as a history tells them, with what is uncertain in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.model.distributions import stats
from wfsim.model.document import hint
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.scenario import Scenario
from wfsim.study.fits import Fit, Observed, empirical, given

if TYPE_CHECKING:
    import pandas as pd

_NORMAL = NormalDist()
_DOUBTFUL = {"lognormal": 0.9, "weibull": 0.9, "gamma": 0.93, "exponential": 1.1}
"""What a KS distance times the root of n exceeds by chance one time in twenty.

It is less for a distribution that was fitted to the same sample than Kolmogorov's 1.36.
Measured on 300 samples of 60; Lilliefors (1967, 1969) has 0.886 for the normal and 1.06
for the exponential distribution.
"""


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

    def __init__(self, estimates: Iterable[Estimate], confidence: float = 0.95) -> None:
        self.estimates = tuple(estimates)
        self.confidence = confidence

    def __repr__(self) -> str:
        told = ", ".join(
            f"{item.step} {item.chosen.name if item.chosen else item.lack}"
            for item in self.estimates
        )
        attempts = sum(item.attempts for item in self.estimates)
        return f"<Calibration from {attempts:,} attempts: {told}>"

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
            told = str(fit.duration) if fit else known.lack
            p95, ks = (f"{item.p95:.1f} s", f"{item.ks:.3f}") if fit else ("", "")
            doubt = "doubtful" if item.doubtful else ""
            name = f"{item.flow}: {item.step}" if several else item.step
            rows.append((name, f"{item.failure:.1%}", told, p95, ks, doubt))
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
            raise UsageError(f"no flow {flow!r}; {hint(flow, flows)}")
        return Calibration(part, self.confidence)

    def estimate(self, step: str | tuple[str, str]) -> Estimate:
        """Return what is known of *step*; raise `UsageError` if nothing is."""
        found = [item for item in self.estimates if step in (item.step, _name(item))]
        if len(found) > 1:
            flows = ", ".join(repr(item.flow) for item in found)
            raise UsageError(f"step {step!r} is in the flows {flows}; give (flow, step)")
        if not found:
            steps = {item.step for item in self.estimates}
            raise UsageError(f"no step {step!r}; {hint(str(step), steps)}")
        return found[0]

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
                raise UsageError(f"{text}; {hint(distribution, [*named, 'empirical'])}")
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
        from wfsim.model.loading import load_flow

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
        from wfsim.study.calibration_file import written

        return written(self, Path(path), flow)

    def _has(self, flow: str) -> bool:
        return any(item.flow == flow for item in self.estimates)

    def _with(self, estimates: Iterable[Estimate]) -> Calibration:
        return Calibration(estimates, self.confidence)

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
        found = fit.interval(self.confidence) if fit else []
        for place in range(2):
            ends = found[place] if place < len(found) else (math.nan,) * 3
            for suffix, value in zip(("", "_low", "_high"), ends, strict=True):
                row[f"p{place + 1}{suffix}"] = value
        row["mean"] = fit.duration.mean if fit else math.nan
        row["p95"] = fit.duration.quantile(0.95) if fit else math.nan
        row["aic"], row["ks"] = (fit.aic, fit.ks) if fit else (math.nan, math.nan)
        size = len(item.sample.seen)
        most = _DOUBTFUL.get(fit.name, 1.36) if fit else math.inf
        row["doubtful"] = row["ks"] * math.sqrt(size) > most
        return row


def _resampled(item: Estimate, draws: KeyedDraws) -> Estimate:
    def uniform(*purpose: str | int) -> float:
        drawn = draws.uniform("calibration", item.flow, item.step, *purpose)
        return max(drawn, 2.0**-54)

    fit = item.chosen
    if fit is not None and fit.spread:
        normals = [_NORMAL.inv_cdf(uniform("parameter", place)) for place in range(2)]
        fit = fit._replace(duration=fit.drawn(normals))
    elif fit is not None and fit.name == "empirical":
        values = fit.duration.params
        again = [fit.duration.draw(uniform("value", at)) for at in range(len(values))]
        fit = fit._replace(duration=Duration.parse({"empirical": again}))
    failure = item.failure
    if item.tried:
        sides = item.failures + 0.5, item.tried - item.failures + 0.5
        failure = float(stats().beta.ppf(uniform("failure"), *sides))
    return item._replace(chosen=fit, failure=failure)


def _positions(sample: Observed) -> list[tuple[float, float]]:
    """Return (share, duration) for a Q-Q plot: each in the middle of its own step."""
    steps = sample.steps()
    found, before = [], 0.0
    times = Counter(sample.seen)
    for value, share in zip(steps.quantiles, steps.probabilities, strict=True):
        # Those that took equally long share a step.
        count = times[float(value)]
        for place in range(count):
            part = (place + 0.5) / count
            found.append((before + (float(share) - before) * part, float(value)))
        before = float(share)
    return found


def _proportion(successes: int, of: int, confidence: float) -> tuple[float, float]:
    if not of:
        return math.nan, math.nan
    test = stats().binomtest(successes, of)
    low, high = test.proportion_ci(confidence_level=confidence, method="wilson")
    return float(low), float(high)


def _name(item: Estimate) -> tuple[str, str]:
    return (item.flow, item.step)
