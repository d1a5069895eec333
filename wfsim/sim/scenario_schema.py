"""The schema of the file of a scenario, as pydantic models.

The keys are the keywords of the Python calls, unlike those of flow files, which are the
reference engine's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, RootModel, create_model, model_validator
from pydantic.json_schema import GenerateJsonSchema

from wfsim.errors import DefinitionError, Location, Problem
from wfsim.files.document import Document
from wfsim.files.flow_schema import EditorSchema, with_durations
from wfsim.files.validation import Item, Omissible, model_of, validated
from wfsim.model.bounds import PositiveCount, PositiveSeconds, Seconds, Share
from wfsim.model.duration import Length
from wfsim.model.policy import Policy, Retry
from wfsim.sim.demand import Arrivals, FlowRequest, Trigger
from wfsim.sim.fault_wrappers import ApiRate
from wfsim.sim.faults import FAULTS, MAX_FAULTS, RENAMED, Fault
from wfsim.sim.rates import Rate
from wfsim.sim.step_settings import StepSettings
from wfsim.sim.times import Shifts, Times
from wfsim.text import shown

MAX_ITEMS = 1_000
"""Arrivals, triggers and kinds of resources in one file."""
MAX_RESOURCES = 100_000

ShortText = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[int, Field(ge=1, le=MAX_RESOURCES)]


class _Like(Item):
    """What a resource is like; what is left out is as in the scenario's first one."""

    name: ShortText = Field(description="What it is called; {n} is its number, from 0.")
    kind: Omissible[ShortText] = Field(
        None, description="Kind; must be that of a state machine."
    )
    namespace: Omissible[ShortText] = Field(
        None, description="Left out, it is `default`."
    )
    state: Omissible[str] = Field(None, description="The state in which it begins.")
    spec: dict[str, Any] = Field(
        {}, description="Keys that are merged into the spec it begins with."
    )
    status: dict[str, Any] = Field({}, description="Keys of the status.")
    annotations: dict[str, str | None] = Field(
        {}, description="Annotations; null takes one away."
    )


class ResourceItem(_Like):
    """One resource, or *count* of them."""

    model_config = ConfigDict(title="Resource")

    count: Number = Field(1, description="How many; above 1, the name has {n} in it.")


class _Timed(Item):
    """When something happens: at, every, mean, rate, between, rates or file."""

    file: Omissible[ShortText] = Field(
        None,
        description="At the seconds in this file: CSV with a column `time`, or a YAML "
        "list. The path is relative to this file.",
    )
    resample: bool = Field(
        False,
        description="Whether what is between two is drawn from what is between those in "
        "the file, instead of these times themselves.",
    )


class _Arrival(_Timed, _Like):
    """Resources that come later, or flows that somebody asks a service for."""

    model_config = ConfigDict(
        title="Arrivals",
        json_schema_extra={
            "oneOf": [{"required": ["name"]}, {"required": ["flow"]}],
        },
    )

    name: Omissible[ShortText] = Field(  # type: ignore[assignment]
        None, description="What it is called; {n} is its number, from 0."
    )
    flow: Omissible[ShortText] = Field(
        None, description="For a service: the flow that is created and started."
    )


if TYPE_CHECKING:
    RetryItem: TypeAlias = Any
else:
    RetryItem = model_of("RetryNumbers", Retry, partial=True)


class _Settings(Item):
    """What a scenario says of a step; what is left out stays as it is."""

    model_config = ConfigDict(title="StepSettings")

    retry: Omissible[RetryItem] = Field(
        None,
        description="Numbers of its retries, in place of those of flow or policy.",
    )


class _Change(_Timed):
    """What somebody changes in a resource at certain times."""


if TYPE_CHECKING:
    # Made of the dataclasses themselves, which no type checker can see through.
    ArrivalItem: TypeAlias = Any
    ShiftsItem: TypeAlias = Any
    TriggerItem: TypeAlias = Any
    SettingsItem: TypeAlias = Any
    ApiRateItem: TypeAlias = Any
    RateItem: TypeAlias = Any
    PolicyItem: TypeAlias = Any
