"""The API-driven front door: flows are created, started, stopped and cancelled.

A flow is a resource of the kind ``workflow`` whose state is what its users see and
whose namespace is its tenant; where its run stands is in a memento under the same id.
A request compares and sets the state, and returns; the watch loop does the rest.
"""

from __future__ import annotations

import types
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Any, NamedTuple, Self

from wfsim.engine.context import StepContext, rewrite
from wfsim.engine.flow_status import ENDED, NODE_STATUS, FlowStatus, Request, after
from wfsim.engine.ports import Clock, Effect, ResourceStore, RunStore
from wfsim.engine.steps import Executors
from wfsim.errors import (
    DEFINE_NOT_FOUND,
    DETAIL_FAILED,
    FLOW_NOT_FOUND,
    MARSHAL_ERROR,
    PARAMETER_INVALID,
    POLLING_TIME_OUT,
    AlreadyExists,
    DefinitionError,
    Fenced,
    Interrupted,
    NotFound,
    ServiceError,
    StoreError,
)
from wfsim.model.bounds import seconds
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY, storable
from wfsim.model.glance import as_html, glance
from wfsim.model.memento import RunStatus, StepMemento
from wfsim.model.resource import CANCEL, CANCEL_REASON, Key, Resource
from wfsim.model.run import Run
from wfsim.text import suggest

KIND = "workflow"
BIZ_ID, BIZ_TYPE = "_bizId", "_bizType"
TENANT = "default"
PAGE_SIZE, MAX_PAGE_SIZE = 10, 100


class FlowInfo(NamedTuple):
    """One flow; times are seconds of virtual time, *reason* is why it was cancelled."""

    id: str
    name: str
    biz_id: str
    biz_type: str
    status: FlowStatus
    created: float
    updated: float
    tenant: str
    reason: str = ""
    error: str = ""


class NodeInfo(NamedTuple):
    """One node that was begun; times are seconds of virtual time.

    *result* is what its end has to say, in one line that ends with a line feed.
    """

    id: str
    name: str
    status: FlowStatus
    result: str
    started: float | None
    finished: float | None
    attempts: int
    operation: str = ""
    parameters: str = ""


class FlowDetail(NamedTuple):
    """One flow, its nodes in the order in which they were begun, its main path."""

    info: FlowInfo
    nodes: tuple[NodeInfo, ...]
    node_names: tuple[str, ...]

    @property
    def status(self) -> FlowStatus:
        """Where the flow stands."""
        return self.info.status

    def __repr__(self) -> str:
        width = max((len(node.name) for node in self.nodes), default=0)
        return glance(
            f"<{_flow_line(self.info)}>", (_node_line(node, width) for node in self.nodes)
        )

    def _repr_html_(self) -> str:
        return as_html(repr(self))


class Page(NamedTuple):
    """Some of the flows that were asked for, and how many there are."""

    flows: tuple[FlowInfo, ...]
    page: int
    page_size: int
    total: int

    def __repr__(self) -> str:
        head = f"<{len(self.flows)} of {self.total:,} flows, page {self.page}>"
        return glance(head, (f"  {_flow_line(flow)}" for flow in self.flows))

    def _repr_html_(self) -> str:
        return as_html(repr(self))


def _flow_line(flow: FlowInfo) -> str:
    """Return *flow* on one line."""
    why = f": {flow.reason or flow.error}" if flow.reason or flow.error else ""
    return f"{flow.id} about {flow.biz_type} {flow.biz_id}: {flow.status.value}{why}"


def _node_line(node: NodeInfo, width: int) -> str:
    """Return *node* on one line, its name as wide as those of the others."""
    since = "" if node.started is None else f"  from {node.started:,.1f} s"
    until = "" if node.finished is None else f" to {node.finished:,.1f} s"
    return f"  {node.name:{width}}  {node.status.value:10}{since}{until}"


class _Numbers:
    """The last number that a flow was given."""

    last = 0


