"""A scenario: all that a simulation needs besides a seed and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from wfsim.engine.fit import Migration
from wfsim.engine.hooks import Hooks
from wfsim.engine.ports import StepFunction
from wfsim.engine.service import KIND
from wfsim.engine.steps import DEFAULT_DURATION, StepRegistry, timed
from wfsim.errors import DefinitionError
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import EMPTY, freeze, is_json
from wfsim.model.machine import StateMachine, did_you_mean
from wfsim.model.policy import Policy
from wfsim.model.resource import CREATING, INTERRUPT, RUNNING, Resource
from wfsim.sim.world import World


class Scenario:
    """Resources, their state machine, its flows, the steps' code and the fake world.

    Without resources and machines it is a service, whose flows are created and started
    by whoever asks for them.  *flows* is a folder of flow files, or flows.  *world* makes
    the fake world anew for each simulation.  A step that has neither code nor a duration
    is an error.  *horizon* is the virtual second at which a simulation stops whatever
    goes on, *lag* the age in seconds of what controllers read from their cache.
    Of a service, *begin* asks a simulation for a flow about a business object (None: one
    that there is) as its caller does and returns its id, and *recall* does to a world
    what such a caller had done to it; without them a flow is created and started, and a
    world knows of no callers.
    Raises `DefinitionError` naming every problem.
    """

    def __init__(
        self,
        resources: Iterable[Resource] = (),
        machine: StateMachine | Iterable[StateMachine] = (),
        flows: str | Path | Iterable[Flow] = (),
        steps: Iterable[Callable[..., Any]] = (),
        *,
        world: Callable[[], World] | None = None,
        policy: Policy | None = None,
        hooks: Iterable[Hooks] = (),
        migrations: Mapping[str, Migration] = EMPTY,
        title: str = "",
        horizon: float = 7 * 86400.0,
        lag: float = 0.0,
        begin: Callable[[Any, str, str | None], str] | None = None,
        recall: Callable[[Any, Resource], None] | None = None,
    ) -> None:
        self.resources = tuple(map(_frozen, resources))
        machines = [machine] if isinstance(machine, StateMachine) else list(machine)
        self.machines = {item.kind: item for item in machines}
        self.steps = StepRegistry(steps)
        self.flows = _flows(flows, self.steps)
        self.world = world
        self.is_service = not (machines or self.resources)
        self.policy = policy or (Policy.service() if self.is_service else Policy())
        self.hooks = tuple(hooks)
        self.migrations = migrations
        self.title = title or ", ".join(sorted(self.flows))
        self.horizon = horizon
        self.lag = lag
        self.begin = begin
        self.recall = recall
        self.assumed: Mapping[str, Duration] = EMPTY
        problems = _unknown_steps(self.flows.values(), self.steps)
        problems += [
            f"two state machines for the kind {item.kind!r}; make them one"
            for item in machines
            if self.machines[item.kind] is not item
        ]
        for item in machines:
            try:
                item.validate(self.flows)
            except DefinitionError as error:
                problems += error.problems
        problems += self._bad_resources(self.resources)
        if self.is_service and not self.flows:
            problems.append("a service needs at least one flow")
        if not self.resources and not self.is_service:
            problems.append("a scenario needs at least one resource")
        if not 0.0 < horizon < float("inf"):
            problems.append(f"horizon is {horizon!r}; give seconds above 0")
        if not 0.0 <= lag < float("inf"):
            problems.append(f"lag is {lag!r}; give seconds from 0 on")
        if problems:
            raise DefinitionError(*problems)

    def __repr__(self) -> str:
        names = ", ".join(str(resource.key) for resource in self.resources)
        return f"<Scenario {self.title}: {names}>"

    @classmethod
    def of_flow(
        cls,
        file: str | Path | Flow,
        *,
        steps: Iterable[Callable[..., Any]] = (),
        duration: float | Mapping[str, Any] | Duration = DEFAULT_DURATION,
        failure: float = 0.0,
        resource: str = "resource-0",
        policy: Policy | None = None,
    ) -> Scenario:
        """Return a scenario that runs the flow of *file*, or a flow, on one resource.

        A step without code takes the duration and failure probability of its file, or
        *duration* (seconds, or what `Duration.parse` reads) and *failure*; those of
        which no file says how long they take are in ``assumed``.  Raises
        `DefinitionError`.
        """
        from wfsim.model.loading import load_flow

        number = isinstance(failure, (int, float)) and not isinstance(failure, bool)
        if not (number and 0.0 <= failure <= 1.0):
            raise DefinitionError(
                f"failure is a probability from 0 to 1, not {failure!r}"
            )
        try:
            drawn = Duration.parse(duration)
        except ValueError as error:
            raise DefinitionError(f"duration: {error}") from error
        flow = file if isinstance(file, Flow) else load_flow(file)
        registry = StepRegistry(steps)
        filled = tuple(
            step if _has_code(step, registry) else _filled(step, drawn, failure)
            for step in flow.steps
        )
        machine = (
            StateMachine("resource")
            .stable(RUNNING, INTERRUPT)
            .unstable(CREATING, run=flow.name)
        )
        made = cls(
            resources=[Resource("resource", resource)],
            machine=machine,
            flows=[replace(flow, steps=filled)],
            steps=steps,
            policy=policy or Policy(),
            title=flow.name,
        )
        made.assumed = {
            step.name: drawn
            for step in flow.steps
            if not _has_code(step, registry) and step.duration is None
        }
        return made

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of resources that there may be."""
        return (KIND,) if self.is_service else tuple(self.machines)

    def check(self, resources: Iterable[Resource]) -> None:
        """Raise `DefinitionError` if *resources* could not live in this scenario."""
        problems = self._bad_resources(tuple(resources))
        if problems:
            raise DefinitionError(*problems)

    def _bad_resources(self, resources: tuple[Resource, ...]) -> list[str]:
        problems, seen = [], set()
        for resource in resources:
            name = str(resource.key)
            if name in seen:
                problems.append(
                    f"two resources are called {name!r}; a log could not tell them apart"
                )
            seen.add(name)
            if not resource.name:
                problems.append("a resource has no name; give it one")
            if resource.kind not in self.kinds:
                near = did_you_mean(resource.kind, self.kinds)
                problems.append(
                    f"{name}: no state machine for the kind {resource.kind!r}{near}"
                )
            problems += [
                f"{name}: {part} holds what JSON cannot"
                for part in ("spec", "status", "annotations")
                if not is_json(getattr(resource, part))
            ]
        return problems

    def bodies(self) -> Mapping[str, StepFunction]:
        """Return the effect of every class name that a flow uses."""
        return self._bodies

    def polls(self) -> Mapping[str, StepFunction]:
        """Return how to look at what a class launches, for those that say how."""
        return self._polls

    def meta(self) -> Mapping[str, Any]:
        """Return what a log says of where it comes from."""
        return self._meta

    # Worked out once: it was half of what a fresh world cost, and a study has thousands.

    @cached_property
    def _class_names(self) -> list[str]:
        steps = [step for flow in self.flows.values() for step in flow.steps]
        return sorted({name for step in steps for name in _classes(step)})

    @cached_property
    def _bodies(self) -> Mapping[str, StepFunction]:
        steps = self.steps
        return {name: steps.get(name, timed) for name in self._class_names}

    @cached_property
    def _polls(self) -> Mapping[str, StepFunction]:
        return self.steps.polls(self._class_names)

    @cached_property
    def _meta(self) -> Mapping[str, Any]:
        machines, flows = sorted(self.machines.items()), sorted(self.flows.items())
        meta: Mapping[str, Any] = freeze(
            {
                "title": self.title,
                "edges": {kind: machine.edges() for kind, machine in machines},
                "flows": {name: flow.names for name, flow in flows},
            }
        )
        return meta


