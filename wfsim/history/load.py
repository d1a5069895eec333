"""The load in a history: how often runs arrive and processes crash."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

from wfsim.errors import UsageError
from wfsim.model.distributions import stats
from wfsim.report.text import count
from wfsim.sim.rates import Rate
from wfsim.sim.times import Times
from wfsim.text import suggest

if TYPE_CHECKING:
    import pandas as pd


class Load:
    """Arrivals, crashes and workers of the history whose *attempts* are given.

    Arrivals are a Poisson process, or as they were; the times between crashes and the
    times until work goes on are exponential.  A run arrives when its first attempt
    begins: that it may have waited for a worker before is not known.  A crash is known by
    what it cut short, so that those which met nobody are missing.
    """

    def __init__(self, attempts: pd.DataFrame, confidence: float = 0.95) -> None:
        self.confidence = confidence
        begun = attempts[attempts["start"].notna()]
        ends = attempts["end"].max()
        self.seconds = float(ends - begun["start"].min()) if len(begun) else 0.0
        first = begun.groupby(["flow", "case"], sort=False)["start"].min()
        self._arrived: dict[str, list[float]] = {
            str(flow): sorted(group.tolist())
            for flow, group in first.groupby("flow", sort=False)
        }
        self.runs: dict[str, int] = {
            flow: len(times) for flow, times in self._arrived.items()
        }
        lost = attempts[attempts["status"] == "crashed"]
        self.crash_times: list[float] = sorted(set(lost["end"].dropna().tolist()))
        self.outages = _outages(self.crash_times, sorted(begun["start"].tolist()))
        self.workers = _most_at_once(begun[begun["waited"] == 0.0])

    def __repr__(self) -> str:
        return (
            f"<Load of {self.seconds:g} s: {count(sum(self.runs.values()), 'run')}, "
            f"{count(len(self.crash_times), 'crash', 'crashes')}, "
            f"{count(self.workers, 'worker')}>"
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per number that a scenario takes.

        ``measure`` (text): ``mean between arrivals`` (of ``flow``), ``mean until a
        crash``, ``mean until work goes on`` (seconds) and ``workers``; ``count``
        (int64) of what it was taken from; ``estimate``, ``low`` and ``high`` (float64).
        An interval is that of an exponential mean (chi-square; Garwood 1936).  Of
        workers only the most at work at once is known, so that ``high`` is infinite.
        ``doubtful`` (bool): whether the times between arrivals are further from
        exponential than chance explains, at 5 %, so that they are better resampled
        than taken for a Poisson process (Kolmogorov's distance, with an estimated mean:
        Stephens 1974, J. Am. Stat. Assoc. 69).
        """
        import pandas as pd

        rows: list[tuple[Any, ...]] = [
            ("mean between arrivals", flow, *self._mean(self.seconds, number))
            for flow, number in self.runs.items()
        ]
        down, crashes = sum(self.outages), len(self.crash_times)
        repairs = self._mean(down, len(self.outages), ends=True)
        rows += [
            ("mean until a crash", "", *self._mean(self.seconds - down, crashes)),
            ("mean until work goes on", "", *repairs),
            ("workers", "", self.workers, float(self.workers), self.workers, math.inf),
        ]
        columns = ["measure", "flow", "count", "estimate", "low", "high"]
        frame = pd.DataFrame(rows, columns=columns)
        frame = frame.astype(dict.fromkeys(columns[3:], "float64"))
        doubts = [not is_poisson(times) for times in self._arrived.values()]
        return frame.assign(doubtful=[*doubts, *[False] * (len(frame) - len(doubts))])

    def arrivals(self, flow: str = "", *, resampled: bool = False) -> Times:
        """Return when runs of *flow* arrive, for `Arrivals`; without it, runs of all.

        It is a Poisson process or, if *resampled*, a renewal process whose gaps are
        drawn from those of the history.  Raises `UsageError` if there were none, or all
        at once.
        """
        if flow and flow not in self.runs:
            raise UsageError(f"no flow {flow!r}{suggest(flow, self.runs)}")
        number = self.runs[flow] if flow else sum(self.runs.values())
        if not number or not self.seconds:
            raise UsageError("the history tells of no time in which runs arrived")
        if resampled:
            listed = [self._arrived[flow]] if flow else self._arrived.values()
            times = [time for each in listed for time in each]
            if min(times) == max(times):
                raise UsageError("runs arrived at one time only, so that there is no gap")
            return Times.resampled(times)
        return Times(mean=self.seconds / number)

    def crashes(self) -> Rate:
        """Return how often the controller crashes, for ``rates`` of a scenario.

        Raises `UsageError` if the history tells of no crash after which work went on.
        """
        down = sum(self.outages)
        up = self.seconds - down
        if not self.outages or up <= 0.0:
            raise UsageError("the history tells of no crash after which work went on")
        return Rate(
            mtbf=up / len(self.crash_times), mttr=max(down / len(self.outages), 1e-3)
        )

    def _mean(
        self, seconds: float, number: int, *, ends: bool = False
    ) -> tuple[int, float, float, float]:
        """Return *number* and the mean time of one, of so many in *seconds*, with ends.

        *ends* says that the time ended with the last one, not with the history.
        """
        tail = (1.0 - self.confidence) / 2.0
        chi2 = stats().chi2
        more = 2 * number + (0 if ends else 2)
        low = 2.0 * seconds / float(chi2.ppf(1.0 - tail, more)) if more else math.nan
        high = math.inf
        if number:
            high = 2.0 * seconds / float(chi2.ppf(tail, 2 * number))
        return number, seconds / number if number else math.inf, low, high


_FURTHEST = 1.094
"""At 5 %, of Stephens' form of Kolmogorov's distance from an exponential distribution."""


def is_poisson(times: list[float]) -> bool:
    """Whether the gaps between *times* may well be exponential."""
    gaps = sorted(after - before for before, after in pairwise(times))
    size, mean = len(gaps), fmean(gaps) if gaps else 0.0
    if size < 2 or mean == 0.0:
        return True
    shares = [-math.expm1(-gap / mean) for gap in gaps]
    furthest = max(
        max((rank + 1) / size - share, share - rank / size)
        for rank, share in enumerate(shares)
    )
    root = math.sqrt(size)
    return (furthest - 0.2 / size) * (root + 0.26 + 0.5 / root) <= _FURTHEST


def _outages(crashes: list[float], beginnings: list[float]) -> list[float]:
    """Return how long after each of *crashes* the next of *beginnings* was."""
    outages, index = [], 0
    for crash in crashes:
        while index < len(beginnings) and beginnings[index] < crash:
            index += 1
        if index < len(beginnings):
            outages.append(beginnings[index] - crash)
    return outages


def _most_at_once(attempts: Any) -> int:
    """Return how many of *attempts* were under way at the same time, at most."""
    known = attempts[attempts["end"].notna()]
    # At one moment what ends makes room before what begins.
    changes = [(end, -1) for end in known["end"]] + [(time, 1) for time in known["start"]]
    most = number = 0
    for _, change in sorted(changes):
        number += change
        most = max(most, number)
    return most
