"""The state machine of a kind of resource: which move applies?

>>> def wants_backup(resource):
...     return "backup" in resource.annotations
>>> machine = StateMachine("db").stable("Running", "Interrupt").transition(
...     "Running", "BackingUp", when=wants_backup, run="NightlyBackup"
... )
>>> machine.validate(flows=["NightlyBackup"]).edges()[0]
Edge(source='Running', target='BackingUp', via='check', label='wants_backup')
>>> machine.stable("Running")
Traceback (most recent call last):
wfsim.errors.DefinitionError: db: state 'Running' is registered twice

The state graph as text, for the programs that draw such texts: Mermaid and Graphviz.

>>> edge = Edge("Running", "BackingUp", "check", "wants_backup")
>>> print(to_mermaid([edge], current="Running"))
stateDiagram-v2
    direction LR
    state "Running" as s0
    state "BackingUp" as s1
    s0 --> s1 : wants_backup
    classDef current fill:#F0E442,color:#000
    class s0 current
>>> print(to_dot([edge]))
digraph {
    rankdir=LR
    node [shape=box, style="rounded,filled", fillcolor=white]
    "Running"
    "BackingUp"
    "Running" -> "BackingUp" [label="wants_backup"]
}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, Self, TypeAlias

from wfsim.errors import DefinitionError, Problem
from wfsim.model.frozen import EMPTY
from wfsim.model.glance import glance, words
from wfsim.model.resource import (
    CREATING,
    INTERRUPT,
    RECOVERY,
    RUNNING,
    Recovery,
    Resource,
)
from wfsim.text import suggest

INIT = "Init"


class Event(NamedTuple):
    """Why a resource should move, and what the flow should know of it."""

    name: str
    params: Mapping[str, Any] = EMPTY


Check: TypeAlias = Callable[[Resource], Event | bool | None]


class Transition(NamedTuple):
    """From a stable state to another, when *check* says so."""

    source: str
    target: str
    check: Check

    def event(self, resource: Resource) -> Event | None:
        """Return the event that *resource* gives rise to, None if there is none."""
        answer = self.check(resource)
        if isinstance(answer, Event):
            return answer
        return Event(self.target) if answer else None


class Action(NamedTuple):
    """What an unstable state does: run *flow*, then stand in *then*."""

    state: str
    flow: str
    ignore_unfinished: bool = False
    then: str = RUNNING
    check: Check | None = None


class Edge(NamedTuple):
    """One arrow of the state graph.

    *via* is check, done, no event, interrupt or recover.
    """

    source: str
    target: str
    via: str
    label: str = ""


class StateMachine:
    """The states of one *kind* of resource, built up by chained calls.

    Checks of a stable state are asked in the order of registration and the first
    event wins.  An empty state is read as ``Creating``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.stable_states: tuple[str, ...] = ()
        self.actions: dict[str, Action] = {}
        self.transitions: tuple[Transition, ...] = ()
        self.ignored: frozenset[str] = frozenset()
        self.finalizers: dict[str, Callable[..., Any]] = {}
        self.notes = RECOVERY

    def __repr__(self) -> str:
        head = f"<StateMachine {self.kind}: {len(self.states)} states>"
        lines = [f"  stable: {words(self.stable_states, 8)}"]
        lines += [
            f"  {action.state}: runs {action.flow}, then {action.then}"
            for action in self.actions.values()
        ]
        return glance(head, lines, "machine.to_mermaid(), wfsim.charts.states(log)")

    def stable(self, *states: str) -> Self:
        """Register *states* in which nothing runs until a check says so."""
        for state in states:
            self._refuse_duplicate(state)
            self.stable_states += (state,)
        return self

    def unstable(
        self,
        state: str,
        *,
        run: str,
        when: Check | None = None,
        ignore_unfinished: bool = False,
        then: str = RUNNING,
    ) -> Self:
        """Register *state*, whose flow is *run*.

        It is retried while the check *when* returns an event.

        *then* is the state written when the flow has completed.  *ignore_unfinished*
        supersedes an unfinished run of another flow instead of finishing it first.
        """
        self._refuse_duplicate(state)
        self.actions[state] = Action(state, run, ignore_unfinished, then, when)
        return self

    def transition(
        self,
        source: str,
        target: str,
        *,
        when: Check,
        run: str | None = None,
        ignore_unfinished: bool = False,
        then: str = RUNNING,
    ) -> Self:
        """Leave *source* for *target* when *when* has an event.

        With *run*, *target* is registered as `unstable` too.
        """
        if any((t.source, t.target) == (source, target) for t in self.transitions):
            raise DefinitionError(
                f"{self.kind}: transition {source!r} -> {target!r} is registered twice"
            )
        if run is not None:
            self.unstable(
                target, run=run, when=when, ignore_unfinished=ignore_unfinished, then=then
            )
        self.transitions += (Transition(source, target, when),)
        return self

    def ignore(self, *events: str) -> Self:
        """Pass over events of these names; later checks are still asked."""
        self.ignored |= set(events)
        return self

    def finalizer(self, name: str, release: Callable[..., Any]) -> Self:
        """Call *release* with a step context before a resource with *name* goes away."""
        if name in self.finalizers:
            raise DefinitionError(f"{self.kind}: finalizer {name!r} is registered twice")
        self.finalizers[name] = release
        return self

    def recovery(self, recovery: Recovery) -> Self:
        """Set how resources note an interruption, and how that ends, to *recovery*."""
        if not isinstance(recovery, Recovery):
            text = f"{self.kind}: {recovery!r} is no way to recover"
            raise DefinitionError(f"{text}; give wfsim.types.Recovery(...)")
        self.notes = recovery
        return self

    def knows(self, state: str) -> bool:
        """Whether *state* is a registered one."""
        return self.is_stable(state) or self.action(state) is not None

    def is_stable(self, state: str) -> bool:
        """Whether *state* is one that only a check leaves."""
        return (state or CREATING) in self.stable_states

    def action(self, state: str) -> Action | None:
        """Return what *state* does, None for a stable or unknown one."""
        return self.actions.get(state or CREATING)

    @property
    def states(self) -> tuple[str, ...]:
        """Every registered state, the stable ones first."""
        return (*self.stable_states, *self.actions)

    def ignores(self, state: str, flow: str) -> bool:
        """Whether the action of *state* passes over an unfinished run of *flow*."""
        action = self.action(state)
        return action is not None and action.ignore_unfinished and action.flow != flow

    def state_running(self, flow: str) -> str | None:
        """Return the unstable state whose action runs *flow*, None if there is none."""
        states = (action.state for action in self.actions.values() if action.flow == flow)
        return next(states, None)

    def events(self, resource: Resource) -> list[tuple[Transition, Event | Exception]]:
        """Return what the checks of *resource*'s stable state say, up to the first event.

        A check that raises is listed with its exception and does not stop the scan;
        an ignored event is left out and does not stop it either.
        """
        answers: list[tuple[Transition, Event | Exception]] = []
        for transition in self.transitions:
            if transition.source != (resource.state or CREATING):
                continue
            try:
                event = transition.event(resource)
            except Exception as error:
                answers.append((transition, error))
                continue
            if event is not None and event.name not in self.ignored:
                answers.append((transition, event))
                break
        return answers

    def entry(self, resource: Resource) -> Event | None:
        """Ask the check again whether the reason for an unstable state still holds.

        An action without a check of its own always has a reason.
        """
        action = self.action(resource.state)
        if action is None or action.check is None:
            return Event(resource.state or CREATING)
        return Transition("", action.state, action.check).event(resource)

    def validate(self, flows: Collection[str] | None = None) -> Self:
        """Return itself if every state has a handler and can be reached.

        With *flows*, the flows that actions run must be among them.  Raises
        `DefinitionError` with one line for each problem.
        """
        problems = []
        for transition in self.transitions:
            source, target = transition.source, transition.target
            if not self.is_stable(source):
                problems.append(
                    f"transition {source!r} -> {target!r} leaves a state that is not "
                    f"stable{suggest(source, self.stable_states)}"
                )
            problems += self._unhandled(target, f"transition from {source!r}")
        for action in self.actions.values():
            if not self.is_stable(action.then):
                problems.append(
                    f"state {action.state!r} ends in {action.then!r}, which is not a "
                    f"stable state{suggest(action.then, self.stable_states)}"
                )
            if flows is not None and action.flow not in flows:
                problems.append(
                    f"state {action.state!r} runs the unknown flow "
                    f"{action.flow!r}{suggest(action.flow, flows)}"
                )
        if self.actions and not self.is_stable(INTERRUPT):
            problems.append(
                f"a flow may be interrupted, but {INTERRUPT!r} is not registered; "
                f"add .stable({INTERRUPT!r})"
            )
        checked = [action.state for action in self.actions.values() if action.check]
        if checked and not self.is_stable(RUNNING):
            problems.append(
                f"state {checked[0]!r} is left for {RUNNING!r} when its check has no "
                f"event, but {RUNNING!r} is not stable; add .stable({RUNNING!r})"
            )
        problems += self._unreachable()
        if problems:
            raise DefinitionError(
                *(Problem(text, subject=self.kind) for text in problems)
            )
        return self

    def edges(self) -> list[Edge]:
        """Return every arrow of the state graph, in order of registration."""
        edges = [
            Edge(t.source, t.target, "check", _name(t.check)) for t in self.transitions
        ]
        for action in self.actions.values():
            edges.append(Edge(action.state, action.then, "done", action.flow))
            if action.check is not None and action.then != RUNNING:
                edges.append(Edge(action.state, RUNNING, "no event"))
            edges.append(Edge(action.state, INTERRUPT, "interrupt"))
            edges.append(Edge(INTERRUPT, action.state, "recover"))
        return edges

    def to_mermaid(self, current: str = "") -> str:
        """Return the state graph as a Mermaid diagram, *current* highlighted."""
        return to_mermaid(self.edges(), current, self.states)

    def to_dot(self, current: str = "") -> str:
        """Return the state graph as Graphviz source, *current* highlighted."""
        return to_dot(self.edges(), current, self.states)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return {"text/plain": repr(self), "text/vnd.mermaid": self.to_mermaid()}

    def _refuse_duplicate(self, state: str) -> None:
        if not state:
            raise DefinitionError(f"{self.kind}: a state must have a name")
        if state in self.stable_states or state in self.actions:
            raise DefinitionError(f"{self.kind}: state {state!r} is registered twice")

    def _unhandled(self, state: str, where: str) -> list[str]:
        if state in self.states:
            return []
        near = suggest(state, self.states)
        return [f"{where} goes to the unknown state {state!r}{near}"]

    def _unreachable(self) -> list[str]:
        reached: set[str] = {CREATING, INIT, RUNNING, INTERRUPT}
        grown = True
        while grown:
            more = {
                e.target
                for e in self.edges()
                if e.source in reached and e.via != "recover"
            }
            grown = not more <= reached
            reached |= more
        return [
            f"state {state!r} cannot be reached: no transition leads to it"
            for state in self.states
            if state not in reached
        ]


