"""Hypothesis strategies: plans of faults and requests, and scenarios of random flows.

What is drawn first is what shrinks to: the calm plan, the first site, the shortest flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from wfsim.campaign.lab import Lab, Maker
from wfsim.campaign.sites import singles, wanted
from wfsim.engine.steps import StepContext, step
from wfsim.errors import UsageError, Waiting
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow, Polling, Step
from wfsim.model.machine import StateMachine
from wfsim.model.resource import Resource
from wfsim.sim.faults import Fault
from wfsim.sim.scenario import Scenario
from wfsim.sim.world import World

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def plans(
    scenario: Scenario | Maker,
    faults: str | Iterable[str | type[Fault]] = "all",
    *,
    asks: Mapping[str, Any] | None = None,
    most: int = 2,
    seed: int | None = None,
    restart_after: float = 10.0,
) -> SearchStrategy[tuple[Fault, ...]]:
    """Return a strategy of plans for *scenario*: up to *most* points of `explore`.

    *scenario*, *faults*, *asks* and *restart_after* (seconds) are those of `explore`; a
    calm run is made to learn its sites.  A plan shrinks to the fewest points at the
    first sites.  Raises `UsageError` without Hypothesis, or where no fault applies.
    """
    st = _strategies()
    lab = Lab(scenario, seed, restart_after, (), (), {})
    calm, sites = lab.calm.scenario, lab.sites
    names = wanted(faults)
    world = lab.calm.world
    listed, _ = singles(names, asks or {}, sites, calm, world, restart_after)
    if not listed:
        raise UsageError(f"none of {', '.join(names)} applies to {calm.title}")
    every = [point.plan for point in listed]
    drawn = st.lists(st.sampled_from(every), min_size=1, max_size=most, unique=True)
    made: SearchStrategy[tuple[Fault, ...]] = drawn.map(
        lambda plan: tuple(chain.from_iterable(plan))
    )
    return made


class Ledger(World):
    """What random flows work on: what was put in, and what is being made."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, int] = {}
        self.made: list[str] = []

    def put(self, name: str) -> None:
        """Put *name* in, whether or not it is there."""
        self.entries[name] = 1
        self.changed()

    def make(self, name: str, seconds: float) -> str:
        """Begin to make *name*, unless that was begun; return what it is called."""
        if name not in self.made:
            self.made.append(name)
            self.later(seconds, "put", name)
        return name

    def poll(self, operation: str) -> bool:
        """Return whether what was begun is over."""
        return operation in self.entries


def _name(context: StepContext) -> str:
    return f"{context.resource.name}/{context.run}/{context.step}"


@step("Put")
def put(context: StepContext) -> Any:
    """Take two seconds, and put the name of the step in."""
    yield from context.sleep(2)
    context.world.put(_name(context))
    yield from context.sleep(1)
    return {context.step: "put"}


@step("Await")
def await_made(context: StepContext) -> Any:
    """Order something, and ask again every three seconds until it is made."""
    name = context.world.make(_name(context), 7.0)
    if not context.world.poll(name):
        raise Waiting(3.0)


@step("Launch")
def launch(context: StepContext) -> Any:
    """Launch what is looked at until it is made."""
    yield from context.sleep(1)
    return {"operation": context.world.make(_name(context), 8.0)}


@step("Note")
def note(context: StepContext) -> Any:
    """Write to the resource."""
    yield from context.update(annotations={context.step: "noted"})


BODIES = (put, await_made, launch, note)


def scenarios(most: int = 6) -> SearchStrategy[Scenario]:
    """Return a strategy of scenarios: one resource, a flow of up to *most* steps.

    Flows have steps without code, waits, polls, groups of classes, edges with a handler;
    a third of the scenarios are services, where a step may start another flow.  All of
    their steps may be run again at any time.
    """
    st = _strategies()
    kinds = ("", "Put", "Await", "Launch", "Note", "Put+Note", "Put+Put")
    number = st.integers(1, most)
    steps = number.flatmap(
        lambda size: st.lists(st.sampled_from(kinds), min_size=size, max_size=size)
    )
    lengths = st.sampled_from((1.0, 0.0, 6.5))
    shape = st.sampled_from(("line", "edges", "service"))
    made: SearchStrategy[Scenario] = st.builds(_scenario, steps, lengths, shape)
    return made


def _scenario(kinds: list[str], seconds: float, shape: str) -> Scenario:
    is_service = shape == "service"
    if is_service:  # a node that writes to its flow is not tried again
        kinds = [kind.replace("Note", "Put") for kind in kinds]
    names = [f"S{number}" for number in range(1, len(kinds) + 1)]
    flow = [
        _step(name, kind, seconds, after if shape != "line" else None, shape == "edges")
        for name, kind, after in zip(names, kinds, [*names[1:], None], strict=True)
    ]
    if shape == "edges":
        flow.append(Step("Handler", duration=Duration.parse(1.0)))
    flows = [Flow("Random", tuple(flow))]
    if not is_service:
        machine = (
            StateMachine("thing")
            .stable("Running", "Interrupt")
            .unstable("Creating", run="Random")
        )
        thing = Resource("thing", "thing-1")
        return Scenario([thing], machine, flows, BODIES, world=Ledger)
    child = Step("Child", child="Random", on_success="End")
    end = Step("End", duration=Duration.parse(seconds))
    return Scenario(
        flows=[*flows, Flow("Parent", (child, end))], steps=BODIES, world=Ledger
    )


def _step(name: str, kind: str, seconds: float, after: str | None, caught: bool) -> Step:
    return Step(
        name,
        kind,
        duration=None if kind else Duration.parse(seconds),
        polling=Polling(interval=3.0) if kind == "Launch" else None,
        on_success=after,
        on_failure="Handler" if caught else None,
    )


def _strategies() -> Any:
    try:
        from hypothesis import strategies
    except ImportError:
        raise UsageError(
            "strategies need Hypothesis: pip install 'wfsim-lab[test]'"
        ) from None
    return strategies


__all__ = ["plans", "scenarios"]
