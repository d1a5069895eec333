"""What a step is told, and every shape in which its body may come."""

from __future__ import annotations

import functools

import pytest

import wfsim
from wfsim import Flow, Kind, Resource, Simulation, Step
from wfsim.engine.context import CONFLICTS, rewrite
from wfsim.engine.steps import StepRegistry, name_of


def plain(ctx):
    return {"told": ctx.step}


def generator(ctx):
    yield from ctx.sleep(2.0)
    return {"told": ctx.step}


async def coroutine(ctx):
    await ctx.sleep(2.0)
    return {"told": ctx.step}


def returns_a_generator(ctx):
    return generator(ctx)


class Shared:
    """What the bodies below have in common, as a base class of somebody's own."""

    def init(self, ctx):
        self.told = ctx.step

    def output(self, ctx):
        return {"told": self.told}


class PlainClass(Shared):
    def do_step(self, ctx):
        return {"not": "used"}


class GeneratorClass(Shared):
    def init(self, ctx):
        yield from ctx.sleep(1.0)
        self.told = ctx.step

    def do_step(self, ctx):
        yield from ctx.sleep(2.0)

    def output(self, ctx):
        yield from ctx.sleep(3.0)
        return {"told": self.told}


class CoroutineClass(Shared):
    async def init(self, ctx):
        await ctx.sleep(1.0)
        self.told = ctx.step

    async def do_step(self, ctx):
        await ctx.sleep(2.0)

    async def output(self, ctx):
        await ctx.sleep(3.0)
        return {"told": self.told}


class OnlyDoStep:
    def do_step(self, ctx):
        return {"told": ctx.step}


def named(body, name="Body"):
    return wfsim.step(name)(body)


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        (plain, 0.0),
        (generator, 2.0),
        (coroutine, 2.0),
        (returns_a_generator, 2.0),
        (PlainClass, 0.0),
        (GeneratorClass, 6.0),
        (CoroutineClass, 6.0),
        (OnlyDoStep, 0.0),
    ],
)
def test_a_body_of_any_shape_runs_and_its_output_is_kept(scenario, rows, body, ends):
    flow = Flow("Build", (Step("First", body.__name__),))
    simulation = Simulation(scenario(body, flow=flow))
    assert rows(simulation.run(), "step") == [
        (0.0, "step.started", "First"),
        (ends, "step.completed", "First"),
    ]
    assert simulation.mementos()[-1].steps[0].output == {"told": "First"}


def test_a_partial_is_a_step_once_it_has_a_name(scenario, rows):
    def wait(ctx, seconds):
        yield from ctx.sleep(seconds)

    body = named(functools.partial(wait, seconds=4.0), "Wait")
    flow = Flow("Build", (Step("First", "Wait"),))
    body.__name__ = "Wait"
    simulation = Simulation(scenario(body, flow=flow))
    assert rows(simulation.run(), "step.completed") == [(4.0, "step.completed", "First")]


class Breaks(Shared):
    where = ""

    def init(self, ctx):
        super().init(ctx)
        self.at("init")

    def do_step(self, ctx):
        self.at("do_step")

    def output(self, ctx):
        self.at("output")
        return super().output(ctx)

    def at(self, place):
        if place == self.where:
            raise self.error


@pytest.mark.parametrize("where", ["__init__", "init", "do_step", "output"])
@pytest.mark.parametrize(
    ("error", "row"),
    [
        (ValueError("bad"), ("step.failed", "step Body fail: ValueError: bad")),
        (wfsim.Waiting(), ("step.waiting", "Body")),
        (wfsim.Interrupted("LOST", "pod"), ("run.interrupted", "LOST: pod")),
    ],
)
def test_an_error_anywhere_in_a_class_is_the_steps_error(
    scenario, rows, where, error, row
):
    class Body(Breaks):
        def __init__(self):
            self.where, self.error = where, error
            self.at("__init__")

    log = wfsim.simulate(scenario(Body), until=0.5)
    kind, text = row
    if where == "init":
        # As wf_runtime.go says it, the class and the name of the step in between.
        text = text.replace("step Body", "init step context").replace(
            "fail:", "fail for &{Body Body}:"
        )
    assert rows(log, "step", "run.i") == [
        (0.0, "step.started", "Body"),
        (0.0, kind, text),
    ]


