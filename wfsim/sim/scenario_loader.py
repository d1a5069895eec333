"""Scenarios from files: what runs, by name or flow file, and all that is said of it.

Every problem names file, line and cure; as many of them as can be told are told at once.
"""

from __future__ import annotations

import csv
import inspect
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from wfsim.engine.steps import DEFAULT_DURATION
from wfsim.errors import DefinitionError, Location, Problem
from wfsim.files.document import Document, overridden, read_document
from wfsim.files.validation import validated
from wfsim.model.bounds import MAX_SECONDS
from wfsim.model.flow import Flow
from wfsim.model.frozen import EMPTY
from wfsim.model.resource import Key, Resource
from wfsim.sim.demand import (
    ANY,
    EACH,
    Arrivals,
    FlowRequest,
    Trigger,
    numbered,
    there_already,
    wrong_demand,
)
from wfsim.sim.fault_wrappers import ApiRate
from wfsim.sim.rates import RATES, Rate, wrong_rates
from wfsim.sim.scenario import WORKERS, Scenario
from wfsim.sim.scenario_flows import has_code
from wfsim.sim.scenario_schema import (
    MAX_RESOURCES,
    ScenarioFile,
    faults_of,
)
from wfsim.sim.step_settings import StepSettings, wrong_settings
from wfsim.sim.times import Shifts, Times
from wfsim.text import shown, suggest

