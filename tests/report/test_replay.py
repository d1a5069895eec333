"""Replay: prefixes of a log, and where two logs part."""

from __future__ import annotations

import wfsim
from wfsim import replay


def test_every_frame_is_the_fold_of_its_prefix(interrupted):
    frames = list(replay.frames(interrupted))
    assert [record for record, _ in frames] == list(interrupted)
    for number, (_, snapshot) in enumerate(frames, start=1):
        assert snapshot == interrupted.fold(number)


def test_frames_forget_what_was_deleted(scenario):
    sim = wfsim.Simulation(scenario())
    sim.run(until=10.0)
    sim.delete("orders")
    log = sim.run()
    frames = list(replay.frames(log))
    assert [list(snapshot.resources) for _, snapshot in frames][-1] == []
    assert [snapshot for _, snapshot in frames] == [
        log.fold(number) for number in range(1, len(log) + 1)
    ]


def test_a_snapshot_is_read_like_a_dict(plain):
    (_, first), *_, (_, last) = replay.frames(plain)
    assert dict(first.resources) == {"orders": plain[0].value}
    assert "nobody" not in last.resources
    assert len(last.mementos) == 1
    assert repr(first.mementos) == "{}"


def test_the_state_at_a_time_has_all_that_happened_then(plain):
    assert replay.state_at(plain, -1.0) == plain.fold(0)
    assert replay.state_at(plain, 29.9).mementos["orders", "1-NightlyBackup"].cursor == 0
    at_30 = replay.state_at(plain, 30.0).mementos["orders", "1-NightlyBackup"]
    assert (at_30.cursor, at_30.step.name) == (1, "CopyAway")
    assert replay.state_at(plain, 1e9) == plain.fold()


def test_two_runs_of_the_same_scenario_do_not_part(scenario, plain):
    assert replay.diff(plain, wfsim.simulate(scenario())) is None


def test_logs_part_where_the_fault_struck(scenario, plain):
    late = wfsim.simulate(scenario(), faults=[wfsim.DelayStep("CopyAway", by=7.0)])
    assert replay.diff(plain, late).fields == ("kind", "resource", "text", "value")
    # Without the record that tells of the armed fault they part when it fires.
    shifted = [record._replace(seq=record.seq - 1) for record in list(late)[1:]]
    assert repr(replay.diff(plain, wfsim.EventLog(shifted))) == (
        "the logs part at record 7, in time, kind, resource, run, flow, step, attempt, "
        "text, value, controller, token:\n"
        "  a  #7 50.000 s step.completed orders 1-NightlyBackup CopyAway\n"
        "  b  #7 30.000 s fault.fired: DelayStep(step='CopyAway', by=7)"
    )


def test_a_log_that_is_over_parts_from_one_that_goes_on(plain):
    found = replay.diff(plain, plain[:3])
    assert repr(found) == (
        "the logs part at record 3:\n"
        "  a  #3 0.000 s run.created orders 1-NightlyBackup\n"
        "  b  (over)"
    )