class WorkflowService:
    """What may be asked of flows; every answer that is no result is a `ServiceError`.

    It keeps nothing but the definitions: two services over the same stores are one.
    """

    def __init__(
        self,
        clock: Clock,
        resources: ResourceStore,
        runs: RunStore,
        flows: MutableMapping[str, Flow],
        executors: Executors | None = None,
    ) -> None:
        self.clock = clock
        self.resources = resources
        self.runs = runs
        self.flows = flows
        self.executors = executors
        self._numbers = _Numbers()

    def through(self, resources: ResourceStore, runs: RunStore) -> Self:
        """Return this service as whoever reaches its stores through those sees it."""
        seen = type(self)(self.clock, resources, runs, self.flows, self.executors)
        seen._numbers = self._numbers
        return seen

    def of(self, context: StepContext) -> ChildFlows:
        """Return the service as a step of one of its flows sees it."""
        return ChildFlows(self, context)

    def register(self, flow: Flow, steps: Iterable[Callable[..., Any]] = ()) -> None:
        """Take up a definition, with the *steps* that its classes name.

        10001 if there is another definition or step of that name, or if a class has
        neither code nor a duration.
        """
        there = self.flows.get(flow.name)
        if there is not None and there.digest != flow.digest:
            text = f"another flow is registered as {flow.name!r}; give it a new name"
            raise ServiceError(PARAMETER_INVALID, text)
        if not flow.steps:
            raise ServiceError(PARAMETER_INVALID, f"flow {flow.name!r} has no steps")
        if self.executors is not None:
            try:
                self.executors.add(flow, steps)
            except DefinitionError as error:
                raise ServiceError(PARAMETER_INVALID, str(error)) from None
        self.flows[flow.name] = flow

    def define(self, flow_name: str) -> Flow:
        """Return the definition of that name; 40104 if there is none."""
        if flow_name not in self.flows:
            near = suggest(flow_name, self.flows)
            raise ServiceError(DEFINE_NOT_FOUND, f"no flow {flow_name!r}{near}")
        return self.flows[flow_name]

    def create(
        self,
        biz_id: str,
        biz_type: str,
        flow_name: str,
        *,
        tenant: str = TENANT,
        user: str = "",
        trace: str = "",
        context: Mapping[str, Any] = EMPTY,
    ) -> Effect[str]:
        """Create a flow about the business object and return its id.

        Its first entry in the store has all of *context*, as if set by `init_context`.
        40104 if there is no such definition, 10001 if it is about something else, 10004
        if JSON cannot hold *context*.
        """
        headers = {"User": user, "Tenant": tenant, "Trace": trace}
        ids = {f"Em-X-{name}-Id": value for name, value in headers.items() if value}
        whole = {**context, **ids}
        return (yield from self.add(tenant, biz_id, biz_type, flow_name, whole))

    def add(
        self,
        tenant: str,
        biz_id: str,
        biz_type: str,
        flow_name: str,
        context: Mapping[str, Any],
        status: FlowStatus = FlowStatus.INITIALIZING,
        parent: str = "",
    ) -> Effect[str]:
        """Create a flow with all that its first entry in the store is to say."""
        flow = self.define(flow_name)
        if flow.biz_type not in (None, biz_type):
            text = f"{flow_name} is about a {flow.biz_type}, not a {biz_type}"
            raise ServiceError(PARAMETER_INVALID, text)
        if not tenant or "/" in tenant:
            raise ServiceError(PARAMETER_INVALID, f"{tenant!r} is no tenant")
        now = self.clock.now
        spec = {"flow": flow_name, "bizId": biz_id, "bizType": biz_type}
        born = Resource(
            KIND,
            "",
            tenant,
            state=status.value,
            spec={**spec, "context": _encoded(context)},
            status={"created": now, "updated": now},
            annotations={PARENT: parent} if parent else EMPTY,
        )
        numbers = self._numbers
        if not numbers.last:
            numbers.last = max(map(number_of, self.resources.keys()), default=0)
        while True:
            numbers.last += 1
            named = born._replace(name=f"{numbers.last}-{flow_name}")
            try:
                yield from self.resources.create(named)
                return named.name
            except AlreadyExists:
                continue
            except StoreError as error:
                raise _refused(error) from None

    def list(
        self,
        biz_id: str = "",
        biz_type: str = "",
        flow_name: str = "",
        status: str = "",
        page: int = 1,
        page_size: int = PAGE_SIZE,
        *,
        tenant: str = TENANT,
    ) -> Effect[Page]:
        """Return a page of the tenant's flows that fit, newest first.

        *flow_name* is any part of the name, taken as it is; what is empty fits all.
        Pages count from 1 and have 100 flows at most.
        """
        wanted = {"biz_id": biz_id, "biz_type": biz_type, "status": status}
        flows = [
            info
            for info in self._infos(tenant)
            if flow_name in info.name
            and all(not value or getattr(info, k) == value for k, value in wanted.items())
        ]
        flows.sort(key=lambda info: (-info.created, -_number(info.id)))
        page = max(page, 1)
        size = min(page_size, MAX_PAGE_SIZE) if page_size > 0 else PAGE_SIZE
        part = tuple(flows[(page - 1) * size : page * size])
        return Page(part, page, size, len(flows))
        yield

    def _infos(self, tenant: str) -> Iterator[FlowInfo]:
        keys = self.resources.keys()
        for key in keys:
            mine = (key.kind, key.namespace) == (KIND, tenant)
            resource = self.resources.peek(key) if mine else None
            if resource is not None:
                yield info_of(resource)

    def detail(self, flow_id: str, *, tenant: str = TENANT) -> Effect[FlowDetail]:
        """Return the flow and every node that was begun; 9996 if there is none.

        A definition that is no longer registered is told of from the run.
        """
        resource = yield from self._get(flow_id, tenant)
        entries = yield from self.runs.entries(resource.key)
        steps: Sequence[StepMemento] = ()
        if entries and isinstance(run := entries[-1], Run):
            # What failed last has left its text with the run, unless it was closed.
            failed = (
                run.step
                if run.status in (RunStatus.FAILED, RunStatus.INTERRUPTED)
                else None
            )
            steps = [
                step._replace(error=step.error or run.error) if step is failed else step
                for step in run.steps
            ]
        begun = [step for step in steps if step.attempts or step.finished is not None]
        # What began at the same time stays as it is listed.
        begun.sort(key=_began)
        info = info_of(resource)
        flow = self.flows.get(info.name)
        names = flow.main_path() if flow else tuple(step.name for step in steps)
        nodes = tuple(_node(flow_id, step) for step in begun)
        return FlowDetail(info, nodes, names)

    def init_context(
        self, flow_id: str, key: str, value: Any, *, tenant: str = TENANT
    ) -> Effect[None]:
        """Set one key of the context; steps that are begun later see it.

        9996 if there is no such flow, 10004 if JSON cannot hold *value*.
        """
        written = _encoded({key: value})

        def change(live: Resource) -> Resource:
            context = {**live.spec.get("context", EMPTY), **written}
            return live.edit(spec={"context": context}, status=self._now())

        yield from self._rewrite(flow_id, tenant, change)

    def start(self, flow_id: str, *, tenant: str = TENANT) -> Effect[None]:
        """Start the flow, or go on with it; 40103 if it is Canceling or has ended."""
        return self._ask(flow_id, tenant, Request.START)

    def stop(self, flow_id: str, *, tenant: str = TENANT) -> Effect[None]:
        """Stop beginning nodes of the flow; 40106 if it is Canceling or has ended."""
        return self._ask(flow_id, tenant, Request.STOP)

    def cancel(
        self, flow_id: str, reason: str = "", *, tenant: str = TENANT
    ) -> Effect[None]:
        """End the flow for *reason*; 40107 if it has ended."""
        return self._ask(flow_id, tenant, Request.CANCEL, reason)

    def _ask(
        self, flow_id: str, tenant: str, request: Request, reason: str = ""
    ) -> Effect[None]:
        def change(live: Resource) -> Resource:
            target = after(FlowStatus(live.state), request)
            if target == live.state:
                return live
            moved = live.edit(status=self._now()).move(target.value, request.value)
            if request is not Request.CANCEL:
                return moved
            why = {CANCEL_REASON: str(reason)} if reason else {}
            return moved.annotate(**{CANCEL: "true"}, **why)

        yield from self._rewrite(flow_id, tenant, change)

    def _rewrite(self, flow_id: str, tenant: str, change: Any) -> Effect[None]:
        try:
            yield from rewrite(self.resources, key_of(flow_id, tenant), change, None)
        except NotFound:
            raise ServiceError(FLOW_NOT_FOUND, f"no flow {flow_id!r}") from None
        except StoreError as error:
            raise _refused(error) from None

    def _get(self, flow_id: str, tenant: str) -> Effect[Resource]:
        try:
            return (yield from self.resources.get(key_of(flow_id, tenant)))
        except NotFound:
            raise ServiceError(FLOW_NOT_FOUND, f"no flow {flow_id!r}") from None

    def _now(self) -> Mapping[str, float]:
        return {"updated": self.clock.now}


