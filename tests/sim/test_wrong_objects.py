"""A wrong object is refused by name, with what to give instead."""

import pytest

import wfsim
from wfsim import Flow, Resource, Scenario, Step, UsageError


@wfsim.step
def Work(ctx):
    yield from ctx.sleep(100)


class Fake(wfsim.World):
    pass


class Forgetful(wfsim.World):
    def __init__(self):
        self.pods = {}


FLOW = Flow("W", (Step("Work"),))


def machine():
    return (
        wfsim.StateMachine("w")
        .stable("Running", "Interrupt")
        .unstable("Creating", run="W")
    )


def scenario(**other):
    usual = {
        "resources": [Resource("w", "r")],
        "machine": machine(),
        "flows": [FLOW],
        "steps": [Work],
    }
    return Scenario(**(usual | other))


@pytest.mark.parametrize(
    ("other", "cure"),
    [
        ({"resources": Resource("w", "r")}, "give a list: resources=[Resource(...)]"),
        ({"steps": Work}, "steps is Work; give a list: steps=["),
        ({"steps": {"Work": Work}}, "steps is {'Work': Work}; give a list: steps=["),
        ({"flows": FLOW}, "give a list: flows=[Flow(...)]"),
        ({"machine": wfsim.StateMachine}, "machine is the class StateMachine; give"),
        ({"machine": [42]}, "machine is 42; give StateMachine(...), or a list of them"),
        ({"hooks": wfsim.Hooks()}, "give a list: hooks=[Hooks()]"),
        ({"faults": wfsim.CrashAt(t=1)}, "give a list: faults=[CrashAt(t=40)]"),
        (
            {"world": Fake()},
            "world is <Fake, 0 pending>; give the class, or what makes one: world=Fake",
        ),
    ],
)
def test_an_argument_of_a_scenario_says_what_to_give(other, cure):
    with pytest.raises(wfsim.DefinitionError) as caught:
        scenario(**other)
    assert cure in str(caught.value)
    assert " at 0x" not in str(caught.value)


@pytest.mark.parametrize(
    ("world", "text"),
    [
        (Forgetful, "Forgetful.__init__() does not call super().__init__(); write that"),
        (dict, "world makes {}, which is no World; give a subclass of wfsim.World"),
    ],
)
def test_a_world_that_cannot_live_is_refused_before_anything_runs(world, text):
    with pytest.raises(UsageError) as caught:
        wfsim.simulate(scenario(world=world))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (scenario, "scenario is no scenario; call it: scenario()"),
        ("job.yaml", "'job.yaml' is no scenario; give wfsim.Scenario.load(file)"),
        (FLOW, "is no scenario; give wfsim.Scenario.of_flow(flow)"),
        (None, "None is no scenario; give wfsim.Scenario(...)"),
    ],
)
def test_what_is_no_scenario_is_not_simulated(value, text):
    for run in (wfsim.simulate, wfsim.Simulation):
        with pytest.raises(UsageError) as caught:
            run(value)
        assert text in str(caught.value)


@pytest.mark.parametrize("faults", [42, wfsim.CrashAt, None], ids=str)
def test_what_is_no_fault_is_not_armed(faults):
    with pytest.raises(UsageError, match="is not a fault; give some, such as"):
        wfsim.simulate(scenario(), faults=faults)


@pytest.mark.parametrize(
    "fault",
    [
        wfsim.CrashAt(t=45),
        wfsim.CancelAt(t=64.9),
        wfsim.ApiDown(t=45, for_=30),
        wfsim.CrashAt(write=1),
    ],
    ids=str,
)
def test_a_fault_in_the_past_of_a_fork_is_refused(fault):
    sim = wfsim.Simulation(scenario())
    sim.run(until=65)
    with pytest.raises(UsageError, match=r"already; give a later .*, or fork earlier"):
        sim.fork(faults=[fault])
    assert sim.fork(faults=[wfsim.CrashAt(t=65)]).run().filter(wfsim.Kind.FAULT_FIRED)


def test_tables_charts_and_exports_take_a_simulation(tmp_path):
    sim = wfsim.Simulation(scenario())
    log = sim.run()
    for name in wfsim.tables.__all__:
        table = getattr(wfsim.tables, name)
        more = (3,) if name == "lineage" else ()
        assert table(sim, *more).equals(table(log, *more)), name
    for name in ("gantt", "states", "latency", "breakdown", "utilisation", "queue"):
        chart = getattr(wfsim.charts, name)
        assert chart(sim).sentence == chart(log).sentence, name
    for name in ("to_history", "to_chrome_trace", "to_xes", "to_html"):
        export = getattr(wfsim.export, name)
        texts = [export(each, tmp_path / name).read_bytes() for each in (sim, log)]
        assert texts[0] == texts[1], name
    assert wfsim.replay.state_at(sim, 50.0) == wfsim.replay.state_at(log, 50.0)


def test_a_chart_of_a_study_says_what_it_takes():
    with pytest.raises(UsageError, match="int is no study; give one"):
        wfsim.charts.ecdf(42)
    with pytest.raises(UsageError, match="EventLog is no study"):
        wfsim.charts.convergence(wfsim.EventLog())