_WHEN = ("at", "every", "mean", "rate", "between", "rates")
_TIMES = (*_WHEN, "start", "until", "count", "period", "batch")
_OF_ARRIVALS = ("priority", "patience")
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

    def __init__(self, document: Document, file: ScenarioFile) -> None:
        self.document = document
        self.file = file
        self.folder = Path(document.name).parent
        self.problems: list[Problem] = []

    def scenario(self) -> Scenario:
        bare = self.base()
        numbers = self.numbers(bare)
        self.refuse_if_wrong()
        base = self.with_limits(self.with_parts(bare, numbers))
        parts: dict[str, Any] = {"pools": dict(self.file.capacities.pools)}
        parts["shifts"] = self.shifts(parts["pools"])
        parts["resources"] = self.resources(base)
        parts["settings"] = self.settings(base, parts["pools"])
        arrivals = [
            self.arrivals(base, index, item)
            for index, item in enumerate(self.file.arrivals)
        ]
        self.refuse_if_wrong()
        parts["arrivals"] = arrivals
        whole = self.with_parts(base, parts)
        known = {name for it in whole.resources for name in (it.name, str(it.key))}
        parts["triggers"] = [
            self.trigger(whole, index, known) for index in range(len(self.file.triggers))
        ]
        parts["faults"] = self.faults(base)
        parts["rates"] = self.rates(base)
        self.refuse_if_wrong()
        return self.with_parts(base, parts)

    def with_parts(self, base: Scenario, parts: Mapping[str, Any]) -> Scenario:
        """Return *base* with *parts*; what is wrong with them is told with all else."""
        try:
            return base.but(**parts)
        except DefinitionError as error:
            self.problems += map(self.document.located, error.problems)
            raise DefinitionError(*self.problems) from error

    @contextmanager
    def at(self, *path: str | int) -> Iterator[None]:
        """Take a `DefinitionError` for problems of what stands at *path*."""
        try:
            yield
        except DefinitionError as error:
            self.problems += [self.document.located(it, path) for it in error.problems]

    def refuse(self, path: Location, text: str, cure: str = "") -> None:
        """Note the problem of what stands at *path*."""
        self.problems.append(self.document.problem(path, text, cure))

    def refuse_if_wrong(self) -> None:
        if self.problems:
            raise DefinitionError(*dict.fromkeys(self.problems))

    # What runs.

    def base(self) -> Scenario:
        file = self.file
        if sum(getattr(file, name) is not None for name in _WHAT) != 1:
            text = (
                "give exactly one of these keys: scenario (a name), flow (a file), flows "
                "(a folder)"
            )
            raise DefinitionError(self.document.problem((), text))
        if file.scenario is None:
            return self.of_files()
        for key in ("duration", "failure"):
            if getattr(file, key) is not None:
                text = f"{key} goes with flow files, whose steps have no code; remove it"
                self.refuse((key,), text)
        scenarios = installed()
        if file.scenario not in scenarios:
            near = suggest(file.scenario or "", scenarios)
            text = f"no scenario {shown(file.scenario)}{near}"
            raise DefinitionError(self.document.problem(("scenario",), text))
        make: Callable[..., Scenario] = scenarios[file.scenario].load()
        return made_by(make, self.document, file)

    def of_files(self) -> Scenario:
        file, given = self.file, self.file.capacities
        only = {
            "arguments": file.arguments,
            "operations": file.operations.model_fields_set,
            **{
                f"capacities.{name}": getattr(given, name)
                for name in ("nodes", "pods_per_node", "storage_gb")
            },
        }
        for path, value in only.items():
            if value:
                text = f"{path} goes with scenario; the steps of a flow file have no code"
                location = tuple(path.split("."))
                self.refuse(location, text)
        of_all: dict[str, Any] = {
            "duration": file.duration or DEFAULT_DURATION,
            "failure": file.failure or 0.0,
        }
        if file.flows is None:
            flow_file = self.folder / (file.flow or "")
            return Scenario.of_flow(flow_file, draws=file.draws, **of_all)
        if file.draws is not None:
            text = "draws is the key of one flow; write it into each of the flow files"
            self.refuse(("draws",), text)
        return Scenario.of_flows(self.folder / file.flows, **of_all)

    def with_limits(self, base: Scenario) -> Scenario:
        """Return *base* with the retries, timeout and deadline of all its flows."""
        file = self.file
        limits = {
            name: getattr(file, name)
            for name in ("timeout", "deadline")
            if getattr(file, name) is not None
        }
        if file.retry is None and not limits:
            return base
        retry, flows = file.retry, []
        for flow in base.flows.values():
            if retry is not None:
                usual = flow.retry or base.policy.retry
                with self.at("retry"):
                    limits["retry"] = replace(usual, **retry.given())
            flows.append(replace(flow, **limits))
        self.refuse_if_wrong()
        return base.but(flows=flows)

    # What is said of it.

    def numbers(self, base: Scenario) -> dict[str, Any]:
        file, given = self.file, self.file.capacities
        numbers: dict[str, Any] = {
            name: getattr(file, name)
            for name in ("title", "horizon", "lag", "warm_up", "drain", "seed")
            if getattr(file, name) is not None
        }
        if given.api_rate is not None:
            numbers["api_rate"] = ApiRate(**given.api_rate.given())
        policy = file.policy.given()
        for name in ("retry", "redrive"):
            if name in policy:
                changes = policy[name].given()
                with self.at("policy", name):
                    policy[name] = replace(getattr(base.policy, name), **changes)
        if given.workers is not None:
            policy["workers"] = given.workers
        with self.at("policy"):
            numbers["policy"] = replace(base.policy, **policy)
        return numbers

    def resources(self, base: Scenario) -> tuple[Resource, ...]:
        items = self.file.resources
        if items is None:
            return base.resources
        if base.is_service:
            text = "a service has no resources; let flows arrive"
            self.refuse(("resources",), text)
            return ()
        if sum(item.count for item in items) > MAX_RESOURCES:
            text = f"more than {MAX_RESOURCES} resources; give fewer"
            raise DefinitionError(self.document.problem(("resources",), text))
        by_key: dict[Key, Resource] = {}
        for index, item in enumerate(items):
            like = _like(base, item)
            if item.count > 1 and numbered(like, 0).name == numbered(like, 1).name:
                text = (
                    f"{item.name!r} would be there {item.count} times; write {{n}} in it"
                )
                self.refuse(("resources", index, "name"), text)
                continue
            with self.at("resources", index):
                base.check([numbered(like, 0)])
            more = [numbered(like, number) for number in range(item.count)]
            twice = next((each.key for each in more if each.key in by_key), None)
            if twice is not None:
                text = f"a resource before is called {str(twice)!r} too; rename one"
                self.refuse(("resources", index, "name"), text)
            by_key.update((each.key, each) for each in more)
        return tuple(by_key.values())

    def settings(
        self, base: Scenario, pools: Mapping[str, int]
    ) -> Mapping[str, StepSettings]:
        settings = {}
        for name, item in self.file.steps.items():
            with self.at("steps", name):
                given = item.given()
                if "retry" in given:
                    given["retry"] = given["retry"].given()
                settings[name] = StepSettings(**given)
        coded = partial(has_code, steps=base.steps)
        self.refuse_settings(wrong_settings(settings, base.flows.values(), pools, coded))
        return settings

    def shifts(self, pools: Mapping[str, int]) -> dict[str, Shifts]:
        shifts, known = {}, {WORKERS, *pools}
        for name, item in self.file.capacities.shifts.items():
            path = ("capacities", "shifts", name)
            if name not in known:
                self.refuse(path, f"no pool {shown(name)}{suggest(name, known)}")
            with self.at(*path):
                shifts[name] = Shifts(**item.given())
        return shifts

    def refuse_settings(self, problems: Iterable[Problem]) -> None:
        for each in problems:
            (kind, *rest) = each.path
            where = ("steps",) if kind == "settings" else ("capacities", "pools")
            self.problems.append(
                self.document.located(replace(each, path=(*where, *rest)))
            )

    def times(self, item: Any) -> Times:
        numbers = {name: it for name, it in item.given().items() if name in _TIMES}
        if item.file is None:
            if item.resample:
                raise _out_of_place("resample", "file")
            return Times(**numbers)
        if numbers.keys() & set(_WHEN):
            cure = f"remove {', '.join(_WHEN)}"
            raise DefinitionError(Problem("file stands alone", cure))
        times = load_times(self.folder / item.file)
        return (
            Times.resampled(times, **numbers)
            if item.resample
            else Times(times, **numbers)
        )

    def arrivals(self, base: Scenario, index: int, item: Any) -> Any:
        with self.at("arrivals", index):
            given = item.given()
            more = {name: given[name] for name in _OF_ARRIVALS if name in given}
            arrivals = Arrivals(self.arriving(base, item), self.times(item), **more)
            flows = base.flows if base.is_service else None
            problems = wrong_demand([arrivals], flows, base.horizon)
            problems += there_already(base.resources, [arrivals], base.horizon)
            if problems:
                raise DefinitionError(*(replace(each, path=()) for each in problems))
            if isinstance(arrivals.what, Resource):
                base.check([arrivals.resource(0)])
            return arrivals
        return None

    def arriving(self, base: Scenario, item: Any) -> Resource | FlowRequest:
        if (item.name is None) == (item.flow is None):
            raise DefinitionError(
                "give either name, that of a resource, or flow, for a service"
            )
        given = item.given().keys() - {*_TIMES, *_OF_ARRIVALS, "file", "resample", "flow"}
        of_flow = {"biz_id", "biz_type", "context"}
        if item.flow is None:
            odd = sorted(given & of_flow)
            if base.is_service:
                text, cure = "a service has flows alone", "write flow, not name"
                raise DefinitionError(Problem(text, cure, ("name",)))
            if odd:
                raise DefinitionError(
                    Problem(f"{odd[0]} goes with flow", "remove it", (odd[0],))
                )
            return _like(base, item)
        odd = sorted(given - of_flow)
        if odd:
            raise DefinitionError(
                Problem(f"{odd[0]} goes with name", "remove it", (odd[0],))
            )
        return FlowRequest(item.flow, **{name: getattr(item, name) for name in given})

    def trigger(self, scenario: Scenario, index: int, known: set[str]) -> Any:
        item = self.file.triggers[index]
        wanted = item.resource
        arrives = any(
            scenario.arrived(Key(kind, "default", wanted or ""))
            for kind in scenario.machines
        )
        if not (wanted in (None, EACH, ANY) or wanted in known or arrives):
            near = suggest(wanted or "", {*known, EACH, ANY})
            self.refuse(
                ("triggers", index, "resource"), f"no resource {shown(wanted)}{near}"
            )
        with self.at("triggers", index):
            parts = {name: getattr(item, name) for name in _PARTS}
            trigger = Trigger(self.times(item), wanted, **parts)
            flows = scenario.flows if scenario.is_service else None
            problems = wrong_demand([trigger], flows, scenario.horizon)
            if problems:
                raise DefinitionError(*(replace(each, path=()) for each in problems))
            return trigger
        return None

    def faults(self, base: Scenario) -> tuple[Any, ...]:
        try:
            plan = faults_of(self.file.faults, self.document, ("faults",))
        except DefinitionError as error:
            self.problems += error.problems
            return ()
        known = _step_names(base.flows)
        for index, fault in enumerate(plan):
            step = getattr(fault, "step", None)
            if step is not None and step not in known:
                text = f"no step {shown(step)}{suggest(step, known)}"
                self.refuse(("faults", index, type(fault).__name__, "step"), text)
        return plan

    def rates(self, base: Scenario) -> dict[str, Rate]:
        rates: dict[str, Rate] = {}
        for name in RATES:
            item = getattr(self.file.rates, name)
            if item is not None:
                with self.at("rates", name):
                    rates[name] = Rate(**item.given())
        for each in wrong_rates(rates, (), base.horizon):
            self.problems.append(self.document.located(each))
        return rates


