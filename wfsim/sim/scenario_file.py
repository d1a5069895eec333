"""What may stand in the file of a scenario, as pydantic models.

The keys are the keywords of the Python calls, unlike those of flow files, which are the
reference engine's.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from wfsim.model.flow_file import Count, Length, Limit, Share, Wait
from wfsim.model.flow_schema import EditorSchema
from wfsim.model.validation import Omissible, Strict
from wfsim.sim.api import ApiRate
from wfsim.sim.demand import LEAST_GAP, MAX_TIMES
from wfsim.sim.faults import FAULTS
from wfsim.sim.plan_file import MAX_FAULTS

MAX_ITEMS = 1_000
"""Arrivals, triggers and kinds of resources in one file."""
MAX_RESOURCES = 100_000
MAX_PLACES = 1_000_000

Text = Annotated[str, Field(min_length=1, max_length=200)]
Gap = Annotated[float, Field(ge=LEAST_GAP, le=1e12)]
Places = Annotated[int, Field(ge=1, le=MAX_PLACES)]
Number = Annotated[int, Field(ge=1, le=MAX_RESOURCES)]
Json = dict[str, Any]
Notes = dict[str, str | None]


class _Item(Strict):
    """A mapping whose keys are those of the Python call."""

    model_config = ConfigDict(alias_generator=None)


class TimesItem(_Item):
    """When something happens: one of at, every, mean, rate and file."""

    at: Omissible[Annotated[list[Wait], Field(min_length=1)]] = Field(
        None, description="At these seconds of virtual time."
    )
    every: Omissible[Gap] = Field(None, description="Again after so many seconds each.")
    mean: Omissible[Gap] = Field(
        None, description="As a Poisson process, so many seconds apart on average."
    )
    rate: Omissible[Annotated[float, Field(gt=0, le=1 / LEAST_GAP)]] = Field(
        None, description="As a Poisson process, so many in a second on average."
    )
    file: Omissible[Text] = Field(
        None,
        description="At the seconds in this file: CSV with a column `time`, or a YAML "
        "list. The path is relative to this file.",
    )
    start: Wait = Field(0.0, description="The second from which it counts.")
    until: Omissible[Wait] = Field(None, description="The last second; else the horizon.")
    count: Omissible[Annotated[int, Field(ge=1, le=MAX_TIMES)]] = Field(
        None, description="How often at most."
    )


class _Like(_Item):
    """What a resource is like; what is left out is as in the scenario's first one."""

    name: Text = Field(description="What it is called; {n} is its number, from 0.")
    kind: Omissible[Text] = Field(None, description="That of its state machine.")
    namespace: Omissible[Text] = Field(None, description="Left out, it is `default`.")
    state: Omissible[str] = Field(None, description="The state in which it begins.")
    spec: Json = Field({}, description="Keys of the spec, on top of what it is like.")
    status: Json = Field({}, description="Keys of the status.")
    annotations: Notes = Field({}, description="Annotations; null takes one away.")


class ResourceItem(_Like):
    """One resource, or *count* of them."""

    model_config = ConfigDict(title="Resource")

    count: Number = Field(1, description="How many; above 1, the name has {n} in it.")


class ArrivalItem(TimesItem, _Like):
    """Resources that come later, or flows that somebody asks a service for."""

    model_config = ConfigDict(
        title="Arrivals",
        json_schema_extra={
            "oneOf": [{"required": ["name"]}, {"required": ["flow"]}],
        },
    )

    name: Omissible[Text] = Field(  # type: ignore[assignment]
        None, description="What it is called; {n} is its number, from 0."
    )
    flow: Omissible[Text] = Field(
        None, description="For a service: the flow that is created and started."
    )
    biz_id: Omissible[Text] = Field(
        None,
        description="What the flow is about; {n} is its number, from 0. Left out, it is "
        "something that the scenario has.",
    )
    biz_type: str = Field("", description="The kind of business object.")
    context: Json = Field({}, description="What the context of the flow holds.")


class TriggerItem(TimesItem):
    """What somebody changes in a resource at certain times."""

    model_config = ConfigDict(title="Trigger")

    resource: Omissible[Text] = Field(
        None,
        description="Its name, `each`, or `any` for one drawn at random. Left out, it is "
        "the first.",
    )
    annotations: Notes = Field({}, description="{n} in a text counts from 0.")
    spec: Json = Field({}, description="Keys of the spec; null takes one away.")
    status: Json = Field({}, description="Keys of the status; null takes one away.")


class SettingsItem(_Item):
    """What a step takes, how often it fails, what it holds."""

    model_config = ConfigDict(title="StepSettings")

    duration: Omissible[Length] = Field(
        None,
        description="How long a step without code takes; for one with code, what passes "
        "before its code runs.",
    )
    failure: Omissible[Share] = Field(
        None,
        description="The probability that an attempt fails; with code, before it does "
        "its work.",
    )
    uses: dict[Text, Places] = Field(
        {}, description="How many places of which pool an attempt holds."
    )
    priority: Annotated[float, Field(ge=-1e12, le=1e12)] = Field(
        0, description="Who waits for places with a lower one goes first."
    )


