"""Whatever happens in whatever order: the invariants hold, and calm brings all to rest.

Hypothesis drives one small simulation with two controllers: time passes, steps fail,
people cancel, edit, recover and delete, controllers die, stand still and come back.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import wfsim
from tests.sizes import FULL
from wfsim.model.record import Kind
from wfsim.model.resource import INTERRUPT, PREVIOUS
from wfsim.sim.simulation import Simulation

LIMIT = 3
NAMES = ("db-0", "db-1")
STEPS = {"Create": ("Disk", "Pod", "Check"), "Grow": ("Resize", "Check")}
FROM_FIRST = {"Grow"}
STEP_NAMES = ("Disk", "Pod", "Check", "Resize")
CONTROLLERS = ("controller-0", "controller-1")


class Bad:
    """How often each step is still to fail or to wait."""

    def __init__(self):
        self.failures = Counter()
        self.waits = Counter()

    def raise_if_due(self, step):
        for left, signal in (
            (self.failures, ValueError(f"{step} is to fail")),
            (self.waits, wfsim.Waiting(after=1.5)),
        ):
            if left[step] > 0:
                left[step] -= 1
                raise signal

    def clear(self):
        self.failures.clear()
        self.waits.clear()


def scenario(bad):
    @wfsim.step
    def Disk(context):
        yield from context.sleep(2)
        bad.raise_if_due("Disk")
        return {"disk": f"disk-of-{context.resource.name}"}

    @wfsim.step
    async def Pod(context):
        await context.sleep(1)
        await context.update(status={"pod": context.inputs["disk"]})
        await context.sleep(2)
        bad.raise_if_due("Pod")
        return {"pod": f"pod-on-{context.inputs['disk']}"}

    @wfsim.step
    def Check(context):
        yield from context.sleep(0.5)
        bad.raise_if_due("Check")

    @wfsim.step
    def Resize(context):
        size = context.inputs["size"]
        yield from context.sleep(size)
        bad.raise_if_due("Resize")
        yield from context.update(status={"size": size})
        return {"resized": size}

    def too_small(resource):
        size = resource.spec.get("size", 0)
        if size > resource.status.get("size", 0):
            return wfsim.Event("TooSmall", {"size": size})
        return None

    def release(context):
        yield from context.sleep(1)

    machine = wfsim.StateMachine("db").stable("Running", INTERRUPT)
    machine.unstable("Creating", run="Create")
    machine.transition("Running", "Growing", when=too_small, run="Grow")
    machine.finalizer("disk", release)
    flows = [
        wfsim.Flow(
            name,
            tuple(map(wfsim.Step, steps)),
            recover_from_first_step=name in FROM_FIRST,
        )
        for name, steps in STEPS.items()
    ]
    retry = wfsim.Retry(limit=LIMIT, restarts=50, delay=0.7)
    return wfsim.Scenario(
        [wfsim.Resource("db", name, finalizers=("disk",)) for name in NAMES],
        machine,
        flows,
        [Disk, Pod, Check, Resize],
        policy=wfsim.Policy(retry=retry, timeout=60.0),
    )


class Chaos(RuleBasedStateMachine):
    """Two resources, two controllers, and everything that may happen to them."""

    def __init__(self):
        super().__init__()
        self.bad = Bad()
        self.sim = Simulation(scenario(self.bad), controllers=len(CONTROLLERS))
        self.dead, self.still, self.deleted = set(), set(), set()

    def there(self):
        """The resources that there are, by name."""
        keys = self.sim.resources.keys()
        return {str(key): self.sim.resources.peek(key) for key in keys}

    def alive(self, name):
        return name in self.there()

    @rule(seconds=st.sampled_from([0, 0.1, 0.5, 1, 2.3, 5, 11, 40]))
    def advance(self, seconds):
        self.sim.run(for_=seconds)

    @rule(records=st.integers(1, 4))
    def step(self, records):
        for _ in range(records):
            self.sim.step()

    @rule(step=st.sampled_from(STEP_NAMES), times=st.integers(1, 5), wait=st.booleans())
    def spoil(self, step, times, wait):
        """Let the next attempts of *step* fail or wait, and some time pass."""
        (self.bad.waits if wait else self.bad.failures)[step] = times
        self.sim.run(for_=2)

    @rule(name=st.sampled_from(NAMES))
    def cancel(self, name):
        if self.alive(name):
            self.sim.cancel(name)

    @rule(name=st.sampled_from(NAMES))
    def uncancel(self, name):
        if self.alive(name):
            self.sim.uncancel(name)

    @rule(name=st.sampled_from(NAMES))
    def recover(self, name):
        # What is not interrupted cannot be recovered.
        if self.alive(name) and self.sim.resource(name).state == "Interrupt":
            self.sim.recover(name)

    @rule(name=st.sampled_from(NAMES), size=st.integers(1, 4))
    def edit(self, name, size):
        if self.alive(name):
            self.sim.edit(name, spec={"size": size})

    def up(self):
        return [name for name in CONTROLLERS if name not in self.dead | self.still]

    @precondition(lambda self: len(self.dead) < len(CONTROLLERS))
    @rule(index=st.integers(0, 1))
    def crash(self, index):
        alive = [name for name in CONTROLLERS if name not in self.dead]
        name = alive[index % len(alive)]
        self.dead.add(name)
        self.still.discard(name)
        self.sim.crash(name)

    @precondition(lambda self: self.dead)
    @rule()
    def restart(self):
        name = sorted(self.dead)[0]
        self.dead.remove(name)
        self.sim.restart(name)

    @precondition(lambda self: self.up())
    @rule(index=st.integers(0, 1))
    def pause(self, index):
        name = self.up()[index % len(self.up())]
        self.still.add(name)
        self.sim.pause(name)

    @precondition(lambda self: self.still)
    @rule(index=st.integers(0, 1))
    def unpause(self, index):
        name = sorted(self.still)[index % len(self.still)]
        self.still.remove(name)
        self.sim.unpause(name)

    @precondition(lambda self: not self.deleted)
    @rule(name=st.sampled_from(NAMES))
    def delete(self, name):
        self.sim.delete(name)
        self.deleted.add(name)

    def kept(self):
        """Every memento in the store, by resource and run."""
        keys = self.sim.stored.keys()
        return {
            (str(key), run.key): run.memento()
            for key in keys
            for run in now(self.sim.stored.entries(key))
        }

    @invariant()
    def time_never_goes_back(self):
        times = [record.time for record in self.sim.log]
        assert times == sorted(times)
        assert not times or times[-1] <= self.sim.now

    @invariant()
    def the_fold_of_the_log_is_what_the_stores_hold(self):
        fold = self.sim.log.fold()
        assert fold.resources == self.there()
        assert fold.mementos == self.kept()

    @invariant()
    def a_completed_step_starts_again_only_after_a_recovery_from_the_first_one(self):
        done = {}
        for record in self.sim.log:
            steps = done.setdefault((record.resource, record.run), set())
            if record.kind is Kind.STEP_STARTED:
                assert record.step not in steps, record
            elif record.kind is Kind.STEP_COMPLETED:
                steps.add(record.step)
            elif record.kind is Kind.RUN_RECOVERED and record.flow in FROM_FIRST:
                steps.clear()

    @invariant()
    def steps_start_in_order(self):
        for record in self.sim.log.filter(Kind.STEP_STARTED):
            index = STEPS[record.flow].index(record.step)
            before = record.value.steps[:index]
            assert all(step.status.value == "completed" for step in before), record

    @invariant()
    def a_resource_has_at_most_one_unfinished_run(self):
        open_runs = [name for (name, _), run in self.kept().items() if not run.is_final]
        assert len(open_runs) == len(set(open_runs))

    @invariant()
    def retries_stay_within_their_budget(self):
        for run in self.kept().values():
            assert all(step.retries <= LIMIT for step in run.steps)

    def teardown(self):
        """Let there be calm, and see everything come to rest where it belongs."""
        self.bad.clear()
        while self.dead:
            self.restart()
        while self.still:
            self.unpause(0)
        for _ in range(2):
            for name in filter(self.alive, NAMES):
                self.sim.uncancel(name)
                self.sim.run(for_=120)
                if self.alive(name) and self.sim.resource(name).state == INTERRUPT:
                    self.sim.recover(name)
            self.sim.run(for_=120)
        self.the_fold_of_the_log_is_what_the_stores_hold()
        self.a_completed_step_starts_again_only_after_a_recovery_from_the_first_one()
        self.a_resource_has_at_most_one_unfinished_run()
        assert set(self.there()) == set(NAMES) - self.deleted
        for name in filter(self.alive, NAMES):
            self.came_to_rest(name)
        assert {name for name, _ in self.kept()} <= set(NAMES) - self.deleted

    def came_to_rest(self, name):
        resource = self.sim.resource(name)
        assert resource.state == "Running"
        assert PREVIOUS not in resource.annotations
        runs = [run for (owner, _), run in self.kept().items() if owner == name]
        assert {run.status.value for run in runs} == {"completed"}
        disk, pod, check = (step.output for step in runs[0].steps)
        assert (disk, check) == ({"disk": f"disk-of-{name}"}, {})
        assert pod == {"pod": f"pod-on-disk-of-{name}"}
        assert resource.status["pod"] == f"disk-of-{name}"
        assert resource.status.get("size", 0) >= resource.spec.get("size", 0)


def now(effect):
    """Return the result of an effect that takes no time."""
    try:
        raise AssertionError(next(effect))
    except StopIteration as stop:
        return stop.value


TestChaos = Chaos.TestCase
TestChaos.settings = settings(
    max_examples=1000 if FULL else 50,
    stateful_step_count=50 if FULL else 30,
    deadline=None,
    derandomize=not FULL,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
