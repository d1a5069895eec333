"""Programs measured in turn, round after round, so that a busy machine is fair to all."""

from __future__ import annotations

import gc
import statistics
import time
from typing import NamedTuple


class Timing(NamedTuple):
    """Seconds of one program: the least and the median of its rounds."""

    least: float
    median: float


def alternate(programs, rounds, check, clock=time.process_time):
    """Return a `Timing` for each of *programs*; *check* looks at each of their results.

    Each runs once before the first round, unmeasured.
    """
    for work in programs.values():
        work()
    spent = {name: [] for name in programs}
    for _ in range(rounds):
        for name, work in programs.items():
            result, seconds = timed(work, clock)
            check(name, result)
            spent[name].append(seconds)
    return {name: Timing(min(s), statistics.median(s)) for name, s in spent.items()}


def timed(work, clock):
    """Return what *work* returns and the seconds it took, nobody's leavings collected."""
    gc.collect()
    gc.freeze()
    try:
        began = clock()
        result = work()
        return result, clock() - began
    finally:
        gc.unfreeze()


def table(title, timings, base, unit, scale):
    """Return lines with each program's seconds times *scale* and its ratio to *base*."""
    lines = [
        title,
        f"{'':44}{'min ' + unit:>14}{'median ' + unit:>16}{'ratio':>9}{'median':>9}",
    ]
    for name, (least, median) in timings.items():
        ratio, middle = least / timings[base].least, median / timings[base].median
        spent = f"{least * scale:14.2f}{median * scale:16.2f}"
        lines.append(f"{name:44}{spent}{ratio:9.2f}{middle:9.2f}")
    return "\n".join(lines)
