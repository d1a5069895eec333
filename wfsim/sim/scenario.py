"""A scenario: all that a simulation needs besides a seed and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from wfsim.engine.ports import Draws, Hooks, StepFunction, Steps
from wfsim.engine.reconciler import Migration
from wfsim.engine.service import KIND
from wfsim.engine.steps import DEFAULT_DURATION, StepRegistry, timed
from wfsim.errors import DefinitionError, Problem, UsageError
from wfsim.model.bounds import (
    PositiveSeconds,
    Seconds,
    listed,
    mapped,
    problems_in,
    wrong,
)
from wfsim.model.duration import Duration
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY, freeze, is_json
from wfsim.model.glance import as_html, glance, words
from wfsim.model.machine import StateMachine
from wfsim.model.policy import UNBOUNDED, Policy, Retry
from wfsim.model.resource import CREATING, INTERRUPT, RUNNING, Key, Resource
from wfsim.sim.demand import (
    Arrivals,
    Trigger,
    ambiguous_triggers,
    called_the_same,
    there_already,
    wrong_demand,
)
from wfsim.sim.fault_wrappers import ApiRate
from wfsim.sim.faults import Fault
from wfsim.sim.pool import Pool
from wfsim.sim.rates import Rate, expanded, wrong_rates
from wfsim.sim.scenario_flows import (
    flows_at,
    flows_given,
    has_code,
    timed_flows,
    unknown_steps,
    wrong_children,
)
from wfsim.sim.step_settings import (
    SetSteps,
    StepSettings,
    set_flows,
    settings_by_name,
    unread,
    wrong_settings,
)
from wfsim.sim.times import Shifts, wrong_shifts
from wfsim.sim.world import World
from wfsim.text import plain, short, suggest


class Scenario:
    """Resources, their state machine, its flows, the steps' code and the fake world.

    Times are seconds of virtual time.  Raises `DefinitionError` naming every problem.

    What there is: *resources*; *machine*, one or one a kind; *flows*, or a folder of flow
    files; *steps*, their code (one that has neither code nor a duration is an error);
    *world*, which makes the fake world anew for each simulation.

    A service is what has no resources and machines: its flows are created and started by
    whoever asks for them.  *begin* asks a simulation for a flow about a business object
    (None: one that there is) as its caller does and returns its id; *recall* repeats, for
    a flow that is resumed, what its caller had changed in the world.  Default: nothing.

    How it is run: *policy*, *hooks*, *migrations*; *seed*, of a simulation that is given
    none; *horizon*, when it stops whatever goes on; *lag*, the age of what controllers
    read from their cache; *title*.

    *requests* are functions of a simulation by name: what somebody may ask of it beside
    what it can do itself, see `AskAt`.

    Demand: *arrivals* come and *triggers* change resources, nothing after *drain*, while
    what is under way goes on; what was called for before *warm_up* counts in no study.

    Capacities: *pools* (name: places); *shifts*, how many places a pool has, or
    ``workers`` each controller, as time goes by; *settings* of steps, by name or class:
    how long they take, how often they fail, which places they hold; *api_rate*, an
    `ApiRate` or so many requests of the controllers a second.

    Failures: *faults* happen besides those given to a simulation; *rates* add random
    ones, drawn from the seed, of ``controller``, ``api`` and ``pods``.
    """

    def __init__(
        self,
        resources: Iterable[Resource] = (),
        machine: StateMachine | Iterable[StateMachine] = (),
        flows: str | Path | Iterable[Flow] = (),
        steps: Iterable[Callable[..., Any]] = (),
        *,
        world: Callable[[], World] | None = None,
        # Of a service.
        begin: Callable[[Any, str, str | None], str] | None = None,
        recall: Callable[[Any, Resource], None] | None = None,
        requests: Mapping[str, Callable[..., Any]] = EMPTY,
        # How it is run.
        policy: Policy | None = None,
        hooks: Iterable[Hooks] = (),
        migrations: Mapping[str, Migration] = EMPTY,
        seed: int = 0,
        horizon: float = 7 * 86400.0,
        lag: float = 0.0,
        title: str = "",
        # Demand.
        arrivals: Iterable[Arrivals] = (),
        triggers: Iterable[Trigger] = (),
        drain: float | None = None,
        warm_up: float = 0.0,
        # Capacities.
        pools: Mapping[str, int] = EMPTY,
        settings: Mapping[str, StepSettings | Mapping[str, Any]] = EMPTY,
        shifts: Mapping[str, Shifts] = EMPTY,
        api_rate: ApiRate | float | None = None,
        # Failures.
        faults: Iterable[Fault] = (),
        rates: Mapping[str, Rate] = EMPTY,
    ) -> None:
        first = listed("resources", resources, "Resource(...)")
        self.resources = tuple(map(_frozen, first))
        self.arrivals = listed("arrivals", arrivals, "Arrivals(...)")
        self.triggers = listed("triggers", triggers, "Trigger(...)")
        self.faults = listed("faults", faults, "CrashAt(t=40)")
        self.settings = settings_by_name(mapped(settings, "settings"))
        self.rates, self.pools = mapped(rates, "rates"), mapped(pools, "pools")
        self.shifts: dict[str, Shifts] = mapped(shifts, "shifts")
        self.seed, self.warm_up, self.drain = seed, warm_up, drain
        machines = _machines(machine)
        self.machines = {item.kind: item for item in machines}
        self.is_service = not (machines or self.resources)
        self.policy = policy or (Policy.service() if self.is_service else Policy())
        self._code = listed("steps", steps, "the function or class of a step")
        self.steps = StepRegistry(self._code)
        self._set_flows(flows)
        self.world, self.api_rate = _maker(world), _api_rate(api_rate)
        self.begin, self.recall = begin, recall
        self.requests: dict[str, Callable[..., Any]] = mapped(requests, "requests")
        self.hooks = listed("hooks", hooks, "Hooks()")
        self.title = title or ", ".join(sorted(self.flows))
        self.migrations, self.horizon, self.lag = migrations, horizon, lag
        self.assumed: Mapping[str, Duration] = EMPTY
        if problems := self._problems(machines):
            raise DefinitionError(*problems)

    def _set_flows(self, flows: str | Path | Iterable[Flow]) -> None:
        """Set *flows*, as they are written and as the settings change them."""
        self._written = flows_given(flows, self.steps, bool(self.settings))
        has = partial(has_code, steps=self.steps)
        retry = getattr(self.policy, "retry", Retry())
        self.flows, self._wrapped = set_flows(self._written, self.settings, has, retry)

    def _problems(self, machines: Iterable[StateMachine]) -> list[Problem]:
        problems = [
            Problem(f"two state machines for the kind {item.kind!r}", "make them one")
            for item in machines
            if self.machines[item.kind] is not item
        ]
        problems += unknown_steps(self.flows.values(), self.steps)
        problems += wrong_children(self.flows, self.steps, self.is_service)
        for item in self.machines.values():
            try:
                item.validate(self.flows)
            except DefinitionError as error:
                problems += error.problems
        problems += self._bad_resources(self.resources)
        if self.is_service and not self.flows:
            problems.append(Problem("a service needs at least one flow"))
        if not (self.resources or self.is_service or self.arrivals):
            problems.append(Problem("a scenario needs at least one resource"))
        problems += problems_in(vars(self), _TYPES)
        wrong_numbers = {each.path for each in problems}
        if ("horizon",) in wrong_numbers:
            return problems
        if self.world is not None and not callable(self.world):
            text, cure = (
                f"world is {short(self.world)}",
                "give what makes one: lambda: ...",
            )
            problems.append(Problem(text, cure, ("world",)))
        if wrong_numbers.isdisjoint({("warm_up",), ("drain",)}):
            problems += self._bad_window()
        if wrong := self._wrong_demands():
            return problems + wrong
        problems += self._bad_resources(self._arriving())
        return [
            *problems,
            *there_already(self.resources, self.arrivals, self.horizon),
            *called_the_same(self.arrivals, self.horizon),
            *ambiguous_triggers(self.triggers, self.resources, self.arrivals),
        ]

    def __str__(self) -> str:
        names = [str(resource.key) for resource in self.resources]
        what = words(names, 6) or ("a service" if self.is_service else "what arrives")
        return f"<Scenario {self.title}: {what}>"

    def __repr__(self) -> str:
        lines = [
            f"  {name}: {words(values, 6)}"
            for name, values in (
                ("kinds", () if self.is_service else self.kinds),
                ("flows", [*self.flows]),
                ("pools", [f"{name} ({size})" for name, size in self.pools.items()]),
                ("faults", [*map(repr, self.faults)]),
                ("rates", [*self.rates]),
            )
            if values
        ]
        lines.append(f"  until {self.horizon:,.10g} s at most, seed {self.seed}")
        then = "wfsim.simulate(scenario), wfsim.Simulation(scenario)"
        return glance(str(self), lines, then)

    def _repr_html_(self) -> str:
        return as_html(repr(self))

    @classmethod
    def of_flow(
        cls,
        file: str | Path | Flow,
        *,
        steps: Iterable[Callable[..., Any]] = (),
        duration: float | Mapping[str, Any] | Duration = DEFAULT_DURATION,
        failure: float = 0.0,
        resource: str = "resource-0",
        policy: Policy | None = None,
        draws: str | None = None,
    ) -> Scenario:
        """Return a scenario that runs the flow of *file*, or a flow, on one resource.

        A step without code takes the duration and failure probability of its file, or
        *duration* (seconds, or what `Duration.parse` reads) and *failure*; ``assumed``
        lists steps whose duration is a guess because no file gives one.  *draws* is the
        key of the flow's draws, in place of its own.  Raises `DefinitionError`.
        """
        from wfsim.files.flow_loader import load_flow

        flow = file if isinstance(file, Flow) else load_flow(file)
        if draws is not None:
            flow = replace(flow, draws=draws)
        flows, assumed = timed_flows([flow], StepRegistry(steps), duration, failure)
        machine = (
            StateMachine("resource")
            .stable(RUNNING, INTERRUPT)
            .unstable(CREATING, run=flow.name)
        )
        scenario = cls(
            resources=[Resource("resource", resource)],
            machine=machine,
            flows=flows,
            steps=steps,
            policy=policy or Policy(),
            title=flow.name,
        )
        scenario.assumed = assumed
        return scenario

    @classmethod
    def of_flows(
        cls,
        path: str | Path,
        *,
        steps: Iterable[Callable[..., Any]] = (),
        duration: float | Mapping[str, Any] | Duration = DEFAULT_DURATION,
        failure: float = 0.0,
        policy: Policy | None = None,
    ) -> Scenario:
        """Return a service of the flows in a folder, or in one file.

        What is said of steps without code is as in `of_flow`.  Raises `DefinitionError`.
        """
        untimed, registry = flows_at(path), StepRegistry(steps)
        flows, assumed = timed_flows(untimed, registry, duration, failure)
        title = Path(path).resolve().stem
        scenario = cls(flows=flows, steps=steps, policy=policy, title=title)
        scenario.assumed = assumed
        return scenario

    def new_world(self) -> World | None:
        """Return a new world, None if the scenario has none.

        Raises `UsageError` if it is no `World`, or one whose ``__init__`` is not called.
        """
        if self.world is None:
            return None
        world = self.world()
        if not isinstance(world, World):
            raise UsageError(
                f"world makes {plain(world)}, which is no World; give a subclass of "
                "wfsim.World"
            )
        if not hasattr(world, "pending"):
            name = type(world).__name__
            raise UsageError(
                f"{name}.__init__() does not call super().__init__(); write that first"
            )
        return world

    def but(self, **changes: Any) -> Scenario:
        """Return this scenario with other values for some of its keywords.

        >>> from wfsim.model.flow import Flow, Step
        >>> busy = Scenario.of_flow(Flow("Nap", (Step("Sleep"),))).but(lag=2.0)
        >>> busy.lag, busy.but(lag=0.0).lag
        (2.0, 0.0)
        """
        same = {name: getattr(self, name) for name in _SAME}
        same |= {"machine": self.machines.values(), "steps": self._code}
        twin = type(self)(**{**same, "flows": self._written.values(), **changes})
        twin.assumed = {
            step.name: step.duration
            for flow in twin.flows.values()
            for step in flow.steps
            if step.duration is not None and self.assumed.get(step.name) == step.duration
        }
        return twin

    @property
    def first(self) -> Resource:
        """The resource that is meant where none is named."""
        return next(iter((*self.resources, *self._arriving())))

    def arrived(self, key: Key) -> Resource | None:
        """Return the resource of that *key* as it arrives, None if none does."""
        candidates = (each.would_be(key) for each in self.arrivals)
        return next((each for each in candidates if each is not None), None)

    def faults_in(self, draws: Draws, controllers: Sequence[str]) -> tuple[Fault, ...]:
        """Return the listed faults, and those drawn from its rates with *draws*."""
        if not self.rates:
            return self.faults
        more = expanded(self.rates, draws, controllers, self.horizon)
        return (*self.faults, *more)

    def set_steps(self, bodies: Steps, pools: Mapping[str, Pool]) -> Steps:
        """Return *bodies* as its settings want them; they hold places of *pools*."""
        return SetSteps(bodies, self._wrapped, pools) if self._wrapped else bodies

    @classmethod
    def load(cls, file: str | Path, overrides: Mapping[str, Any] = EMPTY) -> Scenario:
        """Return the scenario in the YAML *file*; `wfsim schema --of scenario` says more.

        *overrides* are values in place of those in the file, by dotted paths such as
        ``"steps.CopyAway.failure"``; what the file does not have is added.  Raises
        `DefinitionError` with one line, file and line number first, for each problem.
        """
        from wfsim.sim.scenario_loader import load_scenario

        return load_scenario(file, overrides)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of resources that there may be."""
        return (KIND,) if self.is_service else tuple(self.machines)

    @property
    def window(self) -> float | None:
        """The second until which shares of time count; None for when all is done.

        It is that after which nothing arrives, or the horizon where demand never ends.
        """
        if self.drain is not None:
            return self.drain
        demands: list[Arrivals | Trigger] = [*self.arrivals, *self.triggers]
        endless = any(each.times.is_endless(self.horizon) for each in demands)
        return self.horizon if endless else None

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about numbers of it that nothing in it reads."""
        return tuple(unread(self))

    def _bad_window(self) -> list[Problem]:
        problems = []
        end, name = self.horizon, "the horizon"
        if self.drain is not None:
            end, name = self.drain, "drain"
            if end >= self.horizon:
                text = f"drain is {end!r}"
                cure = f"give seconds before the horizon, {self.horizon:g} s"
                problems.append(Problem(text, cure, ("drain",)))
        if self.warm_up >= end:
            text = f"warm_up is {self.warm_up:g} s, and {name} {end:g} s"
            cure = "nothing would count; give a shorter warm_up"
            problems.append(Problem(text, cure, ("warm_up",)))
        return problems

    def check(self, resources: Iterable[Resource]) -> None:
        """Raise `DefinitionError` if *resources* could not live in this scenario."""
        problems = self._bad_resources(tuple(resources))
        if problems:
            raise DefinitionError(*problems)

    def _bad_resources(self, resources: tuple[Resource, ...]) -> list[Problem]:
        problems, seen = [], set()
        for resource in resources:
            name = str(resource.key)
            if name in seen:
                text = f"two resources are called {name!r}"
                problems.append(Problem(text, "a log could not tell them apart"))
            seen.add(name)
            if not resource.name:
                problems.append(Problem("a resource has no name", "give it one"))
            machine = self.machines.get(resource.kind)
            if machine is not None and not machine.knows(resource.state):
                near = suggest(resource.state, machine.states)
                text = f"no state {resource.state!r}{near}"
                problems.append(Problem(text, path=("state",), subject=name))
            if resource.kind not in self.kinds:
                near = suggest(resource.kind, self.kinds)
                text = f"no state machine for the kind {resource.kind!r}{near}"
                problems.append(Problem(text, path=("kind",), subject=name))
            problems += [
                Problem(
                    f"the annotation {note!r} is {short(value)}",
                    "give a text",
                    ("annotations", note),
                    name,
                )
                for note, value in resource.annotations.items()
                if not isinstance(value, str) and is_json(value)
            ]
            problems += [
                Problem(f"{part} holds what JSON cannot", path=(part,), subject=name)
                for part in ("spec", "status", "annotations")
                if not is_json(getattr(resource, part))
            ]
        return problems

    def _arriving(self) -> tuple[Resource, ...]:
        """Return the first of each kind of resource that arrives."""
        return tuple(
            _frozen(each.resource(0))
            for each in self.arrivals
            if isinstance(each.what, Resource)
        )

    def _wrong_demands(self) -> list[Problem]:
        demands: list[Arrivals | Trigger] = [*self.arrivals, *self.triggers]
        flows = self.flows if self.is_service else None
        problems = wrong_demand(demands, flows, self.horizon)
        coded = partial(has_code, steps=self.steps)
        flows_known = self.flows.values()
        problems += wrong_settings(self.settings, flows_known, self.pools, coded)
        if self.shifts:
            problems += wrong_shifts(self.shifts, {WORKERS, *self.pools})
        problems += wrong_rates(self.rates, self.faults, self.horizon)
        if type(self.seed) is not int:
            text = f"seed is {self.seed!r}"
            problems.append(Problem(text, "give a whole number", ("seed",)))
        return problems

    def places(self, server: str, since: float, until: float) -> float | None:
        """Return how many of the workers or of a pool there are between two seconds.

        That is the mean over time; None for workers without a bound.
        """
        if server in self.shifts:
            return self.shifts[server].mean(since, until)
        if server != WORKERS:
            return float(self.pools[server]) if server in self.pools else None
        workers = self.policy.workers
        return float(workers) if workers < UNBOUNDED else None

    @cached_property
    def has_priorities(self) -> bool:
        """Whether some of what waits for a worker goes before the others."""
        arriving = any(each.priority for each in self.arrivals)
        return arriving or any(each.priority for each in self.resources)

    @cached_property
    def step_names(self) -> frozenset[str]:
        """The names of the steps of its flows, and of their classes."""
        steps = [step for flow in self.flows.values() for step in flow.steps]
        return frozenset({step.name for step in steps} | {*self._class_names})

    def bodies(self) -> Mapping[str, StepFunction]:
        """Return the effect of every class name that a flow uses."""
        return self._bodies

    def polls(self) -> Mapping[str, StepFunction]:
        """Return how to look at what a class launches, for those that say how."""
        return self._polls

    def meta(self) -> Mapping[str, Any]:
        """Return what a log says of where it comes from."""
        return self._meta

    # Worked out once: it was half of what a fresh world cost, and a study has thousands.

    @cached_property
    def _class_names(self) -> list[str]:
        steps = [step for flow in self.flows.values() for step in flow.steps]
        return sorted({name for step in steps for name in step.all_classes})

    @cached_property
    def _bodies(self) -> Mapping[str, StepFunction]:
        steps = self.steps
        return {name: steps.get(name, timed) for name in self._class_names}

    @cached_property
    def _polls(self) -> Mapping[str, StepFunction]:
        return self.steps.polls(self._class_names)

    @cached_property
    def _meta(self) -> Mapping[str, Any]:
        machines, flows = sorted(self.machines.items()), sorted(self.flows.items())
        meta: Mapping[str, Any] = freeze(
            {
                "title": self.title,
                "edges": {kind: machine.edges() for kind, machine in machines},
                "flows": {name: flow.names for name, flow in flows},
            }
        )
        return meta


WORKERS = "workers"
"""What shifts, loads and studies call the workers of the controllers."""

_TYPES = {
    "horizon": PositiveSeconds,
    "lag": Seconds,
    "warm_up": Seconds,
    "drain": PositiveSeconds | None,
    "policy": Policy,
    "title": str,
}
"""What `check` would demand of these keywords, were a scenario a dataclass."""
_SAME = (
    "requests",
    *("resources", "world", "policy", "hooks", "migrations", "title", "horizon", "lag"),
    *(
        "arrivals",
        "triggers",
        "settings",
        "pools",
        "shifts",
        "api_rate",
        "faults",
        "rates",
    ),
    *("warm_up", "drain", "seed", "begin", "recall"),
)
"""The keywords of a scenario that are kept under their own names."""


def _api_rate(given: ApiRate | float | None) -> ApiRate | None:
    return given if given is None or isinstance(given, ApiRate) else ApiRate(given)


def _machines(machine: Any) -> tuple[StateMachine, ...]:
    one = isinstance(machine, StateMachine)
    machines = listed("machine", [machine] if one else machine, "StateMachine(...)")
    for item in machines:
        if not isinstance(item, StateMachine):
            wrong("machine", item, "give StateMachine(...), or a list of them")
    return machines


def _maker(world: Any) -> Callable[[], World] | None:
    if world is None or callable(world):
        return world  # type: ignore[no-any-return]
    cure = f"give the class, or what makes one: world={type(world).__name__}"
    return wrong("world", world, cure)


def _frozen(resource: Resource) -> Resource:
    """Return *resource* with nothing in it that its maker could still change."""
    if not isinstance(resource, Resource):
        text = f"{short(resource)} is among the resources"
        raise DefinitionError(Problem(text, "give Resource(...)", ("resources",)))
    problems = [
        Problem(f"{name} is {short(getattr(resource, name))}", "give a text", (name,))
        for name in ("kind", "name", "namespace", "state")
        if not isinstance(getattr(resource, name), str)
    ]
    problems += [
        Problem(f"{name} is {short(getattr(resource, name))}", "give a mapping", (name,))
        for name in ("spec", "status", "annotations")
        if not isinstance(getattr(resource, name), Mapping)
    ]
    if problems:
        subject = f"Resource {short(resource.name)}"
        raise DefinitionError(*(replace(each, subject=subject) for each in problems))
    return resource._replace(
        spec=freeze(resource.spec),
        status=freeze(resource.status),
        annotations=freeze(resource.annotations),
        finalizers=tuple(resource.finalizers),
    )


def no_scenario(value: Any) -> str:
    """Return what is wrong with *value* in place of a scenario, and what to give."""
    if callable(value):
        cure = f"call it: {plain(value)}()" if hasattr(value, "__name__") else "call it"
    elif isinstance(value, Flow):
        cure = "give wfsim.Scenario.of_flow(flow)"
    elif isinstance(value, (str, Path)):
        cure = "give wfsim.Scenario.load(file), or wfsim.Scenario.of_flow(file)"
    else:
        cure = "give wfsim.Scenario(...)"
    return f"{plain(value)} is no scenario; {cure}"
