"""Ten steps with ten one-day waits: wfsim, SpiffWorkflow, Temporal, DBOS and Prefect.

Run by ``make bench-peers``.  Each round runs one flow of every program, and what counts
is the time on the wall, since some of the work is done by servers in other processes
(loopback only).  DBOS and Prefect cannot skip time: they run the ten steps without any
waits, which the table says.  Whatever is measured is checked: all ten outputs are there,
and where time is skipped, ten days have passed.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, contextmanager

from tests.bench import waiting
from tests.bench.peers import rounds, with_dbos, with_prefect, with_spiff, with_temporal

OUTPUTS = {name: name.lower() for name in waiting.NAMES}


@contextmanager
def wfsim_program():
    """Give a function that runs one flow in a fresh world and returns its log."""
    scenario = waiting.scenario()
    yield lambda: waiting.by_wfsim(scenario)


PEERS = {
    "wfsim, mementos and log": wfsim_program,
    "SpiffWorkflow, timers of our own": with_spiff.program,
    "DBOS on SQLite, WITHOUT waits": with_dbos.program,
    "Temporal, time-skipping test server": with_temporal.program,
    "Prefect, WITHOUT waits": with_prefect.program,
}


def check(name, found):
    if name.startswith("wfsim"):
        found = waiting.outputs(found)
    assert found == OUTPUTS, (name, found)


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with ExitStack() as stack:
        programs = {
            name: stack.enter_context(program()) for name, program in PEERS.items()
        }
        timings = rounds.alternate(programs, number, check, clock=time.perf_counter)
    title = f"Ten steps with ten one-day waits, {number} rounds, wall time"
    print(rounds.table(title, timings, "wfsim, mementos and log", "ms", 1e3))
    least = {name: timing.least for name, timing in timings.items()}
    ours = least["wfsim, mementos and log"]
    assert ours == min(least.values()), "a peer is faster"
    assert ours * 20 <= least["Temporal, time-skipping test server"]


if __name__ == "__main__":
    main()