else:
    ArrivalItem = model_of(
        "Arrivals", Times, FlowRequest, Arrivals, base=_Arrival,
        without={"flow", "what", "times"},
    )  # fmt: skip
    ShiftsItem = model_of("Shifts", Shifts)
    TriggerItem = model_of("Trigger", Trigger, Times, base=_Change, without={"times"})
    SettingsItem = model_of(
        "StepSettings", StepSettings, base=_Settings, without={"retry"}
    )
    ApiRateItem = model_of("ApiRate", ApiRate)
    RateItem = model_of("Rate", Rate)
    PolicyItem = model_of("Policy", Policy, without={"workers"}, partial=True)


class OperationsItem(Item):
    """How long the operations of the fake world take, and how often they fail."""

    model_config = ConfigDict(title="Operations")

    latencies: dict[ShortText, Length] = Field(
        {}, description="Seconds, or a distribution, by the name of the operation."
    )
    failures: dict[ShortText, Share] = Field(
        {},
        description="The probability that an operation fails, by its name; none is 0.",
    )
    pod_failure: Omissible[Share] = Field(
        None,
        description="The probability that a pod fails to start: that of launch pod and "
        "restart pod, where failures names them not.",
    )
    operation_failure: Omissible[Share] = Field(
        None,
        description="The probability that an operation ends badly that is launched and "
        "polled, where failures names it not.",
    )


class CapacitiesItem(Item):
    """How much there is of what is scarce."""

    model_config = ConfigDict(title="Capacities")

    workers: Omissible[PositiveCount] = Field(
        None, description="Resources that a controller works on at a time."
    )
    nodes: Omissible[Number] = Field(None, description="Machines of the fake world.")
    pods_per_node: Omissible[Number] = Field(None, description="Room on each of them.")
    storage_gb: Omissible[Annotated[int, Field(ge=0, le=10**9)]] = Field(
        None, description="GB of the storage service."
    )
    api_rate: Omissible[ApiRateItem] = Field(
        None, description="Requests of the controllers to the stores."
    )
    pools: dict[ShortText, PositiveCount] = Field(
        {}, description="Places that steps hold, by the name of the pool."
    )
    shifts: dict[ShortText, ShiftsItem] = Field(
        {},
        description="How many places of a pool, or workers, there are as time goes by: "
        "by the name of the pool, or workers.",
    )


class RatesItem(Item):
    """What fails now and then."""

    model_config = ConfigDict(title="Rates")

    controller: Omissible[RateItem] = Field(None, description="Each controller.")
    api: Omissible[RateItem] = Field(None, description="The stores, for all requests.")
    pods: Omissible[RateItem] = Field(None, description="One thing of the fake world.")


