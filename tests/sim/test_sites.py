"""Sites: places of a run that have a name, and what faults do there."""

from __future__ import annotations

import pytest

import wfsim
from fake_resources.zoo import backup, service
from wfsim import Kind
from wfsim.sim.faults import FAULTS
from wfsim.sim.sites import Name

MADE = "orders/1-Backup/MakeVolume#1"
SERVED = "1-Backup/MakeVolume"
CREATE = f"{MADE} create orders-1-Backup"


def ran(*faults, scenario=None):
    sim = wfsim.Simulation(scenario or backup(), seed=1, faults=faults)
    sim.run()
    return sim


def fired(sim):
    return [record.time for record in sim.log.filter(Kind.FAULT_FIRED)]


def kept(scenario):
    sim = wfsim.Simulation(scenario, seed=1)
    sites = sim.plan.ports.keep_sites()
    sim.run()
    return sites


def test_a_calm_run_passes_writes_calls_and_waits():
    rows = [(site.name, site.kind, site.time, site.lasts) for site in kept(backup())]
    assert sorted(rows, key=lambda row: row[2])[:6] == [
        ("orders/1-Backup run.created", "run.created", 0.0, 0.0),
        (f"{MADE} step.started", "step.started", 0.0, 0.0),
        (f"{MADE} wait", "wait", 0.0, 3.0),
        (CREATE, "call", 3.0, 0.0),
        (f"{MADE} wait ~2", "wait", 3.0, 2.0),
        (f"{MADE} step.completed", "step.completed", 5.0, 0.0),
    ]


def test_to_keep_sites_changes_nothing():
    sim = wfsim.Simulation(backup(), seed=1)
    sim.plan.ports.keep_sites()
    sim.run()
    assert sim.log.digest() == ran().log.digest()


def test_a_call_says_who_what_with_what_and_what_came_of_it():
    (create, *_) = (site for site in kept(backup()) if site.call)
    assert (create.controller, create.token) == ("controller-0", 1)
    assert (create.resource, create.run) == ("orders", "1-Backup")
    assert (create.step, create.attempt) == ("MakeVolume", 1)
    assert create.call[:6] == (
        *("create", "orders-1-Backup", "name='orders-1-Backup'"),
        *("'orders-1-Backup'", "", True),
    )


@pytest.mark.parametrize(
    ("site", "when", "time", "volumes"),
    [
        (f"{MADE} step.started", "before", 0.0, {}),
        (f"{MADE} step.started", "after", 0.0, {}),
        (f"{MADE} wait", "before", 0.0, {}),
        (f"{MADE} wait", "after", 3.0, {}),
        (CREATE, "before", 3.0, {}),
        (CREATE, "after", 3.0, {"orders-1-Backup": "empty"}),
        (f"{MADE} wait ~2", "after", 5.0, {"orders-1-Backup": "empty"}),
        (f"{MADE} step.completed", "before", 5.0, {"orders-1-Backup": "empty"}),
    ],
)
def test_a_crash_comes_before_or_after_its_site(site, when, time, volumes):
    sim = ran(wfsim.CrashAt(site=site, when=when))
    assert fired(sim) == [time]
    assert sim.world.volumes == volumes


def test_a_crash_comes_so_many_seconds_into_a_wait_or_a_timer():
    in_wait = ran(wfsim.CrashAt(site=f"{MADE} wait ~2", later=0.5, restart_after=4))
    assert fired(in_wait) == [3.5]
    site = f"{MADE} step.completed timer"
    assert fired(ran(wfsim.CrashAt(site=site, later=2.5, restart_after=4))) == [7.5]
    assert in_wait.resource().state == "Running"


def test_the_controller_at_the_site_is_the_one_that_dies():
    sim = wfsim.Simulation(
        backup(),
        seed=1,
        controllers=2,
        faults=[
            wfsim.CrashAt(t=1),
            wfsim.CrashAt(site="orders/1-Backup/MakeVolume#2 wait", later=0.5),
        ],
    )
    sim.run()
    died = [record.controller for record in sim.log.filter(Kind.CONTROLLER_CRASHED)]
    assert died == ["controller-0", "controller-1"]


@pytest.mark.parametrize(
    ("fault", "attempts", "volumes"),
    [
        (wfsim.FailStep(site=f"{MADE} step.started"), 2, 0),
        (wfsim.FailStep(site=CREATE), 2, 0),
        (wfsim.FailStep(site=CREATE, after=True), 2, 1),
        (wfsim.FailStep(site=f"{MADE} wait ~2"), 2, 1),
        (wfsim.FailStep(site=f"{MADE} wait", after=True), 2, 0),
        (wfsim.DelayStep(site=f"{MADE} wait", by=9), 1, 0),
        (wfsim.RepeatCall(site=CREATE), 1, 1),
    ],
)
def test_what_goes_wrong_in_a_step_does_so_at_its_site(fault, attempts, volumes):
    sim = wfsim.Simulation(backup(), seed=1, faults=[fault])
    sim.run(until=lambda record: record.kind is Kind.FAULT_FIRED)
    assert len(fired(sim)) == 1
    assert len(sim.world.volumes) == volumes
    sim.run()
    steps = wfsim.tables.steps(sim.log)
    assert (steps["step"] == "MakeVolume").sum() == attempts
    assert sim.resource().state == "Running"


