"""How often intervals hold the truth, over many studies; as in `coverage.txt`.

    python -m tests.study.coverage > tests/study/coverage.txt

Two systems, of which the truth is known from theory or from an independent program:

single  a replication is one run: exponential, 4 in 100 are not done
queue   a replication is twenty runs of an M/M/1 that begins empty, at a load of 0.8, of
        which 2 in 100 are not done: runs of one replication depend on each other

The p95 of the first, with 10 to 60 runs of which two or three are not done, is beyond
what so few can bound: its upper end is infinite where it should be.
"""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import numpy as np

import wfsim
from wfsim.study.estimates import intervals_of
from wfsim.study.grid import FrameByPoint
from wfsim.study.study import Study

SIZES = (10, 20, 60)
JOBS, LOAD, MEAN = 20, 0.8, 10.0
CONFIDENCE = 0.95
MEASURES = ("total", "total_p50", "total_p95", "success")


class Row(NamedTuple):
    """Of how many studies the interval has held the truth, and had a finite end."""

    system: str
    replications: int
    measure: str
    studies: int
    held: float
    finite: float


def single():
    """One exponential run."""
    step = wfsim.Step("S", "S", duration={"exponential": MEAN}, failure=0.04)
    flow = wfsim.Flow("F", (step,), retry=wfsim.Retry(limit=0))
    return wfsim.Scenario.of_flow(flow)


def queue():
    """Twenty jobs come to one worker who has nothing to do."""
    machine = wfsim.StateMachine("job").stable("Running", "Interrupt")
    machine.unstable("Creating", run="F")
    step = wfsim.Step("S", "S", duration={"exponential": MEAN}, failure=0.02)
    times = wfsim.demand.Times(mean=MEAN / LOAD, count=JOBS)
    return wfsim.Scenario(
        machine=machine,
        flows=[wfsim.Flow("F", (step,), retry=wfsim.Retry(limit=0))],
        arrivals=[wfsim.demand.Arrivals(wfsim.Resource("job", "job-{n}"), times)],
        policy=wfsim.Policy(workers=1),
    )


def truths_of_single():
    """By theory: a quantile of all lies further out among those that are done."""

    def of(share):
        return -MEAN * math.log(1.0 - share / 0.96)

    return {
        "total": MEAN, "total_p50": of(0.5), "total_p95": of(0.95), "success": 0.96,
    }  # fmt: skip


def truths_of_queue(samples=200_000):
    """By Lindley's recursion: waits W' = max(0, W + S - A), of so many such mornings."""
    draws = np.random.default_rng(7)
    service = draws.exponential(MEAN, (samples, JOBS))
    gaps = draws.exponential(MEAN / LOAD, (samples, JOBS))
    wait, totals = np.zeros(samples), np.empty((samples, JOBS))
    for job in range(JOBS):
        totals[:, job] = wait + service[:, job]
        wait = np.maximum(0.0, totals[:, job] - gaps[:, job])
    p50, p95 = (float(np.quantile(totals, each / 0.98)) for each in (0.5, 0.95))
    return {
        "total": float(totals.mean()), "total_p50": p50, "total_p95": p95,
        "success": 0.98,
    }  # fmt: skip


SYSTEMS = {"single": (single, truths_of_single), "queue": (queue, truths_of_queue)}


def part(study, first, count):
    """The study of those replications alone."""
    inside = {}
    for name in ("runs", "replications", "steps", "loads"):
        frame = getattr(study, name)
        low, high = frame["replication"].searchsorted([first, first + count])
        inside[name] = FrameByPoint(frame[low:high], [0] * int(high - low))
    return Study((), study.points, inside)


def rows(studies, sizes=SIZES, systems=SYSTEMS):
    """Yield a row for each system, number of replications and measure."""
    for system in systems:
        make, truths = SYSTEMS[system]
        whole = wfsim.sweep(
            make, replications=studies * max(sizes), seed=11, progress=False
        )
        truth = truths()
        for size in sizes:
            parts = [part(whole, at * max(sizes), size) for at in range(studies)]
            for measure in MEASURES:
                ends = [intervals_of(each, measure, CONFIDENCE)[0] for each in parts]
                held = sum(low <= truth[measure] <= high for _, low, high in ends)
                finite = sum(math.isfinite(each.high) for each in ends)
                share = held / studies, finite / studies
                yield Row(system, size, measure, studies, *share)


def table(found):
    """The rows as text."""
    lines = ["system  replications  measure    held    finite upper end"]
    lines += [
        f"{row.system:<8}{row.replications:>12}  {row.measure:<10}{row.held:>6.1%}"
        f"{row.finite:>20.1%}"
        for row in found
    ]
    studies = {row.studies for row in found}
    lines.append(f"of {studies.pop()} studies, at a confidence of {CONFIDENCE:.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(list(rows(int(sys.argv[1]) if sys.argv[1:] else 300))))
