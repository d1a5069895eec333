"""Where a run stands: a walk over the edges of its flow, past all that is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from wfsim.model.flow import Flow
from wfsim.model.frozen import Frozen
from wfsim.model.memento import Memento, RunStatus, StepMemento, StepStatus

Place: TypeAlias = tuple[int | None, Mapping[str, Any], StepMemento | None]
"""The next step (None: the end), what it is told, the step that led off the main path.

A plain tuple: it is made for every step, and the calls of a step are counted.
"""


# Python 3.11 makes a call of each look at the member of an enum.
_COMPLETED = StepStatus.COMPLETED


def advance(
    run: Memento,
    flow: Flow,
    index: int | None,
    inputs: Mapping[str, Any],
    astray: StepMemento | None,
    graph: bool,
) -> Place:
    """Return the first place from there on that is not over."""
    following = flow.following
    while index is not None:
        step = run.steps[index]
        if step.status is _COMPLETED:
            inputs = Frozen({**inputs, **step.output}) if step.output else inputs
            index = following[index].success
        elif graph and _is_over(run, index):
            astray = astray or step
            cancelled = step.status is StepStatus.CANCELLED
            targets = following[index]
            index = targets.cancel if cancelled else targets.failure
        else:
            break
    return index, inputs, astray


def _is_over(run: Memento, index: int) -> bool:
    """Whether step *index* has ended badly, and is not to be tried again."""
    status = run.steps[index].status
    again = run.status is RunStatus.FAILED and run.cursor == index
    return status is StepStatus.CANCELLED or (status is StepStatus.FAILED and not again)


def to_run_again(run: Memento, flow: Flow) -> frozenset[int]:
    """Return the steps of a flow with edges that a recovered run begins anew.

    Those are all but the completed ones on the main path.
    """
    if flow.is_linear:
        return frozenset()
    handlers = set(flow.handlers())
    return frozenset(
        index
        for index, step in enumerate(run.steps)
        if step.name in handlers or step.status is not _COMPLETED
    )
