"""Redo for a service: the completed nodes of its flows, each at its own time."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

from wfsim.engine.context import StepContext
from wfsim.engine.flow_status import ENDED, FlowStatus, status_of
from wfsim.engine.ports import Effect
from wfsim.engine.service import BIZ_ID, BIZ_TYPE, KIND, MONTH, PARENT, context_of
from wfsim.engine.steps import OPERATION
from wfsim.errors import UsageError
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY, storable
from wfsim.model.memento import Memento, Quarantined, StepMemento, StepStatus
from wfsim.model.resource import Key, Resource
from wfsim.sim.redo import CURE, Entry, Redo
from wfsim.sim.scenario import Scenario
from wfsim.sim.storage import Standing


class ServiceRedo(Redo):
    """Carries out all flows side by side, each node no earlier than it was begun.

    First the world is told of each flow what its caller had done (``Scenario.recall``).
    A node that was polled when the mementos end has its operation launched once more.
    A child of which there is no memento is carried out whole by the node that started
    it, and has finished.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        super().__init__(scenario, seed)
        self.origin = 0.0
        self.born: dict[Key, Resource] = {}
        self.told: dict[tuple[str, str], Mapping[str, Any]] = {}

    def of(self, context: StepContext) -> Any:
        """Return the service as a completed node of one of its flows saw it."""
        return _Children(self, context)

    def standing(self, before: Sequence[Standing]) -> list[Standing]:
        """Return the flows as the nodes left them, and children that are told of."""
        known = {each.resource.key for each in before}
        born = [Standing(each, ()) for key, each in self.born.items() if key not in known]
        return [*super().standing(before), *born]

    def _all(self, standing: Sequence[Standing]) -> Effect[None]:
        self.origin = min((_created(each.resource) for each in standing), default=0.0)
        for each in standing:
            yield from self.store.create(each.resource)
        flows = [self.clock.process(self._flow(each)) for each in standing]
        for flow in flows:
            if not flow.triggered:
                yield flow
            if isinstance(flow.value, BaseException):
                raise flow.value

    def _at_time(self, time: float | None) -> Effect[None]:
        left = (time or 0.0) - self.origin - self.clock.now
        if left > 0:
            yield self.clock.timeout(left)

    def _flow(self, each: Standing) -> Effect[None]:
        resource, entries = each
        yield from self._at_time(_created(resource))
        if self.scenario.recall is not None and self.world is not None:
            self.scenario.recall(self.world, resource)
        for run in entries:
            if isinstance(run, Memento) and run.flow in self.scenario.flows:
                yield from self._nodes(run, resource.key)
        if resource.state in ENDED and self.world is not None:
            yield from self._at_time(resource.status.get("updated"))
            self.world.heard(None, resource)

    def _nodes(self, run: Memento, key: Key) -> Effect[None]:
        specs = {spec.name: spec for spec in self.scenario.flows[run.flow].steps}
        inputs = dict(run.context)
        begun = [step for step in run.steps if step.started is not None]
        for step in sorted(begun, key=lambda step: step.started or 0.0):
            yield from self._at_time(step.started)
            if step.name in specs and step.status is StepStatus.COMPLETED:
                self.told[run.key, step.name] = step.output
                yield from self.step(run, step, specs[step.name], inputs, key)
                inputs |= step.output
            elif step.name in specs and step.operation and step.finished is None:
                yield from self._launched(run, step, specs[step.name], inputs, key)

    def _launched(
        self,
        run: Memento,
        step: StepMemento,
        spec: Any,
        inputs: Mapping[str, Any],
        key: Key,
    ) -> Effect[None]:
        live = yield from self.store.get(key)
        context = self.context(live, inputs, step.attempts, run.key, run.flow, spec)
        again = (yield from self.begin(context)).get(OPERATION)
        context.close()
        if again != step.operation:
            raise UsageError(
                f"{run.key}, {step.name}: the operation {step.operation} cannot be made "
                f"again: its launch makes {again}; {CURE}"
            )

    def whole(self, flow: Flow, child: Resource) -> Effect[None]:
        """Carry out the main path of *child*, which a completed node has started."""
        inputs: dict[str, Any] = dict(context_of(child))
        yield from self.store.create(child)
        specs = {spec.name: spec for spec in flow.steps}
        for name in flow.main_path():
            live = yield from self.store.get(child.key)
            attempt = self.context(live, inputs, 1, child.name, flow.name, specs[name])
            inputs |= yield from self.perform(attempt)
            attempt.close()


def flow_of(entry: Entry) -> Resource:
    """Return the flow of *entry*, as far as that alone tells where it stands."""
    _, tenant, name = entry.resource
    if isinstance(entry, Quarantined):
        name_of, whole, times = entry.key.partition("-")[2], EMPTY, [0.0]
        state = FlowStatus.PROCESSING
    else:
        name_of, whole, state = entry.flow, entry.context, status_of(entry)
        times = [step.finished for step in entry.steps if step.finished is not None]
        times += [entry.started or 0.0, entry.finished or 0.0]
    context = {key: value for key, value in whole.items() if key[0] != "_"}
    about = {"bizId": whole.get(BIZ_ID, ""), "bizType": whole.get(BIZ_TYPE, "")}
    created = 0.0 if isinstance(entry, Quarantined) else entry.started or 0.0
    return Resource(
        KIND,
        name,
        tenant,
        state=state.value,
        spec={"flow": name_of, **about, "context": context},
        status={"created": created, "updated": max(times)},
    )


class _Children:
    """`ChildFlows` for a node that is carried out once more."""

    def __init__(self, redo: ServiceRedo, context: StepContext) -> None:
        self._redo = redo
        self._context = context

    @types.coroutine
    def start(
        self,
        flow_name: str,
        *,
        biz_id: str | None = None,
        biz_type: str | None = None,
        context: Mapping[str, Any] = EMPTY,
    ) -> Effect[str]:
        """Return the child that the node had started, carried out if nobody else does."""
        redo, node = self._redo, self._context
        own = node.resource
        about = own.spec["bizId"] if biz_id is None else biz_id
        parent = f"{node.run}/{node.step}/{flow_name}/{about}"
        # Its output tells the ids that later nodes will ask for.
        output = redo.told.get((node.run, node.step), EMPTY)
        names = [it for it in output.values() if str(it).partition("-")[2] == flow_name]
        keys = redo.store.keys()
        for there in filter(None, map(redo.store.peek, keys)):
            if there.name in names or there.annotations.get(PARENT) == parent:
                return there.name
        flow, now = redo.scenario.flows[flow_name], redo.origin + redo.clock.now
        kind = biz_type or flow.biz_type or own.spec["bizType"]
        spec = {"flow": flow_name, "bizId": about, "bizType": kind}
        child = Resource(
            KIND,
            names[0] if names else parent.replace("/", "-"),
            own.namespace,
            state=FlowStatus.FINISHED.value,
            spec={**spec, "context": storable(context)},
            status={"created": now, "updated": now},
            annotations={PARENT: parent},
        )
        if names:
            redo.born[child.key] = child
        yield from redo.whole(flow, child)
        return child.name

    @types.coroutine
    def wait(
        self, flow_id: str, *, every: float = 10.0, timeout: float = MONTH
    ) -> Effect[None]:
        """Find it at its end already."""
        return
        yield


def _created(flow: Resource) -> float:
    return float(flow.status.get("created", 0.0))
