"""A name is not an object: who deletes and creates under one name has another object."""

import pytest

import wfsim
from wfsim import (
    CancelAt,
    DefinitionError,
    Duration,
    EditAt,
    FailStep,
    Flow,
    Resource,
    Scenario,
    Simulation,
    StateMachine,
    Step,
    UsageError,
)
from wfsim.demand import Arrivals, Times, Trigger


def scenario(*names, seconds=100, finalizers=(), **more):
    machine = StateMachine("db").stable("Running", "Interrupt")
    machine.unstable("Creating", run="Make")
    if finalizers:
        machine.finalizer("hold", lambda ctx: None)
    flow = Flow("Make", (Step("Restore", duration=Duration.parse(seconds)),))
    keys = [name.rpartition("/") for name in names or ("shop",)]
    resources = [
        Resource("db", name, space or "default", "Creating", finalizers=finalizers)
        for space, _, name in keys
    ]
    return Scenario(resources=resources, machine=machine, flows=[flow], **more)


def runs(sim):
    """Return of each run whether it is complete, when it began and when it ended."""
    table = wfsim.tables.runs(sim.log)
    complete = table.status == "completed"
    return list(zip(complete, table.start, table.end, strict=True))


@pytest.mark.parametrize("at", [0, 1, 4.9, 5, 61, 94])
def test_a_namesake_is_served_at_the_tick_after_the_old_one_is_gone(at):
    sim = Simulation(scenario())
    sim.run(until=at)
    sim.delete("shop")
    sim.create(Resource("db", "shop", state="Creating"))
    sim.run()
    tick = -(-at // 5) * 5
    assert runs(sim) == [
        (False, 0.0, tick),
        (True, tick, tick + 100),
    ]


def test_a_replacement_can_be_written_as_a_fault():
    sim = Simulation(scenario(), faults=[EditAt(t=61, replace=True, spec={"size": 2})])
    sim.run()
    assert runs(sim) == [(False, 0.0, 65.0), (True, 65.0, 165.0)]
    assert (sim.resource().state, sim.resource().spec["size"]) == ("Running", 2)


def test_what_finalizers_hold_is_created_again_when_they_let_it_go():
    held = scenario(finalizers=("hold",))
    sim = Simulation(held, faults=[EditAt(t=61, replace=True)])
    sim.run()
    assert sim.resource().state == "Running"
    assert [row[0] for row in runs(sim)] == [False, True]


def test_a_fault_deletes_or_replaces_but_not_both():
    with pytest.raises(DefinitionError, match="give either delete=True or what"):
        EditAt(t=1, delete=True, replace=True)


@pytest.mark.parametrize("order", ["delete create restart", "delete restart create"])
def test_a_namesake_created_while_nobody_worked_is_served(order):
    sim = Simulation(scenario(seconds=10))
    sim.run(until=4)
    sim.crash()
    calls = {
        "delete": lambda: sim.delete("shop"),
        "create": lambda: sim.create(Resource("db", "shop", state="Creating")),
        "restart": sim.restart,
    }
    for call in order.split():
        calls[call]()
    sim.run()
    assert sim.resource("shop").state == "Running"
    assert runs(sim) == [(False, 0.0, 4.0), (True, 4.0, 14.0)]


def test_a_namesake_is_served_by_the_controller_that_takes_over():
    sim = Simulation(scenario(), controllers=2)
    sim.run(until=12)
    sim.crash("controller-1")
    sim.delete("shop")
    sim.create(Resource("db", "shop", state="Creating"))
    sim.run()
    assert sim.resource("shop").state == "Running"
    assert [row[0] for row in runs(sim)] == [False, True]


def test_a_deaf_controller_serves_the_namesake_once_it_hears_again():
    sim = Simulation(scenario(), faults=[wfsim.DropWatch(t=10, for_=21)])
    sim.run(until=12)
    sim.delete("shop")
    sim.create(Resource("db", "shop", state="Creating"))
    sim.run()
    assert runs(sim) == [(False, 0.0, 35.0), (True, 35.0, 135.0)]


def test_a_namesake_is_served_by_the_next_process_of_a_file(tmp_path):
    file = tmp_path / "runs.db"
    sim = Simulation(scenario(), db=file)
    sim.run(until=12)
    sim.crash()
    sim.delete("shop")
    sim.create(Resource("db", "shop", state="Creating"))
    again = Simulation(scenario(), db=file)
    again.run()
    assert again.resource("shop").state == "Running"
    assert runs(again)[-1] == (True, 12.0, 112.0)


def test_a_step_cannot_fetch_the_namesake_of_its_resource():
    seen = []

    @wfsim.step
    def Look(ctx):
        yield from ctx.sleep(2)
        try:
            yield from ctx.fetch()
        except wfsim.errors.NotFound as error:
            seen.append(str(error))

    flow = Flow("Look", (Step("Look"),))
    sim = Simulation(Scenario.of_flow(flow, steps=[Look]))
    sim.run(until=1)
    old = sim.resource()
    sim.delete()
    sim.create(Resource(old.kind, old.name, state="Running"))
    sim.run()
    assert seen == ["resource-0 is gone; what is there now only has its name"]


@pytest.mark.parametrize(
    ("fault", "until"),
    [
        (wfsim.ApiDown(t=10, for_=60), 70),
        (wfsim.DropWatch(t=10, for_=60), 70),
        (wfsim.StaleRead(t=10, for_=60), 70),
        (wfsim.ApiDown(t=23, for_=60), 85),
    ],
)
def test_a_cancel_is_obeyed_at_the_first_tick_at_which_it_can_be_seen(fault, until):
    sim = Simulation(scenario(), faults=[fault, CancelAt(t=22)])
    sim.run()
    (run,) = runs(sim)
    assert run == (False, 0.0, until)


def test_a_name_of_two_resources_is_refused_with_both_whole_names():
    sim = Simulation(scenario("a/db", "b/db"))
    with pytest.raises(UsageError, match="'db' fits a/db and b/db; give the whole name"):
        sim.cancel("db")
    sim.cancel("b/db")
    with pytest.raises(UsageError, match="fits a/db and b/db"):
        sim.run(until=wfsim.step_started("Restore", resource="db"))


def test_a_log_is_filtered_by_a_name_that_fits_one_resource():
    log = wfsim.simulate(scenario("a/db", "b/db", "b/cache"))
    assert log.filter(resource="cache") == log.filter(resource="b/cache") != []
    assert log.filter(resource="nobody") == []
    with pytest.raises(UsageError, match="'db' fits a/db and b/db; give the whole name"):
        log.filter(resource="db")


def test_a_fault_may_name_a_flow_of_a_service_with_its_tenant():
    flow = wfsim.Flow("F", (wfsim.Step("A", duration=1),))
    fault = FailStep("A", resource="acme/1-F")
    sim = Simulation(wfsim.Scenario(flows=[flow]), faults=[fault])
    made = sim.service.create("c", "cluster", "F", tenant="acme")
    sim.service.start(made, tenant="acme")
    sim.run()
    assert sim.service.detail(made, tenant="acme").nodes[0].status == "Error"


@pytest.mark.parametrize(
    "fault",
    [
        CancelAt(t=1, resource="db"),
        EditAt(t=1, resource="db", delete=True),
        FailStep("Restore", resource="db"),
    ],
    ids=repr,
)
def test_a_fault_in_a_name_of_two_resources_is_refused(fault):
    with pytest.raises(DefinitionError, match="'db' fits a/db and b/db"):
        wfsim.simulate(scenario("a/db", "b/db"), faults=[fault])


def test_a_whole_name_comes_before_the_last_part_of_another():
    log = wfsim.simulate(
        scenario("db", "b/db"), faults=[FailStep("Restore", resource="db")]
    )
    failed = [record.resource for record in log if record.kind == "step.failed"]
    assert failed == ["db"]


def test_a_trigger_names_one_resource():
    trigger = Trigger(Times(at=(1,)), "db", spec={"size": 2})
    with pytest.raises(DefinitionError, match="Trigger 0: 'db' fits a/db and b/db"):
        scenario("a/db", "b/db", triggers=[trigger])


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (FailStep("Restor"), "no step 'Restor'; did you mean 'Restore'?"),
        (CancelAt(t=1, resource="shp"), "no resource 'shp'; did you mean 'shop'?"),
        (
            FailStep("Restore", resource="shopp"),
            "no resource 'shopp'; did you mean 'shop'?",
        ),
    ],
    ids=repr,
)
def test_a_fault_in_what_is_not_there_is_refused_with_the_nearest_name(fault, text):
    with pytest.raises(DefinitionError) as error:
        wfsim.simulate(scenario(), faults=[fault])
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (wfsim.step_started("Restor"), "no step 'Restor'; did you mean 'Restore'?"),
        (wfsim.step_completed("Restor"), "no step 'Restor'; did you mean 'Restore'?"),
        (wfsim.state_entered("Runing"), "no state 'Runing'; did you mean 'Running'?"),
        (
            wfsim.state_entered("Running", resource="shp"),
            "no resource 'shp'; did you mean 'shop'?",
        ),
    ],
)
def test_a_condition_on_what_is_not_there_is_refused(condition, text):
    with pytest.raises(UsageError) as error:
        Simulation(scenario()).run(until=condition)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("db-{n}", "db-{n}", "db-0"),
        ("db-{n}", "db-1{n}", "db-10"),
        ("db-{n}", "db-7", "db-7"),
    ],
)
def test_two_arrivals_that_give_one_name_are_refused(one, other, name):
    arrivals = [
        Arrivals(Resource("db", one, state="Creating"), Times(every=10, count=20)),
        Arrivals(Resource("db", other, state="Creating"), Times(at=(5,))),
    ]
    with pytest.raises(DefinitionError) as error:
        scenario(arrivals=arrivals)
    text = f"Arrivals 1: arrivals 0 would come as {name!r} too"
    assert text in str(error.value)


def test_a_fault_may_name_what_is_yet_to_arrive():
    arriving = Arrivals(Resource("db", "new-{n}", state="Creating"), Times(at=(5,)))
    sim = Simulation(
        scenario(arrivals=[arriving]), faults=[FailStep("Restore", resource="new-0")]
    )
    sim.run()
    failed = [record.resource for record in sim.log if record.kind == "step.failed"]
    assert failed == ["new-0"]