def test_each_attempt_gets_an_instance_of_its_own(scenario):
    class Body:
        tries = 0

        def do_step(self, ctx):
            self.tries += 1
            if ctx.attempt < 3:
                raise ValueError
            return {"tries": self.tries}

    simulation = Simulation(scenario(Body))
    simulation.run()
    assert simulation.mementos()[-1].steps[0].output == {"tries": 1}


def test_a_step_is_called_as_its_function_unless_it_is_given_a_name():
    assert wfsim.step(plain) is plain
    assert name_of(plain) == "plain"
    assert name_of(named(generator, "workflow_shared.Generator")) == (
        "workflow_shared.Generator"
    )
    del generator.__wfsim_step__, plain.__wfsim_step__


def test_a_class_does_not_inherit_the_name_of_its_base():
    base = named(type("Base", (OnlyDoStep,), {}), "pkg.Base")
    derived = type("Derived", (base,), {})
    assert (name_of(base), name_of(derived)) == ("pkg.Base", "Derived")
    assert sorted(StepRegistry([base, derived])) == ["Derived", "pkg.Base"]


def test_a_class_name_with_a_package_finds_the_body_without_one():
    registry = StepRegistry([plain, named(OnlyDoStep, "pkg.Only")])
    assert "workflow_shared.plain" in registry
    assert registry["workflow_shared.plain"] is registry["plain"]
    assert "pkg.Only" in registry
    assert "Only" not in registry
    assert 7 not in registry
    assert len(registry) == 2
    assert repr(registry) == "StepRegistry(['pkg.Only', 'plain'])"
    with pytest.raises(KeyError, match="'plan' is not registered; did you mean 'plain'"):
        registry["plan"]
    del OnlyDoStep.__wfsim_step__


@pytest.mark.parametrize(
    ("bodies", "problem"),
    [
        ([plain, plain], "step 'plain' is registered twice"),
        ([type("Empty", (), {})], "step class 'Empty' has no method 'do_step'"),
        ([7], "a step is a function or a class, not 7"),
        ([functools.partial(plain)], "has no name; give it one"),
    ],
)
def test_what_cannot_be_a_step_is_refused(bodies, problem):
    with pytest.raises(wfsim.DefinitionError, match=problem):
        StepRegistry(bodies)


def test_a_step_sees_the_context_and_the_outputs_of_all_earlier_steps(scenario, body):
    seen = {}

    def Last(ctx):
        seen.update(ctx.inputs)

    bodies = body("A", {"a": 1, "x": "A"}), body("B", {"b": 2.0, "x": "B"}), body("C")
    wfsim.simulate(scenario(*bodies, Last))
    assert seen == {
        "_flowSaveNumberKey": "1-Build",
        "_flowSaveResourceNameKey": "orders-workflow",
        "_flowSaveResourceNameSpaceKey": "default",
        "_resourceName": "orders",
        "_resourceNameSpace": "default",
        "a": 1,
        "b": 2.0,
        "x": "B",
    }


def test_inputs_are_immutable_all_the_way_down(scenario, rows, body):
    def B(ctx):
        ctx.inputs["deep"][0]["key"] = "changed"

    log = wfsim.simulate(scenario(body("A", {"deep": [{"key": 1}]}), B), until=1.5)
    assert rows(log, "step.failed") == [
        (
            1.0,
            "step.failed",
            "step B fail: TypeError: this mapping is immutable; return a new one as "
            "the step's output",
        )
    ]


def test_the_first_step_cannot_change_the_context_that_is_kept(scenario, rows):
    def A(ctx):
        ctx.inputs["_resourceName"] = "another"

    simulation = Simulation(scenario(A))
    simulation.run(until=0.5)
    assert "immutable" in rows(simulation.log, "step.failed")[0][2]
    assert simulation.mementos()[-1].context["_resourceName"] == "orders"


