"""The edges of a flow: what follows a step by how it ended, and what may be wrong there.

Once a step has an edge, the order in which the steps are listed says no more than that
the first one is the start: a step is followed by what its edge leads to, or by nothing.

>>> graph = {"Stop": {Outcome.SUCCESS: "End", Outcome.FAILURE: "Fial"}, "End": {}}
>>> for wrong in wrong_edges({**graph, "Fail": {}}):
...     print(wrong.text)
'onFailure' of 'Stop' leads to 'Fial', which is no step here; did you mean 'Fail'?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, TypeAlias


class Outcome(StrEnum):
    """How a step ended; the value is the key in a flow file that says what follows."""

    SUCCESS = "onSuccess"
    FAILURE = "onFailure"
    CANCEL = "onCancel"


Graph: TypeAlias = Mapping[str, Mapping[Outcome, str]]
"""The edges of each step by its name, in the order in which the steps are listed."""


class WrongEdge(NamedTuple):
    """What is wrong at a step or, where there is an *outcome*, at that edge of it."""

    step: str
    outcome: Outcome | None
    text: str


# Finding the nearest name takes long enough for a hostile file to be felt.
_MAX_UNKNOWN = 20
_MAX_SHOWN = 8


def wrong_edges(graph: Graph) -> list[WrongEdge]:
    """Return all that is wrong with *graph*: unknown targets, circles, steps cut off."""
    unknown = list(islice(_unknown(graph), _MAX_UNKNOWN))
    # What a misspelt edge should lead to would be told of once more, as cut off.
    unreached = [] if unknown else _unreached(graph)
    return [*unknown, *_circles(graph), *unreached]


def _unknown(graph: Graph) -> Iterator[WrongEdge]:
    from wfsim.model.document import hint

    for name, edges in graph.items():
        for outcome, target in edges.items():
            if target not in graph:
                text = f"{outcome.value!r} of {name!r} leads to {target!r}"
                cure = hint(target, graph)
                yield WrongEdge(name, outcome, f"{text}, which is no step here; {cure}")


def _circles(graph: Graph) -> Iterator[WrongEdge]:
    """Walk depth first, without recursion; an edge to a step on the way is a circle."""
    seen: set[str] = set()
    for root in graph:
        path = {} if root in seen else {root: iter(graph[root].items())}
        seen.add(root)
        while path:
            name = next(reversed(path))
            for outcome, target in path[name]:
                if target in path:
                    way = list(path)
                    yield _circle(outcome, [*way[way.index(target) :], target])
                elif target in graph and target not in seen:
                    seen.add(target)
                    path[target] = iter(graph[target].items())
                    break
            else:
                del path[name]


def _circle(outcome: Outcome, way: list[str]) -> WrongEdge:
    last, key = way[-2], repr(outcome.value)
    if len(way) == 2:
        cure = (
            "for another try write 'retry'"
            if outcome is Outcome.FAILURE
            else "lead it to another step"
        )
        return WrongEdge(last, outcome, f"step {last!r} is its own {key}; {cure}")
    if len(way) > _MAX_SHOWN:
        way = [*way[: _MAX_SHOWN - 3], "...", *way[-2:]]
    return WrongEdge(
        last,
        outcome,
        f"{key} of {last!r} closes the circle {' -> '.join(way)}; "
        "lead it to a step that comes later",
    )


def _unreached(graph: Graph) -> Iterator[WrongEdge]:
    """Find the steps that no edge leads to: where there is no circle, they are enough."""
    targets = {target for edges in graph.values() for target in edges.values()}
    start, before = next(iter(graph)), ""
    for name, edges in graph.items():
        if name != start and name not in targets:
            text = f"step {name!r} is never reached"
            if start in edges.values():
                text += f": the flow starts with {start!r}, its first step; list it first"
            elif Outcome.SUCCESS not in graph[before]:
                text += (
                    ": in a flow with edges nothing follows by order; "
                    f"write 'onSuccess: {name}' at {before!r}, or remove it"
                )
            else:
                text += "; let an edge lead to it, or remove it"
            yield WrongEdge(name, None, text)
        before = name
