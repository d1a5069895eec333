"""Redo: the completed steps of a run, carried out once more in a fresh world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from wfsim.engine.context import StepContext, Turn
from wfsim.engine.ports import Effect, Ports
from wfsim.engine.steps import OPERATION, body_of, describe
from wfsim.errors import UsageError, Waiting
from wfsim.model.flow import Step
from wfsim.model.frozen import EMPTY
from wfsim.model.journal import Journal
from wfsim.model.memento import Memento, Quarantined, StepMemento, StepStatus
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Run
from wfsim.sim.clock import VirtualClock
from wfsim.sim.draws import KeyedDraws
from wfsim.sim.scenario import Scenario
from wfsim.sim.storage import Standing
from wfsim.sim.stores import InMemoryResources, InMemoryRuns

ATTEMPTS = 100
"""How often a completed step is tried while its effects are applied again."""

CURE = "give what stood, resume(..., world=..., resources=...)"

Entry: TypeAlias = Memento | Quarantined


class Redo:
    """Carries out completed steps on a clock of its own.

    What they took there is no time at all to the simulation that goes on from it.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.draws = KeyedDraws(seed)
        journal = Journal(self.clock)
        self.store = InMemoryResources(self.clock, journal)
        self.world = scenario.new_world()
        if self.world is not None:
            self.world.attach(self.clock, self.draws)
        self.ports = Ports(
            self.clock, self.store, InMemoryRuns(journal), scenario.bodies(),
            journal, self.draws, scenario.policy, (), self.world,
            scenario.polls(), self,
        )  # fmt: skip

    def apply(self, standing: Sequence[Standing]) -> None:
        """Carry out the completed steps of every run, one after the other."""
        doing = self.clock.process(self._all(standing))
        horizon = self.scenario.horizon
        while doing.is_alive and self.clock.peek() <= horizon:
            self.clock.step()
        if doing.is_alive:
            raise UsageError(
                f"{self._at}: a step that had completed does not end when its effects "
                f"are applied again; {CURE}"
            )
        if isinstance(doing.value, BaseException):
            raise doing.value

    def standing(self, before: Sequence[Standing]) -> list[Standing]:
        """Return the resources as the steps left them."""
        after = []
        for each in before:
            left = self.store.peek(each.resource.key)
            assert left is not None
            # They may have changed all of it but the state, which is not theirs.
            after.append(each._replace(resource=left._replace(state=each.resource.state)))
        return after

    def of(self, context: StepContext) -> Any:
        """Refuse to start flows from a step: it was not run by a service."""
        raise UsageError(f"flow {context.flow!r} is not run by a service")

    def _all(self, standing: Sequence[Standing]) -> Effect[None]:
        for resource, entries in standing:
            yield from self.store.create(resource)
            for run in entries:
                if isinstance(run, Memento):
                    yield from self._run(run, resource.key)

    def _run(self, run: Memento, key: Key) -> Effect[None]:
        flow = self.scenario.flows.get(run.flow)
        specs = {spec.name: spec for spec in flow.steps} if flow else {}
        state = self.scenario.machines[key.kind].state_running(run.flow)
        live = yield from self.store.get(key)
        yield from self.store.update(live.move(state or live.state))
        inputs = dict(run.context)
        for step in run.steps:
            if step.status is StepStatus.COMPLETED:
                if step.name in specs:
                    yield from self.step(run, step, specs[step.name], inputs, key)
                inputs |= step.output

    def step(
        self,
        run: Memento,
        step: StepMemento,
        spec: Step,
        inputs: Mapping[str, Any],
        key: Key,
    ) -> Effect[None]:
        """Carry out a completed step, until it does as it did."""
        self._at = f"{run.key}, {step.name}"
        first = max(step.attempts, 1)
        why = ""
        # The attempt that succeeded comes first: with the same seed it does again.
        for attempt in range(first, first + ATTEMPTS):
            live = yield from self.store.get(key)
            context = self.context(live, inputs, attempt, run.key, run.flow, spec)
            try:
                yield from self.perform(context)
                return
            except Waiting as signal:
                why = "it waits"
                yield self.clock.timeout(max(signal.after or 0.0, 1.0))
            except Exception as error:
                why = describe(error)
                yield self.clock.timeout(1.0)
            finally:
                context.close()
        raise UsageError(
            f"{run.key}, {step.name}: a step that had completed fails when its effects "
            f"are applied again, {ATTEMPTS} times, with {why}; {CURE}"
        )

    def context(
        self,
        resource: Resource,
        inputs: Mapping[str, Any],
        attempt: int,
        run: str,
        flow: str,
        spec: Step,
    ) -> StepContext:
        """Return what an attempt is told here; its draws are those it had."""
        key = self.scenario.flows[flow].draws_of(run)
        draws = self.draws.within(*resource.key, key)
        of = Run(run, resource.key, flow)
        return StepContext(self.ports, resource, inputs, attempt, of, spec, draws, 0)

    def begin(self, context: StepContext) -> Effect[Mapping[str, Any]]:
        """Do what the step does before it is polled; return its output, if any.

        Raises what its body raises.
        """
        turn = Turn(context.resource.key, self.clock.now)
        output = yield from body_of(self.ports, context, 0.0, turn)(context)
        return output or EMPTY

    def perform(self, context: StepContext) -> Effect[Mapping[str, Any]]:
        """Do what the step does, until what it has launched is over, too."""
        output = yield from self.begin(context)
        polling = context.spec.polling
        if polling is None or OPERATION not in output:
            return output
        context.operation = output[OPERATION]
        first = self.clock.now + polling.interval
        turn = Turn(context.resource.key, self.clock.now)
        seen = yield from body_of(self.ports, context, first, turn)(context)
        rest = {key: value for key, value in output.items() if key != OPERATION}
        return {**rest, **seen}

    _at = ""
