"""What of a step is the same for every attempt: looked up once, not every time."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from wfsim.engine.ports import StepFunction, Steps
from wfsim.model.flow import Flow, Step
from wfsim.model.policy import Policy, Retry


class Way(NamedTuple):
    """One step of one flow: its budget, the time it has, and its code.

    *body* is None for a step that is more than one call, or has no code.
    """

    spec: Step
    retry: Retry
    limit: float | None
    body: StepFunction | None


class Ways:
    """The ways through flows, each worked out when it is first asked for."""

    def __init__(self, steps: Steps, policy: Policy) -> None:
        self._steps = steps
        self._policy = policy
        self._known: dict[str, tuple[Flow, tuple[Way, ...]]] = {}

    def through(self, flow: Flow) -> tuple[Way, ...]:
        """Return the way of each step of *flow*, by index."""
        known = self._known.get(flow.name)
        if known is None or known[0] is not flow:
            ways = tuple(self._way(flow, spec) for spec in flow.steps)
            known = self._known[flow.name] = (flow, ways)
        return known[1]

    def _way(self, flow: Flow, spec: Step) -> Way:
        usual = flow.retry or self._policy.retry
        if flow.retry is None and not flow.is_linear:
            # As in the reference, a node is not tried again unless its file says so.
            usual = replace(usual, limit=0)
        limit = spec.timeout or flow.timeout or self._policy.timeout
        single = spec.undo is None and spec.class_name in self._steps
        body = self._steps[spec.class_name] if single else None
        return Way(spec, spec.retry or usual, limit, body)