@pytest.mark.parametrize("restart", [False, True])
def test_inputs_keep_their_types_even_over_a_restart(scenario, body, restart):
    told = {"int": 3, "float": 3.0, "big": 2**70, "yes": True, "no": None, "s": "3"}
    told["nested"] = {"list": [1, 1.0, "1", [True]], "empty": {}}
    seen = []

    def B(ctx):
        yield from ctx.sleep(5.0)
        seen.append(ctx.inputs)

    simulation = Simulation(scenario(body("A", told), B))
    if restart:
        simulation.run(until=3.0)
        simulation.crash()
        simulation.restart()
    simulation.run()
    inputs = {key: seen[-1][key] for key in told}
    assert repr(inputs) == repr(
        {**told, "nested": {"empty": {}, "list": (1, 1.0, "1", (True,))}}
    )


def test_the_context_says_where_it_belongs(scenario):
    seen = []

    def A(ctx):
        seen.append((ctx.run, ctx.flow, ctx.step, ctx.attempt, ctx.is_open))
        seen.append((ctx.resource.name, ctx.clock.now, repr(ctx)))
        seen.append(ctx)

    wfsim.simulate(scenario(A))
    first, second, context = seen
    assert first == ("1-Build", "Build", "A", 1, True)
    assert second == ("orders", 0.0, "<StepContext orders 1-Build A 1>")
    assert not context.is_open


def test_attempts_count_every_start(scenario):
    seen = []

    def A(ctx):
        seen.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ValueError
        if ctx.attempt == 3:
            raise wfsim.Interrupted("STOP")
        yield from ctx.sleep(10.0)

    simulation = Simulation(scenario(A))
    simulation.run(until=5.0)
    simulation.recover()
    simulation.run(for_=1.0)
    simulation.crash()
    simulation.restart()
    simulation.run()
    assert seen == [1, 2, 3, 4, 5]


def test_lines_of_a_step_land_in_the_log(scenario):
    def A(ctx):
        ctx.log("begun")
        yield from ctx.sleep(1.5)
        ctx.log(7)

    log = wfsim.simulate(scenario(A))
    assert [record[1:9] for record in log.filter(Kind.STEP_LOG)] == [
        (0.0, Kind.STEP_LOG, "orders", "1-Build", "Build", "A", 1, "begun"),
        (1.5, Kind.STEP_LOG, "orders", "1-Build", "Build", "A", 1, "7"),
    ]


def test_draws_are_an_attempts_own_and_no_other_steps_retries_change_them(scenario):
    def draws(failures):
        seen = []

        def A(ctx):
            if ctx.attempt <= failures:
                ctx.draw()
                raise ValueError

        def B(ctx):
            seen.append((ctx.draw(), ctx.draw(), ctx.draw("size")))
            if ctx.attempt == 1:
                raise ValueError

        wfsim.simulate(scenario(A, B), seed=3)
        return seen

    first, second = draws(failures=0)
    assert draws(failures=4) == [first, second]
    assert first[0] == first[1]
    assert len({first[0], first[2], second[0], second[2]}) == 4
    assert all(0.0 <= number < 1.0 for number in (*first, *second))


def test_a_step_waits_for_events_and_gets_their_values(scenario):
    async def A(ctx):
        event = ctx.clock.event()
        ctx.clock.call(3.0, lambda: event.succeed("done"))
        return {"value": await ctx.wait(event)}

    simulation = Simulation(scenario(A))
    simulation.run()
    assert simulation.mementos()[-1].steps[0].output == {"value": "done"}
    assert simulation.now == 3.0


