"""A flow: the steps that carry a resource through one unstable state, and their edges.

>>> flow = Flow("Backup", (Step("TakeSnapshot"), Step("CopyAway")))
>>> flow.index("CopyAway"), len(flow.digest)
(1, 12)

A linear flow, in which each step is followed by the next, needs no edges.  With edges,
a step is followed by what its edge for that outcome leads to, or by nothing:

>>> stop = Flow("Stop", (
...     Step("stop", polling=Polling(), on_success="end", on_failure="fail"),
...     Step("end", "cluster.persist+cluster.unlock", on_failure="fail"),
...     Step("fail", "cluster.unlock"),
... ))
>>> stop.start, stop.main_path(), stop.handlers()
('stop', ('stop', 'end'), ('fail',))
>>> stop.after("end", Outcome.FAILURE), stop.after("end", Outcome.SUCCESS)
('fail', None)

What may be wrong with edges is told of each:

Once a step has an edge, the order in which the steps are listed says no more than that
the first one is the start: a step is followed by what its edge leads to, or by nothing.

>>> graph = {"Stop": {Outcome.SUCCESS: "End", Outcome.FAILURE: "Fial"}, "End": {}}
>>> for wrong in wrong_edges({**graph, "Fail": {}}):
...     print(wrong.text)
'onFailure' of 'Stop' leads to 'Fial', which is no step here; did you mean 'Fail'?
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from wfsim.errors import DefinitionError, Problem
from wfsim.model.bounds import (
    Count,
    PositiveCount,
    PositiveSeconds,
    Share,
    Word,
    check,
)
from wfsim.model.duration import Length
from wfsim.model.glance import as_html, glance, words
from wfsim.model.policy import DeadlineFrom, Retry
from wfsim.text import suggest


class Outcome(StrEnum):
    """How a step ended; the value is the key in a flow file that says what follows."""

    SUCCESS = "onSuccess"
    FAILURE = "onFailure"
    CANCEL = "onCancel"


PAUSE = "pause"
"""The onFailure of a step whose failure stops the flow until that is started again."""

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
    for name, edges in graph.items():
        for outcome, target in edges.items():
            if target not in graph:
                text = f"{outcome.value!r} of {name!r} leads to {target!r}"
                cure = suggest(target, graph)
                yield WrongEdge(name, outcome, f"{text}, which is no step here{cure}")


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
                    nodes = list(path)
                    yield _circle(outcome, [*nodes[nodes.index(target) :], target])
                elif target in graph and target not in seen:
                    seen.add(target)
                    path[target] = iter(graph[target].items())
                    break
            else:
                del path[name]


def _circle(outcome: Outcome, nodes: list[str]) -> WrongEdge:
    last, key = nodes[-2], repr(outcome.value)
    if len(nodes) == 2:
        cure = (
            "for another try write 'retry'"
            if outcome is Outcome.FAILURE
            else "lead it to another step"
        )
        return WrongEdge(last, outcome, f"step {last!r} is its own {key}; {cure}")
    if len(nodes) > _MAX_SHOWN:
        nodes = [*nodes[: _MAX_SHOWN - 3], "...", *nodes[-2:]]
    return WrongEdge(
        last,
        outcome,
        f"{key} of {last!r} closes the circle {' -> '.join(nodes)}; "
        "lead it to a step that comes later",
    )


def _unreached(graph: Graph) -> Iterator[WrongEdge]:
    """Find the steps that no edge leads to: where there is no circle, they are enough."""
    targets = {target for edges in graph.values() for target in edges.values()}
    start, before = next(iter(graph)), ""
    for name, edges in graph.items():
        if name != start and name not in targets:
            text = f"step {name!r} is never reached"
            if name == PAUSE:
                text += ": 'onFailure: pause' stops the flow; rename the step"
            elif start in edges.values():
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


class Source(NamedTuple):
    """Where in which file something was written."""

    path: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.path else "<python>"


@dataclass(frozen=True, slots=True)
class Polling:
    """How to look at the operation that a step has launched until it is over.

    The first look is one *interval* (seconds of virtual time) after the launch; when
    *limit* looks have found it under way, the next one is a time-out.  As many
    consecutive looks as *tolerated_errors* may fail before the step does.  The numbers
    are those of the reference (``workflow2/meta.go:305``, ``common.go:32``).
    Raises `DefinitionError` for numbers that make no sense.
    """

    interval: PositiveSeconds = 3.0
    limit: PositiveCount = 864_000
    tolerated_errors: Count = 0

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow: its code, its limits, and the edges that leave it.

    *retry* and *timeout* override those of the flow, which override the policy's.  What
    an attempt waits in the queue of a pool does not count towards its timeout, unless
    *timeout_counts_queue*.
    *duration* (or what `Duration.parse` reads: 10, ``{"uniform": [2, 4]}``) and *failure*
    (a probability) are what a step without code takes.
    Once it has failed for good, ``on_failure="pause"`` stops the flow until it is started
    again, with this step.
    A step with *polling* launches an operation and is over when that is.  *undo* is the
    class that takes back, within the step, what a failed attempt has done.  One without
    code may start another flow of its service, the *child*, and *waits* until that has
    finished, or does not.

    *class_name* may join several by ``+``: they run in order, the first error ends it.
    Raises `DefinitionError` for values that make no sense.

    >>> Step("end", "cluster.persist+cluster.unlock").class_names
    ('cluster.persist', 'cluster.unlock')
    """

    name: Word
    class_name: str = ""
    retry: Retry | None = None
    timeout: PositiveSeconds | None = None
    duration: Length | None = None
    failure: Share | None = None
    polling: Polling | None = None
    undo: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    on_cancel: str | None = None
    source: Source = field(default=Source(), compare=False)
    child: str | None = None
    waits: bool = True
    timeout_counts_queue: bool = False

    def __post_init__(self) -> None:
        check(self)
        if not self.class_name:
            object.__setattr__(self, "class_name", self.name)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that make up this step, in the order in which they run."""
        return tuple(self.class_name.split("+"))

    @property
    def all_classes(self) -> tuple[str, ...]:
        """The same, and the class that takes the step back, if there is one."""
        return self.class_names if self.undo is None else (*self.class_names, self.undo)

    @property
    def edges(self) -> Mapping[Outcome, str]:
        """The names of the steps that this one leads to, by how it ended."""
        failure = None if self.pauses else self.on_failure
        targets = (self.on_success, failure, self.on_cancel)
        pairs = zip(Outcome, targets, strict=True)
        return {outcome: target for outcome, target in pairs if target is not None}

    @property
    def pauses(self) -> bool:
        """Whether its failure stops the flow until that is started again."""
        return self.on_failure == PAUSE

    def shape(self) -> list[Any]:
        """Return, as JSON, what a run would execute; numbers are left out."""
        more: dict[str, Any] = {}
        if self.polling is not None:
            more["mode"] = "polling"
        if self.undo is not None:
            more["undo"] = self.undo
        if self.child is not None:
            more["childFlow"] = self.child
            more |= {} if self.waits else {"wait": False}
        more |= {outcome.value: target for outcome, target in self.edges.items()}
        if self.pauses:
            more[Outcome.FAILURE.value] = PAUSE
        return [self.name, self.class_name, *([more] if more else [])]


class Targets(NamedTuple):
    """The indices of the steps that one leads to, by how it ended; None ends the run."""

    success: int | None
    failure: int | None = None
    cancel: int | None = None


Following: TypeAlias = tuple[Targets, ...]


@dataclass(frozen=True)
class Flow:
    """Named steps in order, or along the edges that they have.

    The first step is the start.  The main path is what a run without a failure takes;
    a run that ends on it has gone well, one that ends in a handler has not.
    Random draws are keyed by *draws*, its name if that is None: two versions of a flow
    with one key are compared in pairs, whatever they are called.  *deadline* and
    *deadline_from* override the policy's.
    Raises `DefinitionError` for values that make no sense, and for edges that lead
    nowhere, in a circle or past a step.
    """

    name: Word
    steps: tuple[Step, ...]
    recover_from_first_step: bool = False
    retry: Retry | None = None
    timeout: PositiveSeconds | None = None
    deadline: PositiveSeconds | None = None
    biz_type: str | None = None
    source: Source = field(default=Source(), compare=False)
    draws: Word | None = None
    deadline_from: DeadlineFrom | None = None

    def __post_init__(self) -> None:
        check(self)
        if self.is_linear:
            return
        times = Counter(self.names)
        twice = [name for name in times if times[name] > 1]
        problems = [f"two steps are called {name!r}; rename one" for name in twice]
        graph = {step.name: step.edges for step in self.steps}
        problems += [wrong.text for wrong in wrong_edges(graph)]
        if problems:
            subject = f"flow {self.name!r}"
            raise DefinitionError(*(Problem(text, subject=subject) for text in problems))

    def __repr__(self) -> str:
        arrow = " -> " if self.is_linear else ", "
        number = len(self.steps)
        steps = f"{number} step{'s' * (number != 1)}"
        graph = "" if self.is_linear else " with edges"
        return f"<Flow {self.name}: {steps}{graph}, {words(self.names, 3, arrow)}>"

    def _repr_html_(self) -> str:
        lines = [
            f"  {step.name}" + (f"  {step.duration}" if step.duration else "")
            for step in self.steps
        ]
        return as_html(glance(repr(self), lines, "wfsim.Scenario.of_flow(flow)"))

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits that change with what a run of this flow would execute.

        Numbers (retries, timeouts, durations, polls) may be tuned while runs are under
        way; the steps, their classes, order and edges may not.
        """
        shape = [self.name, [step.shape() for step in self.steps]]
        return hashlib.blake2b(json.dumps(shape).encode(), digest_size=6).hexdigest()

    def draws_of(self, run: str) -> str:
        """Return what the draws of *run*, a memento's key such as 1-Create, go by."""
        return run if self.draws is None else f"{run.partition('-')[0]}-{self.draws}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the steps, in the order in which they are listed."""
        return tuple(step.name for step in self.steps)

    @cached_property
    def is_linear(self) -> bool:
        """Whether it has no edges, so that each step is followed by the next one."""
        return not any(step.edges or step.pauses for step in self.steps)

    @cached_property
    def following(self) -> Following:
        """What `after` says of each step, by index."""
        if self.is_linear:
            last = len(self.steps) - 1
            return tuple(
                Targets(index + 1 if index < last else None)
                for index in range(len(self.steps))
            )
        at = {name: index for index, name in enumerate(self.names)}
        return tuple(
            Targets(*(at.get(step.edges.get(outcome, "")) for outcome in Outcome))
            for step in self.steps
        )

    @property
    def start(self) -> str | None:
        """The step with which a run begins, the first one; None in an empty flow."""
        return self.names[0] if self.names else None

    def index(self, step: str) -> int:
        """Return the position of *step*."""
        return self.names.index(step)

    def after(self, step: str, outcome: Outcome) -> str | None:
        """Return the step that follows *step* when it has ended so; None ends the run."""
        index = self.index(step)
        if not self.is_linear:
            return self.steps[index].edges.get(outcome)
        follows = outcome is Outcome.SUCCESS and index + 1 < len(self.names)
        return self.names[index + 1] if follows else None

    def main_path(self) -> tuple[str, ...]:
        """Return the steps of a run in which nothing fails, in order."""
        if self.is_linear:
            return self.names
        following = {step.name: step.on_success for step in self.steps}
        path, step = [], self.start
        while step is not None:
            path.append(step)
            step = following[step]
        return tuple(path)

    def handlers(self) -> tuple[str, ...]:
        """Return the steps that run only after a failure or a cancel, as listed."""
        main = set(self.main_path())
        return tuple(name for name in self.names if name not in main)