def _name(check: Check | None) -> str:
    check = getattr(check, "func", check)  # of a partial
    name: str = getattr(check, "__name__", type(check).__name__)
    return "" if name == "<lambda>" else name


_DOT_STYLES = {"interrupt": "dashed", "recover": "dashed", "no event": "dotted"}


def to_mermaid(
    edges: Iterable[Edge], current: str = "", states: Iterable[str] = ()
) -> str:
    """Return *edges* as a Mermaid state diagram.

    The state *current* is highlighted; *states* are drawn though no edge touches them.
    """
    edges = list(edges)
    ids = {state: f"s{n}" for n, state in enumerate(_states(edges, current, states))}
    lines = ["stateDiagram-v2", "    direction LR"]
    lines += [f'    state "{_entities(state)}" as {ids[state]}' for state in ids]
    lines += [
        f"    {ids[edge.source]} --> {ids[edge.target]} : {_entities(_label(edge))}"
        for edge in edges
    ]
    if current:
        lines.append("    classDef current fill:#F0E442,color:#000")
        lines.append(f"    class {ids[current]} current")
    return "\n".join(lines)


def to_dot(edges: Iterable[Edge], current: str = "", states: Iterable[str] = ()) -> str:
    """Return *edges* as Graphviz source.

    The state *current* is highlighted; *states* are drawn though no edge touches them.
    """
    edges = list(edges)
    lines = ["digraph {", "    rankdir=LR"]
    lines.append('    node [shape=box, style="rounded,filled", fillcolor=white]')
    for state in _states(edges, current, states):
        mark = ' [fillcolor="#F0E442", penwidth=2]' if state == current else ""
        lines.append(f"    {_quoted(state)}{mark}")
    for edge in edges:
        style = _DOT_STYLES.get(edge.via)
        more = f", style={style}" if style else ""
        label = _quoted(_label(edge))
        ends = f"{_quoted(edge.source)} -> {_quoted(edge.target)}"
        lines.append(f"    {ends} [label={label}{more}]")
    lines.append("}")
    return "\n".join(lines)


def _states(edges: Iterable[Edge], current: str, states: Iterable[str]) -> list[str]:
    ends = [end for edge in edges for end in (edge.source, edge.target)]
    return list(dict.fromkeys([*states, *ends, *([current] if current else [])]))


def _label(edge: Edge) -> str:
    return f"{edge.label} done" if edge.via == "done" else edge.label or edge.via


def _entities(text: str) -> str:
    """Return *text* with all that could mean something to Mermaid as a character code."""
    line = " ".join(text.split()) or " "
    return re.sub(r"[^\w .,()/+=*?!-]", lambda match: f"#{ord(match[0])};", line)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