def _refused(error: StoreError) -> Exception:
    """Return what the service answers if a store does: what cannot be kept is invalid."""
    if type(error) is StoreError:
        return ServiceError(PARAMETER_INVALID, str(error))
    return error


def key_of(flow_id: str, tenant: str = TENANT) -> Key:
    """Return what identifies the flow in the stores."""
    return Key(KIND, tenant, flow_id)


def number_of(key: Key) -> int:
    """Return the number in the flow's id; they grow in the order of creation."""
    return _number(key.name)


def _number(flow_id: str) -> int:
    number = flow_id.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def info_of(resource: Resource) -> FlowInfo:
    """Return what its users see of a flow."""
    spec, status = resource.spec, resource.status
    return FlowInfo(
        resource.name,
        spec["flow"],
        spec["bizId"],
        spec["bizType"],
        FlowStatus(resource.state),
        status["created"],
        status["updated"],
        resource.namespace,
        resource.annotations.get(CANCEL_REASON, ""),
        status.get("error", ""),
    )


def context_of(flow: Resource) -> Mapping[str, Any]:
    """Return what a run of *flow* begins with: its context, and what it is about."""
    about = {BIZ_ID: flow.spec["bizId"], BIZ_TYPE: flow.spec["bizType"]}
    return {**about, **flow.spec.get("context", EMPTY)}


