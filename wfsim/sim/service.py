"""The service of a simulation, as whoever asks for flows sees it: now, and at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wfsim.engine.service import PAGE_SIZE, TENANT, FlowDetail, Page
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY

if TYPE_CHECKING:
    from wfsim.sim.control_plane import ControlPlane


BIZ_TYPE = "cluster"
"""What a flow is about whose file does not say so."""


class SimulatedService:
    """`WorkflowService` without the waiting; each call happens at the simulation's `now`.

    Every method raises `ServiceError` as that of the same name there does.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def register(self, flow: Flow) -> None:
        """Take up a definition; its classes are those that the scenario's flows use."""
        self._plane.request("register", flow)

    def define(self, flow_name: str) -> Flow:
        """Return the definition of that name."""
        flow: Flow = self._plane.look("define", flow_name)
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
        asked = (biz_id, biz_type, flow_name)
        return str(self._plane.request("create", *asked, context=context, **who))

    def begin(self, flow_name: str, biz_id: str | None = None) -> str:
        """Ask for a flow as its caller does, and return its id.

        That is by the scenario's *begin*, or else to create and start it.  None is a
        business object that the scenario has.  Raises as whoever is asked does.
        """
        flow = self.define(flow_name)
        asked = self._plane.scenario.begin
        if asked is not None:
            return asked(self._plane, flow_name, biz_id)
        kind = flow.biz_type or BIZ_TYPE
        flow_id = self.create(biz_id or f"{kind}-0", kind, flow_name)
        self.start(flow_id)
        return flow_id

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
        found: Page = self._plane.look("list", *wanted, tenant=tenant)
        return found

    def detail(self, flow_id: str, *, tenant: str = TENANT) -> FlowDetail:
        """Return the flow, the nodes that were begun, and its main path."""
        found: FlowDetail = self._plane.look("detail", flow_id, tenant=tenant)
        return found

    def init_context(
        self, flow_id: str, key: str, value: Any, *, tenant: str = TENANT
    ) -> None:
        """Set one key of the flow's context."""
        self._plane.request("init_context", flow_id, key, value, tenant=tenant)

    def start(self, flow_id: str, *, tenant: str = TENANT) -> None:
        """Let the flow go on from where it is, from the next tick on."""
        self._plane.request("start", flow_id, tenant=tenant)

    def stop(self, flow_id: str, *, tenant: str = TENANT) -> None:
        """Let the flow begin no more nodes."""
        self._plane.request("stop", flow_id, tenant=tenant)

    def cancel(self, flow_id: str, reason: str = "", *, tenant: str = TENANT) -> None:
        """End the flow at the next tick, for *reason*."""
        self._plane.request("cancel", flow_id, reason, tenant=tenant)