class OperationsItem(_Item):
    """How long the operations of the fake world take, and how often they fail."""

    model_config = ConfigDict(title="Operations")

    latencies: dict[Text, Length] = Field(
        {}, description="Seconds, or a distribution, by the name of the operation."
    )
    failures: dict[Text, Share] = Field(
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


class ApiRateItem(_Item):
    """How many requests the API takes."""

    model_config = ConfigDict(title="ApiRate")

    per_second: Annotated[float, Field(ge=1e-6, le=1e9)]
    burst: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1

    def value(self) -> ApiRate:
        return ApiRate(self.per_second, self.burst)


class CapacitiesItem(_Item):
    """How much there is of what is scarce."""

    model_config = ConfigDict(title="Capacities")

    workers: Omissible[Places] = Field(
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
    pools: dict[Text, Places] = Field(
        {}, description="Places that steps hold, by the name of the pool."
    )


class RetryNumbers(_Item):
    """How often and how soon a step is tried again; what is left out stays."""

    model_config = ConfigDict(title="RetryNumbers")

    limit: Omissible[Count] = None
    restarts: Omissible[Count] = None
    delay: Omissible[Wait] = None
    factor: Omissible[Annotated[float, Field(ge=1, le=1000)]] = None
    cap: Omissible[Wait] = None


class PolicyItem(_Item):
    """Numbers of the engine; what is left out stays as the scenario has it."""

    model_config = ConfigDict(title="Policy")

    retry: Omissible[RetryNumbers] = None
    timeout: Limit | None = Field(
        None, description="Seconds that one attempt of a step may take; null: any."
    )
    deadline: Limit | None = Field(
        None, description="Seconds that a whole run may take; null: any."
    )
    cancel_tick: Omissible[Wait] = None
    redrive: Omissible[RetryNumbers] = None
    retention: Places | None = Field(
        None, description="Finished runs of a resource that are kept; null: all."
    )
    lease: Omissible[Limit] = None
    renew: Omissible[Limit] = None
    watch_tick: Omissible[Wait] = Field(
        None, description="Seconds between the looks of a service; 0: at once."
    )
    nodes_per_tick: Places | None = Field(
        None,
        description="Steps of a flow that a service runs at each look; null: it goes on "
        "at once until nothing is left.",
    )


class RateItem(_Item):
    """How often something fails, and how long it takes to mend."""

    model_config = ConfigDict(title="Rate")

    mtbf: Gap = Field(description="Seconds that it is up for, on average.")
    mttr: Gap = Field(description="Seconds that it is down for then, on average.")
    start: Wait = Field(0.0, description="The second from which it counts.")
    until: Omissible[Wait] = Field(None, description="The last second; else the horizon.")
    count: Omissible[Count] = Field(None, description="How often at most.")


class RatesItem(_Item):
    """What fails now and then."""

    model_config = ConfigDict(title="Rates")

    controller: Omissible[RateItem] = Field(None, description="Each controller.")
    api: Omissible[RateItem] = Field(None, description="The stores, for all requests.")
    pods: Omissible[RateItem] = Field(None, description="One thing of the fake world.")


def _fault_schema() -> dict[str, Any]:
    kinds = {}
    for name, kind in FAULTS.items():
        known = fields(kind)  # type: ignore[arg-type]
        bare = [
            item.name
            for item in known
            if item.default is MISSING and item.default_factory is MISSING
        ]
        kinds[name] = {
            "type": "object",
            "properties": {item.name: {} for item in known},
            "required": sorted(bare),
            "additionalProperties": False,
        }
    return {
        "type": "array",
        "maxItems": MAX_FAULTS,
        "items": {
            "type": "object",
            "properties": kinds,
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    }


class ScenarioFile(_Item):
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

    title: Omissible[Text] = Field(None, description="What the reports call it.")
    scenario: Omissible[Text] = Field(
        None, description="The name of an installed scenario, such as polardb or tiem."
    )
    flow: Omissible[Text] = Field(
        None,
        description="A flow file whose steps need no code; relative to this file.",
    )
    flows: Omissible[Text] = Field(
        None,
        description="The flow files of a service, a folder or one file, relative to this "
        "file; their steps need no code.",
    )
    arguments: Json = Field({}, description="Keywords of that installed scenario.")
    duration: Omissible[Length] = Field(
        None, description="What a step of a flow file takes if nothing else says it."
    )
    failure: Omissible[Share] = Field(
        None, description="The probability that such a step fails."
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
    steps: dict[Text, SettingsItem] = Field(
        {}, description="What single steps take, by their name or class."
    )
    operations: OperationsItem = Field(
        OperationsItem.model_validate({}),
        description="What operations of the fake world take.",
    )
    capacities: CapacitiesItem = Field(
        CapacitiesItem.model_validate({}), description="What there is only so much of."
    )
    policy: PolicyItem = Field(
        PolicyItem.model_validate({}), description="Numbers of the engine."
    )
    faults: Annotated[list[Any], WithJsonSchema(_fault_schema())] = Field(
        [], description="What goes wrong, as in a plan: `- CrashAt: {t: 40}`."
    )
    rates: RatesItem = Field(
        RatesItem.model_validate({}), description="What goes wrong now and then."
    )
    horizon: Omissible[Limit] = Field(
        None, description="The second at which it stops whatever goes on."
    )
    lag: Omissible[Wait] = Field(
        None, description="How old, in seconds, what controllers read from a cache is."
    )
    warm_up: Omissible[Wait] = Field(
        None, description="What is called for before it does not count in a study."
    )
    drain: Omissible[Limit] = Field(
        None, description="The second after which nothing arrives any more."
    )
    seed: Omissible[Annotated[int, Field(ge=-(2**63), lt=2**63)]] = Field(
        None, description="That of a run that is given none."
    )


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of scenario files, for editors."""
    schema = ScenarioFile.model_json_schema(
        ref_template="#/$defs/{model}", schema_generator=EditorSchema
    )
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}