def test_a_delay_in_a_wait_makes_the_run_as_much_longer():
    calm, late = ran(), ran(wfsim.DelayStep(site=f"{MADE} wait", by=9))
    assert late.log.records[-1].time - calm.log.records[-1].time == 9


def test_what_is_called_twice_is_done_twice():
    from fake_resources.zoo.steps import creates_again

    site = f"{MADE} create"
    sim = ran(wfsim.RepeatCall(site=site), scenario=backup(MakeVolume=creates_again))
    assert sim.world.volumes == {"vol-0": "full", "vol-1": "empty"}


@pytest.mark.parametrize(
    "fault",
    [
        wfsim.FailSave(site=f"{MADE} step.completed", times=2),
        wfsim.FailSave(site=f"{MADE} step.completed", applied=True),
        wfsim.RefuseWrite(site="orders resource.state"),
        wfsim.StaleRead(site=CREATE, for_=5),
        wfsim.DropWatch(site=CREATE, for_=5),
        wfsim.ApiDown(site=CREATE, for_=5),
        wfsim.PauseController(site=CREATE, for_=5),
        wfsim.EditAt(site=CREATE, annotations={"note": "here"}),
    ],
    ids=repr,
)
def test_every_fault_takes_a_site_and_the_run_goes_well(fault):
    sim = ran(fault)
    assert fired(sim)
    assert sim.resource().state == "Running"
    assert sim.world.volumes == {"orders-1-Backup": "full"}


def test_a_cancel_between_two_writes_is_obeyed():
    sim = ran(wfsim.CancelAt(site="orders/1-Backup/CopyData#1 step.completed"))
    assert sim.resource().state == "Interrupt"
    assert sim.resource().annotations.get("volume") is None


def test_what_may_be_asked_of_a_service_is_asked_at_a_site():
    sim = wfsim.Simulation(
        service().args[1],
        seed=1,
        faults=[
            wfsim.AskAt(site=f"1-Backup/{SERVED}#1 step.completed", call="stop"),
            wfsim.AskAt(t=300, call="start", resource="1-Backup"),
        ],
    )
    sim.service.begin("Backup", "orders")
    sim.run(until=299)
    assert sim.service.detail("1-Backup").status == "Stopped"
    sim.run()
    assert sim.service.detail("1-Backup").status == "Finished"


def test_what_a_scenario_may_be_asked_beside_is_a_function_of_it():
    letters = []
    scenario = backup().but(requests={"write": lambda sim, to: letters.append(to)})
    sim = ran(wfsim.AskAt(t=1, call="write", inputs={"to": "dba"}), scenario=scenario)
    assert letters == ["dba"]
    assert sim.resource().state == "Running"


def test_a_request_that_is_refused_was_asked_all_the_same():
    sim = ran(wfsim.AskAt(t=1, call="recover"))
    assert fired(sim) == [1.0]
    assert sim.resource().state == "Running"


def test_an_unknown_request_is_refused_with_the_nearest_one():
    with pytest.raises(wfsim.DefinitionError, match="did you mean 'cancel'"):
        ran(wfsim.AskAt(t=1, call="cancle"))


def test_every_fault_has_a_site():
    assert all("site" in kind.__dataclass_fields__ for kind in FAULTS.values())


@pytest.mark.parametrize(
    ("site", "near"),
    [
        ("orders/1-Backup/MakeVolum#1 wait", f"; did you mean '{MADE} wait'?"),
        (CREATE.replace("create", "creat"), f"; did you mean '{CREATE}'?"),
        (f"{MADE} step.complete", f"; did you mean '{MADE} step.completed'?"),
        ("order/1-Backup run.created", "; did you mean 'orders/1-Backup run.created'?"),
        ("orders/1-Bakup run.created", "; did you mean 'orders/1-Backup run.created'?"),
        ("orders resource.stat", "; did you mean 'orders resource.state'?"),
    ],
)
def test_an_unknown_site_is_refused_with_the_nearest_one(site, near):
    with pytest.raises(wfsim.DefinitionError) as refused:
        ran(wfsim.CrashAt(site=site))
    assert str(refused.value) == f"CrashAt(site={site!r}): no site {site!r}{near}"


@pytest.mark.parametrize(
    "name",
    [
        Name("orders", what="resource.state"),
        Name("orders", "1-Backup", what="run.created"),
        Name("prod/orders", "1-Backup", "Make Volume", 2, "pods.rw.create a b"),
    ],
)
def test_a_name_is_read_back(name):
    assert Name.of(str(name)) == name
    assert Name.of(f"{name} ~3") == name


def test_a_plan_of_sites_is_a_file_of_a_line_for_each(tmp_path):
    plan = (
        wfsim.CrashAt(site=CREATE, when="before", restart_after=10),
        wfsim.FailStep(site=f"{MADE} wait ~2", after=True, error="lost: all"),
        wfsim.StaleRead(site="orders resource.state", later=1.5, for_=3),
        wfsim.RepeatCall(site=CREATE),
    )
    text = wfsim.dump_plan(plan)
    assert text.splitlines()[0] == (
        f'- CrashAt: {{site: "{CREATE}", when: before, restart_after: 10}}'
    )
    assert len(text.splitlines()) == 4
    file = tmp_path / "plan.yaml"
    file.write_text(text)
    assert wfsim.load_plan(file) == plan
