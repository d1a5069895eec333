"""What would be noticed too late: each once with a count, wherever one looks."""

import logging

import pytest

import wfsim
from wfsim.errors import NoticeError


def wants_backup(resource):
    return "backup" in resource.annotations


def copies(ctx):
    yield from ctx.sleep(10)


def waits(ctx):
    raise wfsim.Waiting


def hangs(ctx):
    yield ctx.clock.event()


def serves(ctx):
    yield from ctx.update(annotations={"backup": None})


def scenario(body=copies, when=wants_backup, **more):
    wfsim.step("Copy")(body)
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
    return wfsim.Scenario(
        [wfsim.Resource("db", "db", state="Running", annotations={"backup": ""})],
        machine.transition("Running", "BackingUp", when=when, run="B"),
        [wfsim.Flow("B", (wfsim.Step("Copy"),))],
        [body],
        **more,
    )


def test_a_run_that_is_as_it_looks_has_no_notices():
    log = wfsim.simulate(scenario(serves), strict=True)
    assert not log.notices
    assert repr(log.notices) == "<no notices>"
    assert wfsim.tables.notices(log).columns.tolist() == [
        *("kind", "subject", "text", "times", "time", "where")
    ]


def test_the_same_event_over_and_over_is_noticed_once_with_a_count():
    log = wfsim.simulate(scenario(horizon=300))
    first, last = log.notices
    assert first == (
        "same event",
        "db",
        "BackingUp is entered over and over, though nobody edits the resource; is "
        "'wants_backup' ever false?",
        31,
        0.0,
        "",
    )
    assert (last.kind, last.subject, last.times) == ("unfinished", "db 31-B", 1)


def test_two_checks_that_hand_a_resource_back_and_forth_are_both_noticed():
    machine = wfsim.StateMachine("db").stable("Running", "Interrupt", "Idle")
    for source, target, then in (("Running", "A", "Idle"), ("Idle", "B", "Running")):
        machine.transition(source, target, when=wants_backup, run="B", then=then)
    log = wfsim.simulate(scenario(horizon=500).but(machine=machine))
    told = [(each.subject, each.text.split()[0], each.times) for each in log.notices[:2]]
    assert told == [("db", "A", 26), ("db", "B", 25)]


def test_what_happens_to_many_resources_is_one_notice():
    resources = [wfsim.Resource("db", f"db-{n}", state="Running") for n in range(5)]
    resources = [each.edit(annotations={"backup": ""}) for each in resources]
    same, unfinished = wfsim.simulate(
        scenario(horizon=300).but(resources=resources)
    ).notices
    assert (same.subject, same.times) == ("db-0, db-1, db-2 and 2 more", 5 * 31)
    assert (unfinished.subject, unfinished.times) == (
        "db-0 31-B, db-1 31-B, db-2 31-B and 2 more",
        5,
    )
    waiting = wfsim.simulate(scenario(waits).but(resources=resources)).notices
    assert [(each.kind, each.times) for each in waiting] == [("waits for nobody", 5)]


def test_who_queues_for_a_worker_at_the_horizon_is_not_stuck_but_unfinished():
    resources = [
        wfsim.Resource("db", f"db-{n}", state="Running", annotations={"backup": ""})
        for n in range(3)
    ]
    busy = scenario(horizon=605).but(resources=resources, policy=wfsim.Policy(workers=1))
    same, unfinished = wfsim.simulate(busy).notices
    assert (same.kind, same.subject) == ("same event", "db-0, db-1, db-2")
    assert (unfinished.kind, unfinished.times) == ("unfinished", 3)


def test_that_no_controller_is_left_is_said_so():
    (notice,) = wfsim.simulate(scenario(), [wfsim.CrashAt(t=3)]).notices
    assert (notice.kind, notice.subject, notice.time) == ("stuck", "db 1-B", 3.0)
    assert notice.text == (
        "no controller is up since 3 s; give restart_after, or call restart()"
    )


def test_nineteen_times_are_none_too_many():
    assert [each.kind for each in wfsim.simulate(scenario(horizon=185)).notices] == [
        "unfinished"
    ]


def test_requests_that_come_one_by_one_are_not_the_same_event():
    once = wfsim.demand.Times(every=20, count=40)
    again = wfsim.demand.Trigger(once, annotations={"backup": ""})
    assert not wfsim.simulate(scenario(serves, triggers=[again])).notices


def test_a_check_that_raises_is_noticed_with_its_line():
    def broken(resource):
        raise LookupError("no pod")

    log = wfsim.simulate(scenario(when=broken, horizon=100))
    (notice,) = log.notices
    assert (notice.kind, notice.times) == ("check failed", 7)
    assert "broken: LookupError: no pod" in notice.text
    assert notice.where == f"test_notices.py:{broken.__code__.co_firstlineno + 1}"


@pytest.mark.parametrize(
    ("body", "text"),
    [(waits, "waits for a change that nobody makes"), (hangs, "nothing ends it")],
)
def test_a_step_that_waits_for_nobody_is_noticed(body, text):
    (notice,) = wfsim.simulate(scenario(body)).notices
    assert (notice.kind, notice.subject) == ("waits for nobody", "db 1-B")
    assert text in notice.text


def test_a_resource_that_no_run_moves_any_more_is_stuck():
    log = wfsim.simulate(scenario(serves))
    state = log.records[0].value._replace(state="BackingUp")
    cut = wfsim.EventLog([log.records[0]._replace(value=state)], log.meta)
    assert [(each.kind, each.subject) for each in cut.notices] == [("stuck", "db")]


def test_a_fault_that_never_fired_is_noticed_once_the_simulation_is_over():
    fault = wfsim.CrashAt(write=90)
    sim = wfsim.Simulation(scenario(serves), faults=[fault, fault])
    sim.step()
    assert not sim.log.notices
    (notice,) = sim.run().notices
    assert notice[:4] == (
        "never fired",
        "CrashAt(write=90)",
        "never fired; what it was to break has not been tried",
        2,
    )


def test_notices_are_logged_and_made_errors_by_strict(caplog):
    with caplog.at_level(logging.WARNING, "wfsim"):
        log = wfsim.simulate(scenario(waits))
    assert caplog.messages == [f"notice: {log.notices[0]}"]
    with pytest.raises(NoticeError) as caught:
        wfsim.simulate(scenario(waits), strict=True)
    assert str(caught.value) == str(log.notices[0])


def test_notices_are_in_the_reports(tmp_path):
    log = wfsim.simulate(scenario(waits))
    assert f"Notice: {log.notices[0]}" in wfsim.export.text_report(log, width=300)
    page = wfsim.export.to_html(log, tmp_path / "report.html").read_text()
    assert "<h2>Notices</h2>" in page
    assert "<h2>Notices</h2>" not in wfsim.export.to_html(
        wfsim.simulate(scenario(serves)), tmp_path / "report.html"
    ).read_text(encoding="utf-8")
