"""Scenarios from files: what runs, by name or flow file, and all that is said of it.

Every problem names file, line and cure; as many of them as can be told are told at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from wfsim.engine.steps import DEFAULT_DURATION
from wfsim.errors import DefinitionError
from wfsim.model.document import Document, hint, read_document, shown
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY
from wfsim.model.resource import Key, Resource
from wfsim.model.validation import validated
from wfsim.sim.arguments import made_by
from wfsim.sim.demand import (
    ANY,
    EACH,
    Arrivals,
    FlowRequest,
    Times,
    Trigger,
    numbered,
    wrong_demand,
)
from wfsim.sim.overrides import overridden
from wfsim.sim.plan_file import plan_in
from wfsim.sim.rates import Rate, wrong_rates
from wfsim.sim.scenario import Scenario
from wfsim.sim.scenario_file import (
    MAX_RESOURCES,
    ArrivalItem,
    ResourceItem,
    ScenarioFile,
    TimesItem,
)
from wfsim.sim.settings import StepSettings
from wfsim.sim.times_file import load_times

_TIMES = ("every", "mean", "rate", "start", "until", "count")
_PARTS = ("spec", "status", "annotations")
_WHAT = {"scenario", "flow", "flows"}


def installed() -> dict[str, EntryPoint]:
    """Return the scenarios that installed packages offer, by name."""
    return {entry.name: entry for entry in entry_points(group="wfsim.scenarios")}


def is_scenario(document: Document) -> bool:
    """Whether *document* is a scenario, right or wrong, rather than a flow or a plan."""
    data = document.data
    if not isinstance(data, dict) or {"flowName", "groupName"} & data.keys():
        return False
    known = {item.alias or name for name, item in ScenarioFile.model_fields.items()}
    return bool(_WHAT & data.keys() or known - {"steps"} & data.keys())


def load_scenario(
    file: str | os.PathLike[str], overrides: Mapping[str, Any] = EMPTY
) -> Scenario:
    """Return the scenario in *file*, some of its values replaced by *overrides*.

    Raises `DefinitionError` with a line for each problem.
    """
    document = overridden(read_document(file), overrides)
    return _Loading(document, validated(ScenarioFile, document)).scenario()


def load_flow_as_scenario(
    file: str | os.PathLike[str], overrides: Mapping[str, Any] = EMPTY
) -> Scenario:
    """Return the scenario of a file that says no more than that the flow in *file* runs.

    *overrides* and errors are those of `load_scenario`.
    """
    name = os.fspath(file)
    document = overridden(Document(name, {"flow": Path(name).name}, {}), overrides)
    return _Loading(document, validated(ScenarioFile, document)).scenario()


class _Loading:
    """Makes the scenario of one file, part by part, and collects what is wrong."""

    def __init__(self, document: Document, said: ScenarioFile) -> None:
        self.document = document
        self.said = said
        self.folder = Path(document.name).parent
        self.problems: list[str] = []

    def scenario(self) -> Scenario:
        bare = self.base()
        numbers = self.numbers(bare)
        self.demand_none_is_left()
        base = self.whole(bare, numbers)
        parts: dict[str, Any] = {"pools": dict(self.said.capacities.pools)}
        parts["resources"] = self.resources(base)
        parts["settings"] = self.settings(base, parts["pools"])
        arrivals = [
            self.arrivals(base, index, item)
            for index, item in enumerate(self.said.arrivals)
        ]
        self.demand_none_is_left()
        parts["arrivals"] = arrivals
        whole = self.whole(base, parts)
        known = {name for it in whole.resources for name in (it.name, str(it.key))}
        parts["triggers"] = [
            self.trigger(whole, index, known) for index in range(len(self.said.triggers))
        ]
        parts["faults"] = self.faults(base)
        parts["rates"] = self.rates(base)
        self.demand_none_is_left()
        return self.whole(base, parts)

    def whole(self, base: Scenario, parts: Mapping[str, Any]) -> Scenario:
        with self.at():
            return base.but(**parts)
        raise DefinitionError(*self.problems)

    @contextmanager
    def at(self, *place: str | int, strip: str = "") -> Iterator[None]:
        """Take a `DefinitionError` for problems of what stands at *place*."""
        try:
            yield
        except DefinitionError as error:
            self.problems += [
                self.document.problem(place, text.removeprefix(strip))
                for text in error.problems
            ]

    def demand_none_is_left(self) -> None:
        if self.problems:
            raise DefinitionError(*dict.fromkeys(self.problems))

    # What runs.

    def base(self) -> Scenario:
        said = self.said
        if sum(getattr(said, name) is not None for name in _WHAT) != 1:
            text = (
                "give one of scenario, the name of one, flow, a file, and flows, the "
                "files of a service"
            )
            raise DefinitionError(self.document.problem((), text))
        if said.scenario is None:
            return self.of_files()
        for key in ("duration", "failure"):
            if getattr(said, key) is not None:
                text = f"{key} goes with flow files, whose steps have no code; remove it"
                self.problems.append(self.document.problem((key,), text))
        found = installed()
        if said.scenario not in found:
            text = (
                f"no scenario {shown(said.scenario)}; {hint(said.scenario or '', found)}"
            )
            raise DefinitionError(self.document.problem(("scenario",), text))
        make: Callable[..., Scenario] = found[said.scenario].load()
        return made_by(make, self.document, said)

    def of_files(self) -> Scenario:
        said, given = self.said, self.said.capacities
        only = {
            "arguments": said.arguments,
            "operations": said.operations.model_fields_set,
            **{
                f"capacities.{name}": getattr(given, name)
                for name in ("nodes", "pods_per_node", "storage_gb")
            },
        }
        for path, value in only.items():
            if value:
                text = f"{path} goes with scenario; the steps of a flow file have no code"
                place = tuple(path.split("."))
                self.problems.append(self.document.problem(place, text))
        make = Scenario.of_flow if said.flows is None else Scenario.of_flows
        return make(
            self.folder / (said.flow or said.flows or ""),
            duration=said.duration or DEFAULT_DURATION,
            failure=said.failure or 0.0,
        )

    # What is said of it.

    def numbers(self, base: Scenario) -> dict[str, Any]:
        said, given = self.said, self.said.capacities
        found: dict[str, Any] = {
            name: getattr(said, name)
            for name in ("title", "horizon", "lag", "warm_up", "drain", "seed")
            if getattr(said, name) is not None
        }
        if given.api_rate is not None:
            found["api_rate"] = given.api_rate.value()
        policy = {
            name: getattr(said.policy, name) for name in said.policy.model_fields_set
        }
        for name in ("retry", "redrive"):
            if name in policy:
                changes = policy[name].model_dump(exclude_unset=True)
                with self.at("policy", name):
                    policy[name] = replace(getattr(base.policy, name), **changes)
        if given.workers is not None:
            policy["workers"] = given.workers
        with self.at("policy"):
            found["policy"] = replace(base.policy, **policy)
        return found

    def resources(self, base: Scenario) -> tuple[Resource, ...]:
        items = self.said.resources
        if items is None:
            return base.resources
        if base.is_service:
            text = "a service has no resources; let flows arrive"
            self.problems.append(self.document.problem(("resources",), text))
            return ()
        if sum(item.count for item in items) > MAX_RESOURCES:
            text = f"more than {MAX_RESOURCES} resources; give fewer"
            raise DefinitionError(self.document.problem(("resources",), text))
        made: dict[Key, Resource] = {}
        for index, item in enumerate(items):
            like = _like(base, item)
            if item.count > 1 and numbered(like, 0).name == numbered(like, 1).name:
                text = (
                    f"{item.name!r} would be there {item.count} times; write {{n}} in it"
                )
                self.problems.append(
                    self.document.problem(("resources", index, "name"), text)
                )
                continue
            with self.at("resources", index):
                base.check([numbered(like, 0)])
            more = [numbered(like, number) for number in range(item.count)]
            twice = next((each.key for each in more if each.key in made), None)
            if twice is not None:
                text = f"a resource before is called {str(twice)!r} too; rename one"
                self.problems.append(
                    self.document.problem(("resources", index, "name"), text)
                )
            made.update((each.key, each) for each in more)
        return tuple(made.values())

    def settings(
        self, base: Scenario, pools: Mapping[str, int]
    ) -> Mapping[str, StepSettings]:
        made = {}
        for name, item in self.said.steps.items():
            with self.at("steps", name, strip=f"settings of {name!r}: "):
                made[name] = StepSettings(**dict(item))
                base.but(settings={name: made[name]}, pools=pools)
        return made

    def times(self, item: TimesItem) -> Times:
        numbers = {name: getattr(item, name) for name in _TIMES}
        listed = tuple(item.at or ())
        if item.file is None:
            return Times(listed, **numbers)
        if listed or item.every or item.mean or item.rate:
            raise DefinitionError(
                "Times: file stands alone; remove at, every, mean, rate"
            )
        return Times(load_times(self.folder / item.file), **numbers)

    def arrivals(self, base: Scenario, index: int, item: ArrivalItem) -> Any:
        place = ("arrivals", index)
        with self.at(*place, strip="Times: "):
            times = self.times(item)
            with self.at(*place, strip="Arrivals: "):
                found = Arrivals(self.arriving(base, item), times)
                with self.at(*place, strip="Arrivals 0: "):
                    base.but(arrivals=[found])
                    return found
        return None

    def arriving(self, base: Scenario, item: ArrivalItem) -> Resource | FlowRequest:
        if (item.name is None) == (item.flow is None):
            raise DefinitionError(
                "give either name, that of a resource, or flow, for a service"
            )
        given = item.model_fields_set - set(TimesItem.model_fields) - {"flow"}
        if item.flow is None:
            odd = sorted(given & {"biz_id", "biz_type", "context"})
            if base.is_service:
                raise DefinitionError("a service has flows alone; write flow, not name")
            if odd:
                raise DefinitionError(f"{odd[0]} goes with flow; remove it")
            return _like(base, item)
        odd = sorted(given - {"biz_id", "biz_type", "context"})
        if odd:
            raise DefinitionError(f"{odd[0]} goes with name; remove it")
        return FlowRequest(item.flow, item.biz_id, item.biz_type, item.context)

    def trigger(self, scenario: Scenario, index: int, known: set[str]) -> Any:
        item = self.said.triggers[index]
        wanted = item.resource
        arrives = any(
            scenario.arrived(Key(kind, "default", wanted or ""))
            for kind in scenario.machines
        )
        if not (wanted in (None, EACH, ANY) or wanted in known or arrives):
            text = (
                f"no resource {shown(wanted)}; {hint(wanted or '', {*known, EACH, ANY})}"
            )
            place = ("triggers", index, "resource")
            self.problems.append(self.document.problem(place, text))
        with self.at("triggers", index, strip="Times: "):
            times = self.times(item)
            with self.at("triggers", index, strip="Trigger: "):
                parts = {name: getattr(item, name) for name in _PARTS}
                found = Trigger(times, wanted, **parts)
                flows = scenario.flows if scenario.is_service else None
                for text in wrong_demand([found], flows, scenario.horizon):
                    raise DefinitionError(text.removeprefix("Trigger 0: "))
                return found
        return None

    def faults(self, base: Scenario) -> tuple[Any, ...]:
        try:
            plan = plan_in(self.document, self.said.faults, ("faults",))
        except DefinitionError as error:
            self.problems += error.problems
            return ()
        known = _step_names(base.flows)
        for index, fault in enumerate(plan):
            step = getattr(fault, "step", None)
            if step is not None and step not in known:
                text = f"no step {shown(step)}; {hint(step, known)}"
                self.problems.append(self.document.problem(("faults", index), text))
        return plan

    def rates(self, base: Scenario) -> dict[str, Rate]:
        made: dict[str, Rate] = {}
        for name in ("controller", "api", "pods"):
            item = getattr(self.said.rates, name)
            if item is not None:
                with self.at("rates", name, strip="Rate: "):
                    made[name] = Rate(**item.model_dump())
                    for text in wrong_rates({name: made[name]}, (), base.horizon):
                        raise DefinitionError(text.removeprefix(f"rates: {name}: "))
        return made


def _like(base: Scenario, item: ResourceItem | ArrivalItem) -> Resource:
    """Return the resource of *item*, like the first one of *base* where it is silent."""
    assert item.name is not None
    if base.is_service or item.kind not in (None, base.first.kind):
        made = Resource(item.kind or "", item.name)
    else:
        made = base.first._replace(name=item.name)
    if item.namespace is not None:
        made = made._replace(namespace=item.namespace)
    if item.state is not None:
        made = made._replace(state=item.state)
    return made.edit(**{name: getattr(item, name) for name in _PARTS})


def _step_names(flows: Mapping[str, Flow]) -> set[str]:
    steps = [step for flow in flows.values() for step in flow.steps]
    return {name for step in steps for name in (step.name, *step.class_names)}