class _Fault(Item):
    """A fault: its name, with its arguments."""

    model_config = ConfigDict(
        title="Fault", json_schema_extra={"minProperties": 1, "maxProperties": 1}
    )

    @model_validator(mode="before")
    @classmethod
    def _is_one_as_it_is_called_now(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if len(data) != 1:
            raise ValueError("is not one name with its arguments; indent the arguments")
        for name in RENAMED.keys() & data.keys():
            text = f"the fault {name} is called {RENAMED[name]} now; write that"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        return {RENAMED.get(name, name): item for name, item in data.items()}

    @property
    def name(self) -> str:
        """What the fault is called."""
        return next(iter(self.model_fields_set))

    def fault(self) -> Fault:
        """Return the fault, or raise `DefinitionError`."""
        arguments: Item = getattr(self, self.name)
        return FAULTS[self.name](**arguments.given())


if TYPE_CHECKING:
    FaultItem: TypeAlias = _Fault
else:
    FaultItem = create_model(
        "Fault",
        __base__=_Fault,
        __doc__=_Fault.__doc__,
        **{
            name: (Omissible[model_of(name, kind)], None) for name, kind in FAULTS.items()
        },
    )


class PlanFile(RootModel[Annotated[list[FaultItem], Field(max_length=MAX_FAULTS)]]):
    """A plan: a list of faults."""


def plan_in(document: Document) -> tuple[Fault, ...]:
    """Return the faults in *document*, or raise `DefinitionError`."""
    if not isinstance(document.data, list):
        text = f"a plan is a list of faults, not {shown(document.data)}"
        raise DefinitionError(document.problem((), text, "write '- CrashAt: {t: 40}'"))
    return faults_of(validated(PlanFile, document).root, document)


def faults_of(
    items: Iterable[_Fault], document: Document, path: Location = ()
) -> tuple[Fault, ...]:
    """Return the faults of *items*, which stand at *path*, or raise `DefinitionError`."""
    plan: list[Fault] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        try:
            plan.append(item.fault())
        except DefinitionError as error:
            at = (*path, index, item.name)
            problems += [document.located(each, at) for each in error.problems]
    if problems:
        raise DefinitionError(*problems)
    return tuple(plan)


class ScenarioFile(Item):
    """A scenario: what runs, what is asked of it, what is scarce and what goes wrong."""

    model_config = ConfigDict(
        title="Scenario",
        json_schema_extra={
            "oneOf": [
                {"required": ["scenario"]},
                {"required": ["flow"]},
                {"required": ["flows"]},
            ],
            "examples": [
                {"scenario": "polardb", "arguments": {"replicas": 2}},
                {"flow": "nightly.yaml", "arrivals": [{"name": "db-{n}", "mean": 60}]},
            ],
        },
    )

    title: Omissible[ShortText] = Field(None, description="What the reports call it.")
    scenario: Omissible[ShortText] = Field(
        None, description="The name of an installed scenario, such as polardb or tiem."
    )
    flow: Omissible[ShortText] = Field(
        None,
        description="A flow file whose steps need no code; relative to this file.",
    )
    flows: Omissible[ShortText] = Field(
        None,
        description="The flow files of a service, a folder or one file, relative to this "
        "file; their steps need no code.",
    )
    arguments: dict[str, Any] = Field(
        {}, description="Keywords of that installed scenario."
    )
    duration: Omissible[Length] = Field(
        None, description="What a step of a flow file takes if nothing else says it."
    )
    failure: Omissible[Share] = Field(
        None, description="The probability that such a step fails."
    )
    retry: Omissible[RetryItem] = Field(
        None, description="Numbers of its flows' retries, in place of what they say."
    )
    timeout: Omissible[PositiveSeconds] = Field(
        None, description="Seconds that an attempt may take, in place of what flows say."
    )
    deadline: Omissible[PositiveSeconds] = Field(
        None, description="Seconds that a run may take, in place of what flows say."
    )
    draws: Omissible[ShortText] = Field(
        None,
        description="What the draws of the one flow are keyed by, in place of its name.",
    )
    resources: Omissible[Annotated[list[ResourceItem], Field(max_length=MAX_ITEMS)]] = (
        Field(None, description="In place of those that the scenario has.")
    )
    arrivals: Annotated[list[ArrivalItem], Field(max_length=MAX_ITEMS)] = Field(
        [], description="What comes later."
    )
    triggers: Annotated[list[TriggerItem], Field(max_length=MAX_ITEMS)] = Field(
        [], description="What is changed as time goes by."
    )
    steps: dict[ShortText, SettingsItem] = Field(
        {}, description="What single steps take, by their name or class."
    )
    operations: OperationsItem = Field(
        OperationsItem.model_validate({}),
        description="What operations of the fake world take.",
    )
    capacities: CapacitiesItem = Field(
        CapacitiesItem.model_validate({}), description="What there is only so much of."
    )
    policy: PolicyItem = Field(PolicyItem(), description="Numbers of the engine.")
    faults: Annotated[list[FaultItem], Field(max_length=MAX_FAULTS)] = Field(
        [], description="What goes wrong, as in a plan: `- CrashAt: {t: 40}`."
    )
    rates: RatesItem = Field(
        RatesItem.model_validate({}), description="What goes wrong now and then."
    )
    horizon: Omissible[PositiveSeconds] = Field(
        None, description="The second at which it stops whatever goes on."
    )
    lag: Omissible[Seconds] = Field(
        None, description="How old, in seconds, what controllers read from a cache is."
    )
    warm_up: Omissible[Seconds] = Field(
        None, description="What is called for before it does not count in a study."
    )
    drain: Omissible[PositiveSeconds] = Field(
        None, description="The second after which nothing arrives any more."
    )
    seed: Omissible[Annotated[int, Field(ge=-(2**63), lt=2**63)]] = Field(
        None, description="Seed of a run that is given none."
    )


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of scenario files, for editors."""
    schema = ScenarioFile.model_json_schema(
        ref_template="#/$defs/{model}", schema_generator=EditorSchema
    )
    return {"$schema": GenerateJsonSchema.schema_dialect, **with_durations(schema)}