def _began(step: StepMemento) -> float:
    """Return when *step* was begun, or cancelled before it was."""
    return (step.finished or 0.0) if step.started is None else step.started


def _node(flow_id: str, step: StepMemento) -> NodeInfo:
    status = NODE_STATUS[step.status]
    # A log of one line, each of which ends with a line feed: workflownode.go, Record.
    result = f"{step.error}\n" if step.error else ""
    if status is FlowStatus.FINISHED:
        result = f"{step.output.get('result') or 'Completed.'}\n"
    return NodeInfo(
        f"{flow_id}/{step.name}",
        step.name,
        status,
        result,
        step.started,
        step.finished,
        step.attempts,
        step.operation,
    )


def _encoded(context: Mapping[str, Any]) -> Any:
    try:
        return storable(context)
    except (TypeError, UnicodeEncodeError) as error:
        raise ServiceError(MARSHAL_ERROR, str(error)) from None


PARENT = "parent"
"""The annotation of a child that says which step of which flow has started it."""

MONTH = 2_592_000.0

MOST_IN_A_ROW = 100
"""So many flows may each start the next one within `AT_ONCE` before it is a bug."""

AT_ONCE = 0.5

NO_PROGRESS = "NO_PROGRESS"
"""Why such a flow is stopped."""

LEAST_WAIT = 1e-6
"""So many seconds apart are looks at a flow that are to come at once."""


