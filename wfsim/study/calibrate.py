"""From what has happened to what may happen: steps whose numbers come from a history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from wfsim.errors import DefinitionError, UsageError
from wfsim.model.document import hint
from wfsim.study.calibration import Calibration, Estimate
from wfsim.study.estimates import check_confidence
from wfsim.study.fits import CANDIDATES, Observed, fitted, would_complete
from wfsim.study.histories import read_history
from wfsim.study.past_runs import PastRuns

if TYPE_CHECKING:
    import pandas as pd


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
    end as censored; the one of the least AIC is chosen.  *confidence* is that of
    intervals.

    *waiting* says whether waiting for something else is part of a duration.  *failed*
    says what the duration of a failed attempt is: nothing (a step without code fails
    after as long as it takes, so that nothing is lost; of attempts that were cut short
    as many are left out as would have failed), one like any other, or a lower
    bound for what success would have taken.  *resumed* is about attempts that follow one
    that was cut short by a crash: a step that finds half of its work done takes less
    time, and is no example of what it takes from its start.  An attempt that ran into
    its limit of time is censored, and no failure: the limit is part of the flow, and
    fails it again.

    Raises `DefinitionError` for a history that cannot be read, `UsageError` for
    arguments that make no sense.
    """
    _check(candidates, confidence, waiting=waiting, failed=failed, resumed=resumed)
    past: PastRuns = read_history(history, **reading)
    attempts = past.attempts
    before = attempts.groupby(["case", "step"], sort=False)["status"].shift()
    timed = (before != "crashed") | (resumed == "observed")
    if attempts.empty:
        raise DefinitionError(
            f"{past.source or 'history'}:1: tells of no attempt; give one in which a "
            "step has begun"
        )
    groups = attempts.groupby(["flow", "step"], sort=False)
    return Calibration(
        (
            _estimate(
                str(flow),
                str(step),
                group,
                _sample(group[timed[group.index]], waiting, failed),
                candidates,
            )
            for (flow, step), group in groups
        ),
        confidence,
    )


_CHOICES = {
    "waiting": ("apart", "included"),
    "failed": ("left out", "observed", "censored"),
    "resumed": ("observed", "left out"),
}


def _check(candidates: Sequence[str], confidence: float, **choices: str) -> None:
    for name in candidates:
        if name not in CANDIDATES:
            raise UsageError(f"candidates: unknown {name!r}; {hint(name, CANDIDATES)}")
    for name, value in choices.items():
        if value not in _CHOICES[name]:
            known = hint(str(value), _CHOICES[name])
            raise UsageError(f"{name}: unknown {value!r}; {known}")
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


def _estimate(
    flow: str,
    step: str,
    group: pd.DataFrame,
    sample: Observed,
    candidates: Sequence[str],
) -> Estimate:
    status = group["status"]
    failures = int((status == "failed").sum())
    tried = failures + int((status == "completed").sum())
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