def _out_of_place(name: str, what: str) -> DefinitionError:
    return DefinitionError(Problem(f"{name} goes with {what}", "remove it", (name,)))


def _like(base: Scenario, item: Any) -> Resource:
    """Return the resource of *item*, like the first one of *base* where it is silent."""
    assert item.name is not None
    if base.is_service or item.kind not in (None, base.first.kind):
        resource = Resource(item.kind or "", item.name)
    else:
        resource = base.first._replace(name=item.name)
    if item.namespace is not None:
        resource = resource._replace(namespace=item.namespace)
    if item.state is not None:
        resource = resource._replace(state=item.state)
    return resource.edit(**{name: getattr(item, name) for name in _PARTS})


def _step_names(flows: Mapping[str, Flow]) -> set[str]:
    steps = [step for flow in flows.values() for step in flow.steps]
    return {name for step in steps for name in (step.name, *step.class_names)}


MAX_NUMBER = 1_000_000
"""What a whole number among the arguments may be: it often says how many to make."""

OWN = {
    "policy": "policy",
    "latencies": "operations.latencies",
    "failures": "operations.failures",
}
"""Keywords that have a key of their own in the file."""

_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def made_by(
    make: Callable[..., Scenario], document: Document, file: ScenarioFile
) -> Scenario:
    """Return what *make* makes of what the file *said*, or raise `DefinitionError`."""
    known = inspect.signature(make, eval_str=True).parameters
    given = dict(_given(file))
    problems = []
    for name, (location, value) in given.items():
        if name not in known:
            text = (
                f"{shown(name)} is no argument of {file.scenario!r}{suggest(name, known)}"
            )
        elif location[0] == "arguments" and name in OWN:
            text = f"write {name} as {OWN[name]}, outside arguments"
        else:
            text = _wrong(name, value, known[name].annotation)
        if text:
            problems.append(document.problem(location, text))
    if problems:
        raise DefinitionError(*problems)
    try:
        return make(**{name: value for name, (_, value) in given.items()})
    except DefinitionError as error:
        at = {name: path for name, (path, _) in given.items()}
        raise DefinitionError(
            *(_of_argument(each, at, document) for each in error.problems)
        ) from error
    except _ODD as error:
        text = f"{file.scenario} cannot be made: {type(error).__name__}: {error}"
        raise DefinitionError(document.problem(("arguments",), text)) from error


