"""The service of a simulation, as whoever asks for flows sees it: now, and at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from wfsim.engine.service import PAGE_SIZE, TENANT, FlowDetail, Page
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY
from wfsim.sim.demand import FlowRequest
from wfsim.sim.scenario import Scenario

BIZ_TYPE = "cluster"
"""What a flow is about whose file does not say so."""


class Desk(Protocol):
    """Where a service is asked: what changes something is kept, to be repeated."""

    scenario: Scenario

    def request(self, operation: str, *args: Any, **keywords: Any) -> Any:
        """Ask for *operation* of `WorkflowService`, which may change something."""

    def look(self, operation: str, *args: Any, **keywords: Any) -> Any:
        """Ask for *operation* of `WorkflowService`, which changes nothing."""


class SimulatedService:
    """`WorkflowService` without the waiting; each call happens at the simulation's `now`.

    Every method raises `ServiceError` as that of the same name there does.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __repr__(self) -> str:
        kinds, flows = len(self._desk.scenario.flows), self.list(page_size=1).total
        return f"<{type(self).__name__}: {kinds:,} flows defined, {flows:,} created>"

    def register(self, flow: Flow, steps: Iterable[Callable[..., Any]] = ()) -> None:
        """Take up a definition, with the *steps* that it has and the scenario has not.

        Each is a function or a class, as in ``Scenario(steps=...)``.
        """
        self._desk.request("register", flow, tuple(steps))

    def define(self, flow_name: str) -> Flow:
        """Return the definition of that name."""
        flow: Flow = self._desk.look("define", flow_name)
        return flow

    def create(
        self,
        biz_id: str,
        biz_type: str,
        flow_name: str,
        *,
        context: Mapping[str, Any] = EMPTY,
        **who: str,
    ) -> str:
        """Create a flow and return its id; *who* may be tenant, user and trace."""
        subject = (biz_id, biz_type, flow_name)
        return str(self._desk.request("create", *subject, context=context, **who))

    def begin(self, flow_name: str, biz_id: str | None = None) -> str:
        """Ask for a flow as its caller does, and return its id.

        That is by the scenario's *begin*, or else to create and start it.  None is a
        business object that the scenario has.  Raises as whoever is asked does.
        """
        flow = self.define(flow_name)
        begin = self._desk.scenario.begin
        if begin is not None:
            return begin(self._desk, flow_name, biz_id)
        kind = flow.biz_type or BIZ_TYPE
        flow_id = self.create(biz_id or f"{kind}-0", kind, flow_name)
        self.start(flow_id)
        return flow_id

    def serve(self, request: FlowRequest) -> None:
        """Begin the flow of *request*, or create and start it if that says about what."""
        if not (request.biz_type or request.context):
            self.begin(request.flow, request.biz_id)
            return
        kind = request.biz_type or self.define(request.flow).biz_type or BIZ_TYPE
        about = request.biz_id or f"{kind}-0"
        self.start(self.create(about, kind, request.flow, context=request.context))

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
    ) -> Page:
        """Return a page of the tenant's flows that fit, newest first."""
        wanted = (biz_id, biz_type, flow_name, status, page, page_size)
        listed: Page = self._desk.look("list", *wanted, tenant=tenant)
        return listed

    def detail(self, flow_id: str, *, tenant: str = TENANT) -> FlowDetail:
        """Return the flow, the nodes that were begun, and its main path."""
        detail: FlowDetail = self._desk.look("detail", flow_id, tenant=tenant)
        return detail

    def init_context(
        self, flow_id: str, key: str, value: Any, *, tenant: str = TENANT
    ) -> None:
        """Set one key of the flow's context."""
        self._desk.request("init_context", flow_id, key, value, tenant=tenant)

    def start(self, flow_id: str, *, tenant: str = TENANT) -> None:
        """Start the flow, or go on from where it is, from the next tick on."""
        self._desk.request("start", flow_id, tenant=tenant)

    def stop(self, flow_id: str, *, tenant: str = TENANT) -> None:
        """Stop the flow: it begins no more nodes."""
        self._desk.request("stop", flow_id, tenant=tenant)

    def cancel(self, flow_id: str, reason: str = "", *, tenant: str = TENANT) -> None:
        """End the flow at the next tick, for *reason*."""
        self._desk.request("cancel", flow_id, reason, tenant=tenant)
