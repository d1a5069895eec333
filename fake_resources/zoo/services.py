"""Defects of a service of flows, and of what it lets a flow come to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import wfsim
from fake_resources.fakes import Ask
from fake_resources.zoo import wishes
from fake_resources.zoo.engines import Engine, engine, with_progress
from fake_resources.zoo.grounds import service
from wfsim.engine.flow_status import FlowStatus, Request
from wfsim.engine.ports import Effect
from wfsim.engine.progress import Progress
from wfsim.engine.service import WorkflowService
from wfsim.model.resource import CANCEL, Resource


def with_service(kind: type[WorkflowService]) -> type[Engine]:
    """Return an engine whose flows are asked for at a service of that *kind*."""

    def made(self: Any) -> WorkflowService:
        storage = self.storage
        return kind(storage.clock, storage.resources, storage.runs, self.flows)

    return engine(kind.__name__, service=cached_property(made))


class Unchecked(WorkflowService):
    """A service that writes the status of a flow, whatever that is by then."""

    written: ClassVar[Mapping[Request, FlowStatus]] = {}

    def _ask(
        self, flow_id: str, tenant: str, request: Request, reason: str = ""
    ) -> Effect[None]:
        if request not in self.written:
            return (yield from super()._ask(flow_id, tenant, request, reason))
        status = self.written[request].value

        def change(live: Resource) -> Resource:
            calm = live.edit(annotations={CANCEL: None})
            return calm.move(status, request.value)

        return (yield from self._rewrite(flow_id, tenant, change))


class Reviving(Unchecked):
    """Start revives a flow that is Canceling (TiUniManager B10)."""

    written: ClassVar = {Request.START: FlowStatus.PROCESSING}


class Overwriting(Unchecked):
    """A flow that is Finished can become Stopped (TiUniManager B20)."""

    written: ClassVar = {Request.STOP: FlowStatus.STOPPED}


class SameName(Progress):
    """A failed flow is Finished whose handler is its last node (TiUniManager B2)."""

    def finish(self) -> Effect[float | None]:
        """End the run well if its last step is one of the main path."""
        if self.run.cursor == len(self.run.steps) - 1:
            self.astray = None
        return (yield from super().finish())


HANDLED = wfsim.Flow(
    "Backup",
    (
        wfsim.Step("MakeVolume", on_success="CopyData"),
        wfsim.Step("CopyData", on_success="Announce", on_failure="Announce"),
        wfsim.Step("Announce"),
    ),
)
"""A flow whose last node is its handler, too."""

REVIVED = {"revived": Ask("revived", (("cancel", {}), ("start", {})))}
STOPPED = {"stop": Ask("stop", (("stop", {}),))}

OF_SERVICES: tuple[tuple[Any, Any, Any, Mapping[str, Ask]], ...] = (
    (Reviving, service(with_service(Reviving)), wishes.is_one_way, REVIVED),
    (Overwriting, service(with_service(Overwriting)), "S9", STOPPED),
    (SameName, service(with_progress(SameName), HANDLED), wishes.is_failed, {}),
)
"""What makes a defect, where it is, by what it is found, and what an operator asks."""