def _given(file: ScenarioFile) -> Iterator[tuple[str, tuple[Location, Any]]]:
    """Yield the keywords that the file gives, in all its parts, with their places."""
    for name, value in file.arguments.items():
        yield name, (("arguments", name), value)
    for name in ("nodes", "pods_per_node", "storage_gb"):
        value = getattr(file.capacities, name)
        if value is not None:
            yield name, (("capacities", name), value)
    for name in file.operations.model_fields_set:
        value = getattr(file.operations, name)
        yield name, (("operations", name), value)


def _wrong(name: str, value: Any, wanted: Any) -> str:
    """Return what is wrong with *value* as the argument *name*, "" if nothing."""
    if type(value) is int and abs(value) > MAX_NUMBER and name != "storage_gb":
        return f"{name} is {shown(value)}; give a number up to {MAX_NUMBER}"
    if wanted is inspect.Parameter.empty:
        return ""
    try:
        TypeAdapter(wanted).validate_python(value, strict=True)
    except PydanticSchemaGenerationError:
        return f"{name} cannot be given in a file; remove it"
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"].replace("Input should", "must")
        return f"{name} {why[0].lower()}{why[1:]}, got {shown(value)}"
    return ""


def _of_argument(
    problem: Problem, at: Mapping[Any, Location], document: Document
) -> Problem:
    """Return *problem* of a scenario's maker at the argument to which its path leads."""
    if not problem.path or problem.path[0] not in at:
        return document.located(replace(problem, path=()), ("arguments",))
    name, *rest = problem.path
    return document.located(replace(problem, path=tuple(rest)), at[name])