def test_a_step_reads_and_edits_its_resource(scenario, rows):
    def A(ctx):
        yield from ctx.sleep(1.0)
        assert "size" not in ctx.resource.spec
        fresh = yield from ctx.fetch()
        assert fresh.spec["size"] == ctx.resource.spec["size"] == 2
        yield from ctx.update(
            spec={"size": 3}, status={"nodes": ["n1"]}, annotations={"seen": "yes"}
        )
        yield from ctx.update(annotations={"seen": None}, finalizers=["b", "a"])

    simulation = Simulation(scenario(A))
    simulation.run(until=0.5)
    simulation.edit(spec={"size": 2})
    assert rows(simulation.run(), "resource.edited") == [
        (0.5, "resource.edited", "spec"),
        (1.0, "resource.edited", "spec, status, annotations"),
        (1.0, "resource.edited", "annotations, finalizers"),
    ]
    left = simulation.resource()
    assert (left.spec, left.status, left.annotations) == (
        {"size": 3},
        {"nodes": ("n1",)},
        {},
    )
    assert left.finalizers == ("a", "b")


@pytest.mark.parametrize("times", [1, 3])
def test_an_edit_of_a_step_is_made_again_after_a_conflict(scenario, times):
    def A(ctx):
        yield from ctx.update(status={"ready": True})

    faults = [wfsim.RefuseWrite(write=3, times=times)]
    simulation = Simulation(scenario(A), faults=faults)
    simulation.run()
    assert simulation.resource().status == {"ready": True}
    assert len(simulation.log.filter(Kind.STEP_STARTED)) == 1


def test_an_edit_that_meets_conflicts_for_ever_gives_up(scenario, rows):
    def A(ctx):
        yield from ctx.update(status={"ready": True})

    faults = [wfsim.RefuseWrite(write=3, times=CONFLICTS)]
    simulation = Simulation(scenario(A), faults=faults)
    simulation.run()
    assert rows(simulation.log, "step")[1][:2] == (0.0, "step.failed")
    assert "Conflict" in rows(simulation.log, "step.failed")[0][2]
    assert simulation.resource().status == {"ready": True}


def test_an_edit_that_changes_nothing_is_no_write():
    class Store:
        writes = 0

        def get(self, key):
            return Resource("db", "orders", spec={"size": 1})
            yield

        def update(self, resource, token):
            self.writes += 1
            return resource
            yield

    store = Store()
    same = rewrite(store, None, lambda resource: resource.edit(spec={"size": 1}), 1)
    assert list(same) == []
    assert store.writes == 0


def test_a_step_does_not_edit_another_resource_of_the_same_name(scenario, rows):
    def A(ctx):
        yield from ctx.sleep(5.0)
        yield from ctx.update(status={"ready": True})

    simulation = Simulation(scenario(A))
    simulation.run(until=1.0)
    simulation.delete()
    simulation.create(Resource("db", "orders", state="Running"))
    assert rows(simulation.run(), "step.failed") == [
        (
            5.0,
            "step.failed",
            "step A fail: NotFound: orders is gone; what is there now only has its name",
        )
    ]
    assert simulation.resource().status == {}


def test_a_step_without_code_takes_its_duration_and_fails_as_often_as_it_says(rows):
    def of(duration, failure):
        step = Step("A", duration=duration, failure=failure)
        machine = wfsim.StateMachine("db").stable("Running", "Interrupt")
        return wfsim.Scenario(
            [Resource("db", "orders")],
            machine.unstable("Creating", run="Build"),
            [Flow("Build", (step,))],
        )

    three = wfsim.Duration("constant", (3.0,))
    assert rows(wfsim.simulate(of(three, None)), "step") == [
        (0.0, "step.started", "A"),
        (3.0, "step.completed", "A"),
    ]
    never = wfsim.simulate(of(None, 1.0))
    assert rows(never, "step.failed")[0] == (
        1.0,
        "step.failed",
        "step A fail: A fails with probability 1",
    )
    attempts = [
        len(wfsim.simulate(of(None, 0.5), seed=seed).filter(Kind.STEP_STARTED))
        for seed in range(40)
    ]
    assert 1.5 < sum(attempts) / 40 < 2.5