class ChildFlows:
    """What a step may ask of the service that runs its flow."""

    def __init__(self, service: WorkflowService, context: StepContext) -> None:
        self._service = service
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
        """Create and start a flow in one write, and return its id.

        It is about the same business object, unless *biz_id* says otherwise.  A step
        that is run again after a crash finds the child that it has started already.
        Raises `ServiceError` as the service does, `Fenced` once the attempt is over.
        """
        caller = self._context
        if not caller.is_open:
            raise Fenced(f"{caller.step}: this attempt is over; it may not start a flow")
        own = caller.resource
        about = own.spec["bizId"] if biz_id is None else biz_id
        tenant = own.namespace
        parent = f"{caller.run}/{caller.step}/{flow_name}/{about}"
        listed = self._service.resources.keys()
        for key in listed:
            child = self._service.resources.peek(key) if key.namespace == tenant else None
            if child is not None and child.annotations.get(PARENT) == parent:
                return child.name
        self._refuse_to_spin(own)
        kind = biz_type or self._service.define(flow_name).biz_type or own.spec["bizType"]
        headers = own.spec.get("context", EMPTY)
        inherited = {k: v for k, v in headers.items() if k.startswith("Em-X-")}
        return (
            yield from self._service.add(
                tenant,
                about,
                kind,
                flow_name,
                {**inherited, **context},
                FlowStatus.PROCESSING,
                parent,
            )
        )

    def _refuse_to_spin(self, flow: Resource) -> None:
        """Raise `Interrupted` if flows start each other, over and over in no time."""
        oldest, depth = flow, 0
        while depth < MOST_IN_A_ROW and PARENT in oldest.annotations:
            parent = oldest.annotations[PARENT].partition("/")[0]
            before = self._service.resources.peek(key_of(parent, flow.namespace))
            if before is None:
                return
            oldest, depth = before, depth + 1
        now = self._context.clock.now
        if depth == MOST_IN_A_ROW and oldest.status["created"] > now - AT_ONCE:
            name = flow.spec["flow"]
            text = f"flow {name!r} was started {depth} times in no time, each by the one"
            raise Interrupted(NO_PROGRESS, f"{text} before; let something take time")

    @types.coroutine
    def wait(
        self, flow_id: str, *, every: float = 10.0, timeout: float = MONTH
    ) -> Effect[None]:
        """Wait until the flow is Finished, as seen by a look *every* so many seconds.

        The looks are computed, not made.  Raises `ServiceError` 40102 if it has ended in
        another way or is Stopped, 40105 if it has not ended *timeout* seconds from now,
        9996 if there is no such flow; `UsageError` for seconds that are no number from 0
        to 1e12.
        """
        every = max(seconds(every, "every of flows.wait()"), LEAST_WAIT)
        timeout = seconds(timeout, "timeout of flows.wait()")
        clock, resources = self._context.clock, self._service.resources
        key = Key(self._context.resource.kind, self._context.resource.namespace, flow_id)
        began, bell = clock.now, clock.event()

        def ring() -> None:
            if not bell.triggered:
                bell.succeed()

        def hear(before: Resource | None, after: Resource | None) -> None:
            seen = after or before
            if seen is not None and seen.key == key and _has_news(after):
                ring()

        stop = resources.subscribe(hear)
        clock.call(timeout, ring)
        try:
            while True:
                if not _has_news(resources.peek(key)):
                    yield bell
                ticks = max(int((clock.now - began) / every), 1)
                while began + ticks * every < clock.now:
                    ticks += 1
                tick = min(began + ticks * every, began + timeout)
                if tick > clock.now:
                    yield clock.timeout(tick - clock.now)
                seen = resources.peek(key)
                if _has_news(seen) or clock.now >= began + timeout:
                    return _judged(flow_id, seen, timeout)
                bell = clock.event()
        finally:
            stop()


def _has_news(resource: Resource | None) -> bool:
    """Whether there is something to be said of a flow that is waited for."""
    if resource is None:
        return True
    return resource.state in ENDED or resource.state == FlowStatus.STOPPED


def _judged(flow_id: str, resource: Resource | None, timeout: float) -> None:
    if resource is None:
        raise ServiceError(FLOW_NOT_FOUND, f"no flow {flow_id!r}")
    if not _has_news(resource):
        text = f"{flow_id} is {resource.state} after {timeout:g} s"
        raise ServiceError(POLLING_TIME_OUT, text)
    if resource.state != FlowStatus.FINISHED:
        why = resource.status.get("error", "")
        text = f"{flow_id} is {resource.state}{': ' if why else ''}{why}"
        raise ServiceError(DETAIL_FAILED, text)