COLUMN = "time"
MAX_BYTES = 1 << 25
MAX_ROWS = 1_000_000


def load_times(file: str | os.PathLike[str]) -> tuple[float, ...]:
    """Return the seconds in *file*, in its order: CSV, or YAML if its name says so.

    Raises `DefinitionError` with file and line for each of the first ten that is wrong.
    """
    name = os.fspath(file)
    if name.endswith((".yaml", ".yml")):
        return _of_yaml(name)
    return _of_csv(name)


def _of_yaml(name: str) -> tuple[float, ...]:
    document = read_document(name)
    if not isinstance(document.data, list) or not document.data:
        text = f"is {shown(document.data)}; write a list of seconds: [0, 60, 90]"
        raise DefinitionError(document.problem((), text))
    return _checked(
        [(item, document.line_of((index,))) for index, item in enumerate(document.data)],
        name,
    )


def _of_csv(name: str) -> tuple[float, ...]:
    try:
        with Path(name).open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _wrong_times(name, 1, f"larger than {MAX_BYTES} bytes", "split it")
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        text, cure = f"cannot be read: {why}", "give the path of a CSV file"
        raise _wrong_times(name, 1, text, cure) from None
    rows = csv.reader(io.StringIO(text, newline=""))
    cells: list[tuple[Any, int]] = []
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if COLUMN not in header:
            text = f"has no column {COLUMN!r}{suggest(COLUMN, header)}"
            raise _wrong_times(name, 1, text)
        at = header.index(COLUMN)
        for row in rows:
            if row:
                cell = row[at] if at < len(row) else ""
                cells.append((_number(cell), rows.line_num))
            if len(cells) > MAX_ROWS:
                text = f"more than {MAX_ROWS} times"
                raise _wrong_times(name, rows.line_num, text, "split the file")
    except csv.Error as error:
        text, cure = f"not valid CSV: {error}", "look at its quotes"
        raise _wrong_times(name, rows.line_num, text, cure) from None
    if not cells:
        raise _wrong_times(name, 1, "holds no time", "write one in a line")
    return _checked(cells, name)


def _number(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


def _checked(cells: list[tuple[Any, int]], file: str) -> tuple[float, ...]:
    cure = f"give seconds from 0 to {MAX_SECONDS:g}"
    wrong = [
        Problem(f"{COLUMN} is {shown(value)}", cure, file=file, line=line)
        for value, line in cells
        if type(value) not in (int, float) or not 0 <= value <= MAX_SECONDS
    ]
    if wrong:
        raise DefinitionError(*wrong[:10])
    return tuple(float(value) for value, _ in cells)


def _wrong_times(file: str, line: int, text: str, cure: str = "") -> DefinitionError:
    return DefinitionError(Problem(text, cure, file=file, line=line))
