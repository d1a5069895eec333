"""Runs by their changes: literal ones, and any that an engine can write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from hypothesis import strategies as st

from wfsim import Memento
from wfsim.model.flow import Flow
from wfsim.model.frozen import freeze
from wfsim.model.run import (
    Adopt,
    Adoption,
    Begin,
    CancelRun,
    Cause,
    Change,
    Close,
    Complete,
    CompleteRun,
    Fail,
    FailRun,
    Interrupt,
    Late,
    Launch,
    Recover,
    Run,
    Start,
    Supersede,
    Wait,
)
from wfsim.types import Key, RunStatus, StepStatus

Draw: TypeAlias = Callable[..., Any]


Timed: TypeAlias = Change | tuple[float, Change]
"""A change; with the time at which it was made, in seconds, where that matters."""


def new(
    flow: Flow, resource: Key, number: int = 1, at: float = 0.0, **rest: Any
) -> Memento:
    """Return the *number*-th run of *resource*, not begun."""
    run = Run(f"{number}-{flow.name}", resource)
    Begin.of(flow, run.key, resource, **rest).apply(run, at)
    return run.memento()


def standing(memento: Memento) -> Run:
    """Return a run that stands as *memento* says, and that no journal keeps."""
    run = Run(memento.key, memento.resource)
    run.load(memento)
    return run


def after(memento: Memento, *changes: Timed) -> Memento:
    """Return what *changes* make of a run that stands as *memento* says."""
    run = standing(memento)
    for change in changes:
        at, change = change if type(change) is tuple else (0.0, change)
        change.apply(run, at)
    return run.memento()


class Hand:
    """A clock that is put by hand."""

    now = 0.0


TEXTS = st.text(max_size=6)
TIMES = st.floats(0, 1e7, allow_nan=False).filter(lambda time: time == 0 or time > 1e-6)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
OUTPUTS = st.dictionaries(
    st.text(),
    st.recursive(
        _LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=3,
).map(freeze)


def begin(draw: Draw, flow: Flow, resource: Key, number: int) -> Begin:
    """Draw the beginning of a run."""
    return Begin.of(
        flow,
        f"{number}-{flow.name}",
        resource,
        params=draw(OUTPUTS),
        entered=draw(st.integers(-1, 10**6)),
        owner=draw(st.sampled_from(["", "uid-1"])),
        deadline=draw(st.none() | TIMES),
    )


def following(draw: Draw, run: Run) -> Change | None:
    """Draw what an engine can make of *run* next; None if it is over for good."""
    if run.status in (RunStatus.COMPLETED, RunStatus.SUPERSEDED):
        return None
    if run.is_final:
        every = draw(st.booleans())
        return Recover(every, draw(st.none() | TIMES), draw(_SOME), draw(_ENTERED))
    change = draw(st.sampled_from(_in_step(draw, run)))
    if draw(st.booleans()):
        adoption = Adoption.once_more(run, draw(st.integers(0, 99)), "uid-2")
        change = Adopt(adoption, change)
    if draw(st.booleans()):
        return change
    return Late(draw(TIMES), len(run.changes), change)


_SOME = st.sampled_from([frozenset(), frozenset({0})])
_ENTERED = st.none() | st.integers(0, 99)


def _in_step(draw: Draw, run: Run) -> list[Change]:
    index, text = run.first_open(), draw(TEXTS)
    if index == len(run.steps):
        return [CompleteRun()]
    ends: list[Change] = [
        Supersede(),
        Interrupt(index, "POD_LOST", text, Cause.STEP),
        Interrupt(index, "DEADLINE", text, Cause.DEADLINE, 5.0),
    ]
    match run.steps[index].status:
        case StepStatus.INITED | StepStatus.WAITING:
            return [
                *ends,
                Start(index),
                Complete(index, draw(OUTPUTS)),
                Complete(index),
                Wait(index, draw(st.none() | TIMES)),
                Launch(index, "op-1", draw(OUTPUTS), draw(TIMES)),
                Fail(index, text, draw(TIMES)),
                Fail(index, text, draw(TIMES), Cause.TIMEOUT, 2.5),
                Close(index, StepStatus.FAILED, text, Cause.RETRIES),
                Close(index, StepStatus.CANCELLED, text, Cause.CANCEL),
            ]
        case StepStatus.CANCELLED:
            return [CancelRun(text)]
        case StepStatus.FAILED if run.status is RunStatus.RUNNING:
            return [FailRun(text)]
    return [*ends, Start(index), Start(index)]


def many(text: str, *, retries: int = 0, flow: str = "F", step: str = "A") -> str:
    """Return what an interruption says whose step has failed too often with *text*."""
    said = f"too many times retry [{retries}] to do [{flow}]"
    return f"MANY_RETRY: {said}, last err step[{step}], err:[step {step} fail: {text}]"
