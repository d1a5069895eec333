"""The service as a step of one of its flows sees it: start a child, wait for it."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wfsim.engine.flow_status import (
    DETAIL_FAILED,
    ENDED,
    FLOW_NOT_FOUND,
    POLLING_TIME_OUT,
    FlowStatus,
    ServiceError,
)
from wfsim.engine.ports import Effect
from wfsim.errors import Fenced
from wfsim.model.frozen import EMPTY
from wfsim.model.resource import Key, Resource

if TYPE_CHECKING:
    from wfsim.engine.service import WorkflowService
    from wfsim.engine.steps import StepContext

PARENT = "parent"
"""The annotation of a child that says which step of which flow has started it."""

MONTH = 2_592_000.0


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
        told = self._context
        if not told.is_open:
            raise Fenced(f"{told.step}: this attempt is over; it may not start a flow")
        own = told.resource
        about = own.spec["bizId"] if biz_id is None else biz_id
        tenant, parent = own.namespace, f"{told.run}/{told.step}/{flow_name}/{about}"
        listed = self._service.resources.keys()
        for key in listed:
            found = self._service.resources.peek(key) if key.namespace == tenant else None
            if found is not None and found.annotations.get(PARENT) == parent:
                return found.name
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

    @types.coroutine
    def wait(
        self, flow_id: str, *, every: float = 10.0, timeout: float = MONTH
    ) -> Effect[None]:
        """Wait until the flow is Finished, as seen by a look *every* so many seconds.

        The looks are computed, not made.  Raises `ServiceError` 40102 if it has ended in
        another way or is Stopped, 40105 if it has not ended *timeout* seconds from now,
        9996 if there is no such flow.
        """
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
                past = max(int((clock.now - began) / every), 1)
                while began + past * every < clock.now:
                    past += 1
                tick = min(began + past * every, began + timeout)
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
