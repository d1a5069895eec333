"""Any moment of a simulation can be had and gone on from, as if all had died then."""

from __future__ import annotations

from typing import Any

import pytest

import wfsim
from tests.golden.subjects import Subject, subjects
from tests.sizes import FULL
from wfsim.sim.prefix import Tape

QUICK = ("polardb Creating", "polardb SwitchRw", "tiem BackupCluster")
CHOSEN = [each for each in subjects() if FULL or each.name in QUICK]
AWAY = 5.0


def written(tape: Tape) -> dict[int, list[int]]:
    """The entries of each write of a controller, by its number."""
    entries: dict[int, list[int]] = {}
    for entry, record in enumerate(tape.simulation.log):
        if record.token and record.kind not in NOTES:
            entries.setdefault(tape.moment(entry).faults[0], []).append(entry)
    return entries


NOTES = (wfsim.Kind.STEP_LOG, wfsim.Kind.PASS_FAILED, wfsim.Kind.HOOK_FAILED)


def story(sim: wfsim.Simulation) -> tuple[Any, ...]:
    """All that can be seen, but for what says that there was a fault."""
    records = [
        record._replace(seq=0)
        for record in sim.log
        if not record.kind.startswith("fault.")
        and record.kind is not wfsim.Kind.CONTROLLER_CRASHED
    ]
    return records, sim.log.fold(), sim.world.state(), sim.world.pending


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("subject", CHOSEN, ids=lambda each: each.name)
def test_a_restart_from_a_prefix_goes_on_as_a_crash_at_that_write_does(
    subject: Subject, when: str
) -> None:
    calm = subject.begin(())
    asked = len(calm.log)
    calm.run()
    tape = Tape.of(calm)
    compared = 0
    for write, entries in written(tape).items():
        if entries[0] < asked:
            continue
        crash = wfsim.CrashAt(write=write, when=when, restart_after=AWAY)
        crashed = subject.begin([crash])
        crashed.run()
        gone_on = (
            tape.after(entries[-1] + 1) if when == "after" else tape.before(entries[0])
        )
        gone_on.run(for_=AWAY)
        gone_on.restart()
        gone_on.run()
        assert story(gone_on) == story(crashed), f"{when} write {write}"
        compared += 1
    assert compared > 3
