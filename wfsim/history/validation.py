"""Validation: forecasts of a calibration for a part of a history it was not made from.

Each duration is turned into the probability that the forecast gives to shorter ones (its
probability integral transform, PIT; Dawid 1984).  Of a good forecast these are spread
evenly from 0 to 1.  Where the forecast makes a jump at a duration, and where an attempt
was cut short so that only a lower bound is known, the probability lies between two
values and counts evenly between them (Czado, Gneiting and Held 2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.history.fits import Observed
from wfsim.model.distributions import stats
from wfsim.model.duration import Duration
from wfsim.report.text import count
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd


class Trial(NamedTuple):
    """What was held out of one step, beside what was forecast of it.

    *sample* are its durations, *duration* their forecast (None if there is none);
    *failures* of *tried* attempts failed, and of those that the forecast was made from
    *past_failures* of *past_tried*.
    """

    flow: str
    step: str
    sample: Observed
    duration: Duration | None
    failures: int
    tried: int
    past_failures: int
    past_tried: int


class Validation:
    """What `Calibration.validate` returns: forecasts beside what was held out.

    *missing* are the steps, as (flow, step), that were held out and not calibrated.
    """

    def __init__(
        self,
        trials: Iterable[Trial],
        missing: Iterable[tuple[str, str]] = (),
        confidence: float = 0.95,
    ) -> None:
        self.trials = tuple(trials)
        self.missing = tuple(missing)
        self.confidence = confidence

    def __repr__(self) -> str:
        frame = self.pit()
        inside = self._coverage(frame)
        doubtful = int(self.frame["doubtful"].sum())
        steps = count(len(self.trials), "step")
        return (
            f"<Validation of {steps} with {count(len(frame), 'duration')}: "
            f"{inside:.1%} in their {self.confidence:.0%} interval; {doubtful} doubtful>"
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per flow and step that was held out and is forecast.

        ================= ======= ====================================================
        ``flow``          text
        ``step``          text
        ``durations``     int64   that were held out, those cut short included
        ``coverage``      float64 the share of them in the central interval of the
                                  forecast that should hold ``confidence``
        ``coverage_low``  float64 its interval, Wilson's
        ``coverage_high`` float64
        ``ks``            float64 how far the PIT is from even, from 0 to 1
        ``doubtful``      bool    whether that is more than chance explains, at 5 %
                                  (Kolmogorov)
        ``forecast``      float64 the probability that an attempt fails
        ``failure``       float64 the share of those held out that did
        ``failure_p``     float64 how likely chance makes such a difference (Fisher's
                                  exact test)
        ================= ======= ====================================================
        """
        import pandas as pd

        columns = (
            *("flow", "step", "durations", "coverage", "coverage_low", "coverage_high"),
            *("ks", "doubtful", "forecast", "failure", "failure_p"),
        )
        return pd.DataFrame(map(self._row, self.trials), columns=list(columns))

    def pit(self, step: str | tuple[str, str] | None = None) -> pd.DataFrame:
        """Return the PIT of each duration held out, of *step* or of all steps.

        ``flow``, ``step`` (text), ``low`` and ``high`` (float64): the probability lies
        between them.  They are equal where it is known.  Raises `UsageError` for a step
        that was not held out.
        """
        import pandas as pd

        trials = [item for item in self.trials if step in (None, item.step, item[:2])]
        if step is not None and not trials:
            names = {item.step for item in self.trials}
            raise UsageError(f"no step {step!r}{suggest(str(step), names)}")
        rows = [(*item[:2], *ends) for item in trials for ends in _transforms(item)]
        frame = pd.DataFrame(rows, columns=["flow", "step", "low", "high"])
        return frame.astype({"low": "float64", "high": "float64"})

    def histogram(
        self, step: str | tuple[str, str] | None = None, bins: int = 10
    ) -> pd.DataFrame:
        """Return how many durations have their PIT in each of *bins* equal parts.

        ``low``, ``high`` (the ends of the bin), ``durations`` (float64: one whose PIT
        lies in several is shared among them), ``expected``, and ``least`` and ``most``,
        between which a bin lies with the probability ``confidence`` if the forecast is
        right (binomial).
        """
        import pandas as pd

        frame = self.pit(step)
        size = len(frame)
        tail = (1.0 - self.confidence) / 2.0
        ends = [float(stats().binom.ppf(q, size, 1 / bins)) for q in (tail, 1.0 - tail)]
        rows = []
        for number in range(bins):
            low, high = number / bins, (number + 1) / bins
            inside = _share_between(frame, low, high, last=number + 1 == bins).sum()
            rows.append((low, high, float(inside), size / bins, *ends))
        names = ["low", "high", "durations", "expected", "least", "most"]
        return pd.DataFrame(rows, columns=names)

    def _row(self, item: Trial) -> tuple[Any, ...]:
        frame = self.pit(item[:2])
        size, coverage = len(frame), self._coverage(frame)
        low = high = ks = math.nan
        if size:
            test = stats().binomtest(round(coverage * size), size)
            interval = test.proportion_ci(self.confidence, method="wilson")
            low, high, ks = float(interval.low), float(interval.high), _distance(frame)
        table = [
            [item.failures, item.tried - item.failures],
            [item.past_failures, item.past_tried - item.past_failures],
        ]
        return (
            item.flow,
            item.step,
            size,
            coverage,
            low,
            high,
            ks,
            bool(ks * math.sqrt(size) > 1.36),
            _ratio(item.past_failures, item.past_tried),
            _ratio(item.failures, item.tried),
            float(stats().fisher_exact(table).pvalue),
        )

    def _coverage(self, frame: pd.DataFrame) -> float:
        tail = (1.0 - self.confidence) / 2.0
        inside = _share_between(frame, tail, 1.0 - tail, last=True)
        return float(inside.mean()) if len(frame) else math.nan


