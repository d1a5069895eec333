"""A flow on one resource in a few words, and the log of a run as literal rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

import wfsim

Row = tuple[float, str, str]
_OF_OTHERS = ("controller.", "fault.", "resource.created")
_OF_RUNS = (
    "run.created",
    "run.completed",
    "run.recovered",
    "run.superseded",
    "run.pruned",
)


def _rows(log: Iterable[wfsim.types.Record], *kinds: str) -> list[Row]:
    """What happened, as (time, kind, step, state change, run or text)."""
    found = []
    for record in log:
        kind = record.kind.value
        if kind.startswith(_OF_OTHERS) or (kinds and not kind.startswith(kinds)):
            continue
        label = record.step if record.attempt < 2 else f"{record.step} #{record.attempt}"
        plain = kind in _OF_RUNS or not record.text
        found.append((record.time, kind, (label or record.run) if plain else record.text))
    return found


def _scenario(
    *bodies: Callable[..., Any],
    flow: wfsim.Flow | None = None,
    resource: wfsim.Resource | None = None,
    machine: wfsim.StateMachine | None = None,
    **rest: Any,
) -> wfsim.Scenario:
    """The bodies in their order are the flow Build; the resource orders is Creating."""
    names = [body.__name__ for body in bodies]
    machine = machine or wfsim.StateMachine("db").stable("Running", "Interrupt").unstable(
        "Creating", run="Build"
    )
    return wfsim.Scenario(
        [resource or wfsim.Resource("db", "orders")],
        machine,
        [flow or wfsim.Flow("Build", tuple(map(wfsim.Step, names)))],
        bodies,
        **rest,
    )


def _body(name: str, *deeds: Any, takes: float = 1.0) -> Callable[..., Any]:
    """A step called *name*; the n-th time it does the n-th of *deeds*, else the last.

    An exception is raised, anything else is returned, after *takes* seconds.
    """
    times = iter(range(10**6))

    def body(ctx: wfsim.StepContext) -> Any:
        yield from ctx.sleep(takes)
        deed = deeds[min(next(times), len(deeds) - 1)] if deeds else None
        if isinstance(deed, BaseException):
            raise deed
        return deed

    body.__name__ = name
    return body


@pytest.fixture
def rows() -> Callable[..., list[Row]]:
    return _rows


@pytest.fixture
def scenario() -> Callable[..., wfsim.Scenario]:
    return _scenario


@pytest.fixture
def body() -> Callable[..., Callable[..., Any]]:
    return _body
