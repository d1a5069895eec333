"""The load in a history: how often runs arrive and processes crash."""

from __future__ import annotations

import math
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

    Arrivals are a Poisson process, the times between crashes and the times until work
    goes on are exponential.  A run arrives when its first attempt begins: that it may
    have waited for a worker before is not known.  A crash is known by what it cut short,
    so that those which met nobody are missing.
    """

    def __init__(self, attempts: pd.DataFrame, confidence: float = 0.95) -> None:
        self.confidence = confidence
        begun = attempts[attempts["start"].notna()]
        ends = attempts["end"].max()
        self.seconds = float(ends - begun["start"].min()) if len(begun) else 0.0
        first = begun.groupby(["flow", "case"], sort=False)["start"].min()
        self.runs: dict[str, int] = {
            str(flow): len(group) for flow, group in first.groupby("flow", sort=False)
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
        """
        import pandas as pd

        rows = [
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
        return frame.astype(dict.fromkeys(columns[3:], "float64"))

    def arrivals(self, flow: str = "") -> Times:
        """Return when runs of *flow* arrive, for `Arrivals`; without it, runs of all.

        Raises `UsageError` if there were none, or all at once.
        """
        if flow and flow not in self.runs:
            raise UsageError(f"no flow {flow!r}{suggest(flow, self.runs)}")
        number = self.runs[flow] if flow else sum(self.runs.values())
        if not number or not self.seconds:
            raise UsageError("the history tells of no time in which runs arrived")
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