def _transforms(item: Trial) -> list[tuple[float, float]]:
    """Return between what the PIT of each duration of *item* lies."""
    duration = item.duration
    if duration is None:
        return []
    ends = []
    for value in item.sample.seen:
        # A calibration has fewer digits than the durations that it was made from.
        below, above = value * (1.0 - 1e-6), value * (1.0 + 1e-6)
        ends.append((duration.cdf(below) if value else 0.0, duration.cdf(above)))
    ends += [(duration.cdf(value), 1.0) for value in item.sample.cut]
    return [(low, high) if high - low > 1e-4 else (high, high) for low, high in ends]


def _share_between(frame: pd.DataFrame, low: float, high: float, *, last: bool) -> Any:
    """Return the part of each PIT in *frame* that is from *low* to below *high*.

    *last* says that *high* itself is meant, too.
    """
    width = frame["high"] - frame["low"]
    overlap = frame["high"].clip(upper=high) - frame["low"].clip(lower=low)
    before = frame["low"] <= high if last else frame["low"] < high
    known = (frame["low"] >= low) & before
    parts = overlap.clip(lower=0.0) / width.where(width > 0.0, 1.0)
    return parts.where(width > 0.0, known.astype("float64"))


def _distance(frame: pd.DataFrame) -> float:
    """Return how far the mean distribution function of the PIT is from the diagonal.

    It is looked at in steps of a thousandth.
    """
    import numpy as np

    low, high = frame["low"].to_numpy(), frame["high"].to_numpy()
    wide = high > low
    at = np.unique(np.round(np.concatenate([low, high]), 3))
    parts = (at[:, None] - low[wide]) / (high[wide] - low[wide])
    spread = np.clip(parts, 0.0, 1.0).sum(axis=1)
    points = np.sort(np.round(low[~wide], 3))
    worst = 0.0
    for side in ("left", "right"):
        share = (spread + np.searchsorted(points, at, side=side)) / len(low)
        worst = max(worst, float(np.abs(share - at).max()))
    return worst


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
