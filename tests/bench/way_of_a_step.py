"""The way of a step: the files of wfsim that it passes, counted with `sys.setprofile`.

``python -m tests.bench.way_of_a_step`` prints each way, its files and how often each was
called.  Whoever reads or debugs a step has these to know; a file that only hands on what
it is given is one too many.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import wfsim
from fake_resources import polardb

PACKAGE = Path(wfsim.__file__).parent
FLOWS = PACKAGE.parent / "flows"


class Way:
    """The calls of each file of wfsim between `begin` and `end`."""

    def __init__(self):
        self.calls = Counter()

    def begin(self):
        """Count from now on; what is under way already is passed too."""
        frame = sys._getframe()
        while frame is not None:
            self._pass(frame)
            frame = frame.f_back
        sys.setprofile(lambda frame, event, _: event == "call" and self._pass(frame))

    def end(self):
        sys.setprofile(None)

    def _pass(self, frame):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            self.calls[path.relative_to(PACKAGE.parent).as_posix()] += 1


def undisturbed_step():
    """Count from the middle of the second step of a flow without code to the third's."""
    flow = wfsim.Flow("W", tuple(map(wfsim.Step, ("S0", "S1", "S2", "S3"))))
    sim = wfsim.Simulation(wfsim.Scenario.of_flow(flow, duration=5.0))
    sim.step()
    way = Way()
    sim.clock.call(7.5, way.begin)
    sim.clock.call(12.5, way.end)
    sim.run()
    return way.calls


def nightly():
    """Count a whole simulation of the flow that is shipped without code."""
    scenario = wfsim.Scenario.of_flow(FLOWS / "backup" / "nightly.yaml")
    return _passed(lambda: wfsim.simulate(scenario))


def polardb_with_a_crash():
    """Count a cluster of three that is made and run, killed at 40 s and back at 50 s."""
    crash = wfsim.CrashAt(t=40, restart_after=10)
    return _passed(lambda: wfsim.simulate(polardb.scenario(2), [crash], seed=1))


WAYS = {
    "an undisturbed step of a flow without code": undisturbed_step,
    "simulate(nightly.yaml)": nightly,
    "PolarDB with a crash": polardb_with_a_crash,
}


def _passed(work):
    work()  # what is loaded and worked out once is no part of the way
    way = Way()
    with _counted(way):
        work()
    return way.calls


@contextmanager
def _counted(way):
    way.begin()
    try:
        yield
    finally:
        way.end()


def table(name, calls):
    """Return a line with the number of files, and one for each with its calls."""
    lines = [f"{name}: {len(calls)} files"]
    lines += [f"{count:8}  {file}" for file, count in calls.most_common()]
    return "\n".join(lines)


if __name__ == "__main__":
    for name, way in WAYS.items():
        print(table(name, way()), end="\n\n")
