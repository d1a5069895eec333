"""Settings of single steps: how long, how often they fail, what they hold.

>>> str(StepSettings(duration={"uniform": [20, 40]}, failure=0.1).duration)
'uniform(20, 40)'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

from wfsim.engine.context import StepContext
from wfsim.engine.ports import Effect, StepFunction, Steps
from wfsim.engine.steps import DEFAULT_DURATION, NO_TIME
from wfsim.errors import DefinitionError, Problem, StepFailed
from wfsim.model.bounds import Doc, Places, PositiveSeconds, Priority, Share, check
from wfsim.model.duration import PARSED
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import EMPTY, freeze
from wfsim.model.policy import Policy, Retry
from wfsim.sim.pool import Pool
from wfsim.text import short, suggest

if TYPE_CHECKING:
    from wfsim.sim.scenario import Scenario


class _RetryRule(NamedTuple):
    """The bounds of retries: a `Retry`, or some of its numbers by name."""

    def accept(self, value: Any) -> Any:
        if isinstance(value, Retry):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("Retry(...), or a mapping of some of its numbers")
        try:
            merged(Retry(), value)
        except (DefinitionError, TypeError) as error:
            raise ValueError(f"numbers of Retry ({error})") from None
        return freeze(value)


RETRY = _RetryRule()


def merged(retry: Retry, numbers: Retry | Mapping[str, Any]) -> Retry:
    """Return *retry* with those *numbers* that are given in place of its own."""
    return numbers if isinstance(numbers, Retry) else replace(retry, **numbers)


@dataclass(frozen=True)
class StepSettings:
    """What a scenario says of a step; what is left out stays as it is.

    A step without code takes *duration* and fails with probability *failure*, in place
    of what its file says.  For a step with code, *duration* passes before its code runs,
    and the attempt fails with probability *failure* before its code has run.  *uses* are
    the places of the scenario's pools that an attempt holds from before all of that to
    its end; to wait for them is part of the attempt, but not of its timeout unless the
    step says so.  Who has a lower *priority*, to which that of the
    resource is added, is served first; one that *preempts* takes the places of who has a
    higher, and that one resumes later.  After *patience* (seconds, or a distribution) one
    that waits leaves the queue, and its run is interrupted.  *timeout* and *retry* (a
    `Retry`, or a mapping of some of its numbers) are in place of what the step, its flow
    or the policy says.  Raises `DefinitionError`.
    """

    duration: Annotated[
        Annotated[Any, PARSED] | None,
        Doc(
            "How long a step without code takes; for one with code, what passes before "
            "its code runs."
        ),
    ] = None
    failure: Annotated[
        Share | None,
        Doc("The probability that an attempt fails; with code, before it does its work."),
    ] = None
    uses: Annotated[Places, Doc("How many places of which pool an attempt holds.")] = (
        field(default_factory=lambda: EMPTY)
    )
    priority: Annotated[
        Priority, Doc("Who waits for places with a lower one goes first.")
    ] = 0
    patience: Annotated[
        Annotated[Any, PARSED] | None,
        Doc(
            "Seconds after which an attempt that has no place yet leaves the queue, and "
            "its run is interrupted."
        ),
    ] = None
    preempts: Annotated[
        bool,
        Doc(
            "Whether who has a lower priority takes the place of one with a higher, who "
            "resumes later; for a step without code that uses one pool."
        ),
    ] = False
    timeout: Annotated[
        PositiveSeconds | None,
        Doc("Seconds that one attempt may take, in place of what the flow says."),
    ] = None
    retry: Annotated[
        Annotated[Retry, RETRY] | None,
        Doc("Numbers of its retries, in place of those of the flow or the policy."),
    ] = None

    def __post_init__(self) -> None:
        check(self)

    def of(self, step: Step) -> Step:
        """Return *step*, which has no code, as it is with these settings."""
        return replace(
            step,
            duration=self.duration or step.duration,
            failure=step.failure if self.failure is None else self.failure,
        )

    def limited(self, step: Step, retry: Retry) -> Step:
        """Return *step* with its timeout and its retries, which are *retry* without."""
        changes: dict[str, Any] = {}
        if self.timeout is not None:
            changes["timeout"] = self.timeout
        if self.retry is not None:
            changes["retry"] = merged(retry, self.retry)
        return replace(step, **changes) if changes else step


def settings_by_name(given: Mapping[str, Any]) -> dict[str, StepSettings]:
    """Return *given* with every mapping in it as settings; raises `DefinitionError`."""
    known = [item.name for item in fields(StepSettings)]
    settings, problems = {}, []
    for name, each in given.items():
        path, subject = ("settings", name), f"settings of {name!r}"
        if isinstance(each, StepSettings):
            settings[name] = each
        elif not isinstance(each, Mapping):
            cure = "give StepSettings()"
            problems.append(Problem(short(each), cure, path, subject))
        elif odd := [key for key in each if key not in known]:
            problems += [
                Problem(f"no {key!r}{suggest(key, known)}", path=path, subject=subject)
                for key in odd
            ]
        else:
            settings[name] = StepSettings(**each)
    if problems:
        raise DefinitionError(*problems)
    return settings


Wrapped: TypeAlias = Mapping[tuple[str, str], StepSettings]
"""What is done around a step, by its name and its first class."""


def set_flows(
    flows: Mapping[str, Flow],
    settings: Mapping[str, StepSettings],
    has_code: Callable[[Step], bool],
    retry: Retry,
) -> tuple[dict[str, Flow], Wrapped]:
    """Return *flows* with their steps without code as *settings* say, and the rest.

    *retry* is that of a flow which has none.

    A step is meant by its name, or else by a class of it.
    """
    if not settings:
        return dict(flows), {}
    changed: dict[str, Flow] = {}
    wrapped = {}
    for name, flow in flows.items():
        steps = []
        for step in flow.steps:
            wanted = next(
                (settings[each] for each in _names(step) if each in settings), None
            )
            if wanted is not None:
                step = wanted.limited(step, step.retry or flow.retry or retry)
            if wanted is not None and not has_code(step):
                step = wanted.of(step)
                wanted = replace(wanted, duration=None, failure=None)
            if wanted is not None and (wanted.uses or wanted.duration or wanted.failure):
                wrapped[step.name, step.class_names[0]] = wanted
            steps.append(step)
        changed[name] = replace(flow, steps=tuple(steps))
    return changed, wrapped


def _names(step: Step) -> tuple[str, ...]:
    """Return what settings may call *step*."""
    return (step.name, *step.class_names)


def wrong_settings(
    settings: Mapping[str, StepSettings],
    flows: Iterable[Flow],
    pools: Mapping[str, int],
    has_code: Callable[[Step], bool],
) -> list[Problem]:
    """Return what is wrong with *settings* and *pools*: what there is not or too much."""
    steps = [step for flow in flows for step in flow.steps]
    known = {name for step in steps for name in _names(step)}
    problems = [
        Problem(
            f"no step {name!r}{suggest(name, known)}",
            path=("settings", name),
            subject="settings",
        )
        for name in settings
        if name not in known
    ]
    problems += [
        Problem(
            f"{name!r} has {short(places)} places",
            "give a whole number from 1 on",
            ("pools", name),
            "pools",
        )
        for name, places in pools.items()
        if type(places) is not int or places < 1
    ]
    if problems:
        return problems
    coded = {name for step in steps if has_code(step) for name in _names(step)}
    for name, wanted in settings.items():
        path, subject = ("settings", name, "uses"), f"settings of {name!r}"
        if wanted.preempts and (len(wanted.uses) != 1 or name in coded):
            cure = "give it one pool" if name not in coded else "its code cannot resume"
            path = ("settings", name, "preempts")
            problems.append(Problem("preempts is True", cure, path, subject))
        for pool, amount in wanted.uses.items():
            text = ""
            if pool not in pools:
                text = f"no pool {pool!r}{suggest(pool, pools)}"
            elif amount > pools[pool]:
                text = f"uses {amount} of the pool {pool!r}, which has {pools[pool]}"
            if text:
                problems.append(Problem(text, path=(*path, pool), subject=subject))
    return problems


def unread(scenario: Scenario) -> Iterator[str]:
    """Yield a sentence for each number of *scenario* that nothing in it reads."""
    policy, flows = scenario.policy, [*scenario.flows.values()]
    usual = Policy.service() if scenario.is_service else Policy()
    names = ", ".join(sorted(scenario.flows))
    steps = [(flow, step) for flow in flows for step in flow.steps]
    if policy.retry != usual.retry and all(s.retry or f.retry for f, s in steps):
        yield (
            f"policy.retry is read by no step: each of {names} has its own retry; in a "
            "scenario file retry stands for that of its flows"
        )
    if policy.timeout is not None and all(s.timeout or f.timeout for f, s in steps):
        yield f"policy.timeout is read by no step: each of {names} has its own timeout"
    if policy.deadline is not None and all(flow.deadline for flow in flows):
        yield f"policy.deadline is read by no flow: each of {names} has its own deadline"
    if not scenario.is_service:
        for name in ("watch_tick", "nodes_per_tick"):
            if getattr(policy, name) != getattr(usual, name):
                yield f"policy.{name} is read by services alone, and this is none"
    pools = {pool for each in scenario.settings.values() for pool in each.uses}
    for name in scenario.pools:
        if name not in pools:
            yield f"the pool {name!r} is used by no step; name it in uses"
    for name, each in scenario.settings.items():
        if each.priority and not each.uses:
            yield f"the priority of {name!r} is read by no pool: it uses none"
    demands = (*scenario.arrivals, *scenario.triggers)
    if scenario.drain is not None and not demands:
        yield "drain is read by nothing: nothing arrives"


class SetSteps(Mapping[str, StepFunction]):
    """Steps that take, fail and hold what *settings* say, by (step, first class)."""

    def __init__(
        self,
        steps: Steps,
        settings: Wrapped,
        pools: Mapping[str, Pool],
    ) -> None:
        self._steps = steps
        self._settings = settings
        self._classes = {name for _, name in settings}
        self._pools = pools

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, name: str) -> StepFunction:
        body = self._steps[name]
        if name not in self._classes:
            return body

        def effect(context: StepContext) -> Effect[Any]:
            settings = self._settings.get((context.step, name))
            if settings is None:
                return (yield from body(context))
            return (yield from self._run(body, settings, context))

        return effect

    def _run(
        self, body: StepFunction, settings: StepSettings, context: StepContext
    ) -> Effect[Any]:
        draw, rank = context.draw, settings.priority + context.resource.priority
        patience = None
        if settings.patience is not None:
            patience = settings.patience.draw(draw("patience"))
        if settings.preempts:
            ((name, amount),) = settings.uses.items()
            spec = context.spec
            seconds = (spec.duration or DEFAULT_DURATION).draw(draw("duration"))
            yield from self._pools[name].hold(
                context, seconds, amount, rank, preempt=True, patience=patience
            )
            context.spec = replace(spec, duration=NO_TIME)
            return (yield from body(context))
        with ExitStack() as held:
            # In one order, so that no two attempts wait for each other.
            for name in sorted(settings.uses):
                amount, pool = settings.uses[name], self._pools[name]
                claim = yield from pool.acquire(amount, rank, context, patience)
                held.enter_context(claim)
            if settings.duration is not None:
                yield context.clock.timeout(settings.duration.draw(draw("set duration")))
            if settings.failure and draw("set failure") < settings.failure:
                text = f"{context.step} fails with probability {settings.failure:g}"
                raise StepFailed(text)
            return (yield from body(context))