def _has_code(step: Step, steps: StepRegistry) -> bool:
    return all(name in steps for name in _classes(step))


def _filled(step: Step, duration: Duration, failure: float) -> Step:
    return replace(
        step,
        duration=step.duration or duration,
        failure=failure if step.failure is None else step.failure,
    )


def _flows(flows: str | Path | Iterable[Flow], steps: StepRegistry) -> dict[str, Flow]:
    if isinstance(flows, (str, Path)):
        from wfsim.model.loading import load_flows

        return load_flows(flows, classes=steps)
    found: dict[str, Flow] = {}
    for flow in flows:
        if flow.name in found:
            raise DefinitionError(f"two flows are called {flow.name!r}")
        found[flow.name] = flow
    return found


def _unknown_steps(flows: Iterable[Flow], steps: StepRegistry) -> list[str]:
    return [
        f"{step.source}: step {step.name!r} of flow {flow.name!r}: the class "
        f"{name!r} has no code and no duration{did_you_mean(name, steps)}"
        for flow in flows
        for step in flow.steps
        if step.duration is None and step.failure is None
        for name in _classes(step)
        if name not in steps
    ]


def _classes(step: Step) -> tuple[str, ...]:
    return step.class_names if step.undo is None else (*step.class_names, step.undo)


def _frozen(resource: Resource) -> Resource:
    """Return *resource* with nothing in it that its maker could still change."""
    return resource._replace(
        spec=freeze(resource.spec),
        status=freeze(resource.status),
        annotations=freeze(resource.annotations),
        finalizers=tuple(resource.finalizers),
    )
