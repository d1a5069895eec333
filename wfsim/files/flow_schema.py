"""The schema of the files of a folder of flows, as pydantic models.

The keys of the reference engine are taken unchanged.  Ours, which it ignores, are
``retry``, ``timeout``, ``deadline``, ``duration`` and ``failure``, and those that say
what a node map of TiEM says: ``bizType``, ``mode`` and the numbers that go with it,
``classNames``, ``undo``, ``onSuccess``, ``onFailure`` and ``onCancel``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from wfsim.files.validation import Omissible, Strict, model_of
from wfsim.model.bounds import Count, PositiveCount, PositiveSeconds, Share
from wfsim.model.duration import SCHEMA_PLACE, Length
from wfsim.model.flow import Outcome, Polling, Source, Step
from wfsim.model.policy import DeadlineFrom, Retry

if TYPE_CHECKING:
    from pydantic_core import core_schema


_NAME = re.compile(r"[-._a-zA-Z0-9]{1,200}")
_REFERENCE_POLLING = Polling()
_POLLED: dict[str, Any] = {
    "properties": {"mode": {"const": "polling"}},
    "required": ["mode"],
}


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            "must be 1 to 200 letters, digits, '-', '_' or '.', as it becomes part of a "
            f"ConfigMap key, got {text[:80]!r}"
        )
    return text


Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
if TYPE_CHECKING:
    RetryItem: TypeAlias = Any  # made of the dataclass, which checkers cannot see
else:
    RetryItem = model_of("Retry", Retry)


class StepItem(Strict):
    """One step: class, name or both; classes and a name; or a group in whose place."""

    model_config = ConfigDict(
        title="Step",
        json_schema_extra={
            "anyOf": [
                {"required": ["groupName"], "maxProperties": 1},
                {"required": ["className"], "not": {"required": ["groupName"]}},
                {"required": ["stepName"], "not": {"required": ["groupName"]}},
            ],
            "dependentSchemas": {
                "classNames": {
                    "required": ["stepName"],
                    "not": {"required": ["className"]},
                },
                "interval": _POLLED,
                "limit": _POLLED,
                "toleratedErrors": _POLLED,
                "wait": {"required": ["childFlow"]},
                "childFlow": {
                    "not": {"required": ["classNames"]},
                    "properties": {"mode": {"const": "sync"}},
                },
            },
            "examples": [
                {"className": "workflow_shared.InitMeta", "stepName": "InitMeta"},
                {
                    "stepName": "CopyAway",
                    "duration": {"uniform": [20, 60]},
                    "failure": 0.05,
                },
                {"groupName": "Group1"},
                {
                    "className": "cluster.stop",
                    "stepName": "stop",
                    "mode": "polling",
                    "onSuccess": "end",
                    "onFailure": "fail",
                },
            ],
        },
    )

    class_name: Omissible[Name] = Field(
        None,
        description="The class or function that does it, with or without its package; "
        "or a group. Left out, it is the stepName, which the reference engine does not "
        "know.",
    )
    step_name: Omissible[Name] = Field(
        None,
        description="What it is called; unique within a flow. Left out, it is the last "
        "part of className.",
    )
    class_names: Omissible[Annotated[list[Name], Field(min_length=2)]] = Field(
        None,
        description="Several classes in place of className, which run in order as one "
        "step; the first error ends it.",
    )
    group_name: Omissible[Name] = Field(
        None, description="The group whose steps take its place; it stands alone."
    )
    mode: Literal["sync", "polling"] = Field(
        "sync",
        description="Whether the step is done when its class returns, or when the "
        "operation that the class has launched is over.",
    )
    interval: PositiveSeconds = Field(
        _REFERENCE_POLLING.interval,
        description="Seconds from the launch to the first look at the operation, and "
        "from each look to the next.",
    )
    limit: PositiveCount = Field(
        _REFERENCE_POLLING.limit,
        description="Looks that may find the operation under way; the next one is a "
        "time-out.",
    )
    tolerated_errors: Count = Field(
        _REFERENCE_POLLING.tolerated_errors,
        description="Consecutive polls that may fail before the step does.",
    )
    undo: Omissible[Name] = Field(
        None,
        description="The class that takes back, within the step, what the failed step "
        "has done; the step fails all the same.",
    )
    child_flow: Omissible[Name] = Field(
        None,
        description="The flow that the step starts, about the same business object; it "
        "has no code then. A flow of a service.",
    )
    wait: bool = Field(
        True,
        description="Whether the step is done when that flow has finished, or as soon as "
        "it is started.",
    )
    on_success: Omissible[Name] = Field(
        None,
        description="The step that follows this one. Left out, it is the next one if no "
        "step of the flow has an edge, and otherwise none: the run ends.",
    )
    on_failure: Omissible[Name] = Field(
        None,
        description="The step that handles the failure of this one. A run that ends in "
        "a handler has failed; one that is led back to the main path goes on. The word "
        "pause is no step: it stops the flow until that is started again, with this one.",
    )
    on_cancel: Omissible[Name] = Field(
        None,
        description="The step that cleans up if the run is cancelled during this one.",
    )
    retry: Omissible[RetryItem] = Field(None, description="Overrides the flow's.")
    timeout: Omissible[PositiveSeconds] = Field(
        None, description="Seconds that one attempt may take; overrides the flow's."
    )
    timeout_counts_queue: bool = Field(
        False,
        description="Whether what it waits in the queue of a pool counts towards that.",
    )
    duration: Omissible[Length] = Field(
        None, description="How long the step takes if it has no code."
    )
    failure: Omissible[Share] = Field(
        None, description="The probability that an attempt fails if it has no code."
    )

    @model_validator(mode="after")
    def _has_one_identity(self) -> StepItem:
        if self.group_name is not None and len(self.model_fields_set) > 1:
            raise ValueError("has a groupName, which stands alone; remove the other keys")
        names = {"class_name", "class_names", "step_name", "group_name"}
        if not names & self.model_fields_set:
            raise ValueError("has no name; add className, stepName or groupName")
        return self

    @model_validator(mode="after")
    def _has_classes_or_one(self) -> StepItem:
        if self.class_names is not None and self.class_name is not None:
            raise ValueError("has className and classNames; remove one")
        if self.class_names is not None and self.step_name is None:
            raise ValueError("has classNames, which make no name; add a stepName")
        return self

    @model_validator(mode="after")
    def _is_polled_or_not(self) -> StepItem:
        for key in ("interval", "limit", "tolerated_errors"):
            if key in self.model_fields_set and self.mode != "polling":
                raise ValueError(
                    f"has {to_camel(key)!r}, which means nothing for a step that is not "
                    "polled; add 'mode: polling' or remove it"
                )
        return self

    @model_validator(mode="after")
    def _starts_a_flow_or_not(self) -> StepItem:
        if "wait" in self.model_fields_set and self.child_flow is None:
            raise ValueError(
                "has 'wait' but starts no flow; add a childFlow or remove it"
            )
        if self.child_flow is None:
            return self
        for key in ("class_names", "mode"):
            if getattr(self, key) not in (None, "sync"):
                raise ValueError(
                    f"has childFlow and {to_camel(key)}; give one a step of its own"
                )
        return self

    @property
    def classes(self) -> list[str]:
        """The classes that make up the step, in order."""
        return self.class_names or [self.class_name or self.step_name or ""]

    @property
    def simulated(self) -> bool:
        """Whether the step says how it goes, so that it needs no code."""
        given = (self.duration, self.failure, self.child_flow)
        return any(each is not None for each in given)

    @property
    def tuned(self) -> list[str]:
        """The keys that belong to a step and mean nothing for a group."""
        others = {"className", "stepName", "groupName", *Outcome}
        return [key for key in self.keys if key not in others]

    @property
    def edge(self) -> str | None:
        """The first key that is an edge, if there is one."""
        return next((key for key in self.keys if key in tuple(Outcome)), None)

    @property
    def keys(self) -> list[str]:
        """The keys that are written, in the order of the schema."""
        fields = type(self).model_fields
        return [to_camel(name) for name in fields if name in self.model_fields_set]

    def value(self, source: Source) -> Step:
        """Return the step that this item says, which stands at *source*."""
        last = (self.class_name or "").rpartition(".")[2]
        polling = Polling(self.interval, self.limit, self.tolerated_errors)
        return Step(
            self.step_name or last or self.class_name or "",
            "+".join(self.classes),
            self.retry and Retry(**self.retry.given()),
            self.timeout,
            self.duration,
            self.failure,
            polling if self.mode == "polling" else None,
            self.undo,
            self.on_success,
            self.on_failure,
            self.on_cancel,
            source,
            self.child_flow,
            self.wait,
            self.timeout_counts_queue,
        )


class FlowFile(Strict):
    """A flow: steps that carry a resource to another state, in order or along edges."""

    model_config = ConfigDict(
        title="Flow",
        json_schema_extra={
            "dependentSchemas": {"bizType": {"properties": {"steps": {"minItems": 1}}}},
            "examples": [
                {
                    "flowName": "NightlyBackup",
                    "steps": [{"className": "TakeSnapshot", "stepName": "TakeSnapshot"}],
                }
            ],
        },
    )

    flow_name: Name = Field(description="What it is called; part of a memento's key.")
    recover_from_first_step: bool = Field(
        False,
        description="Whether a recovered run starts over instead of going on with the "
        "step that stopped it.",
    )
    biz_type: Omissible[Literal["cluster", "host", "platform"]] = Field(
        None, description="The kind of business object that it is about."
    )
    draws: Omissible[Name] = Field(
        None,
        description="What its random draws are keyed by; its name by default. Versions "
        "of a flow that have one key are compared in pairs.",
    )
    steps: list[StepItem] = Field(
        description="The steps; [] completes at once. A run begins with the first and "
        "goes on in order. If any step has an edge (onSuccess, onFailure, onCancel), "
        "it goes on along edges alone, and each step must be on the way."
    )
    retry: Omissible[RetryItem] = Field(
        None, description="For every step without its own."
    )
    timeout: Omissible[PositiveSeconds] = Field(
        None, description="Seconds that one attempt of a step may take."
    )
    deadline: Omissible[PositiveSeconds] = Field(
        None, description="Seconds that the whole run may take."
    )
    deadline_from: Omissible[DeadlineFrom] = Field(
        None,
        description="Whether that counts from when a worker begins the run, or from when "
        "it was asked for.",
    )

    @model_validator(mode="after")
    def _has_a_start(self) -> FlowFile:
        if self.biz_type is not None and not self.steps:
            raise ValueError("has a bizType but no step to start with; add one")
        return self


class GroupFile(Strict):
    """A group: steps that several flows share, in a file named *_step_group.yaml."""

    model_config = ConfigDict(title="StepGroup")

    group_name: Name = Field(description="What a step's className or groupName says.")
    steps: Annotated[list[StepItem], Field(min_length=1)] = Field(
        description="The steps in order, without edges; groups may stand among them."
    )


_NUMBER = {"type": "number", "minimum": 0}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_REFERENCE = {"$ref": "#/$defs/Duration"}


def _list_of(count: int, items: dict[str, Any] = _NUMBER) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": count, "maxItems": count}


def _exactly(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


_NUMBER_OR_LIST = {"anyOf": [_NUMBER, _list_of(1)]}
_NAMED = {
    "constant": _NUMBER_OR_LIST,
    "uniform": _list_of(2),
    "triangular": _list_of(3),
    "exponential": _NUMBER_OR_LIST,
    "lognormal": _list_of(2, {"type": "number"}),
    "gamma": _list_of(2, _POSITIVE),
    "weibull": _list_of(2, _POSITIVE),
    "empirical": {"anyOf": [_NUMBER, {"type": "array", "items": _NUMBER, "minItems": 1}]},
    "percentiles": {
        "type": "object",
        "minProperties": 2,
        "additionalProperties": False,
        "patternProperties": {r"^p[0-9]+(\.[0-9]+)?$": _POSITIVE},
    },
    "mixture": {
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "items": _exactly(["weight", "of"], weight=_POSITIVE, of=_REFERENCE),
    },
    "truncated": {
        **_exactly(["of"], of=_REFERENCE, low=_NUMBER, high=_NUMBER),
        "minProperties": 2,
    },
}
DURATION_SCHEMA: dict[str, Any] = {
    "description": "Seconds of virtual time: a number, or a distribution by its name.",
    "examples": [
        3,
        {"uniform": [2, 4]},
        {"percentiles": {"p50": 3, "p99": 40}},
        {"truncated": {"of": {"gamma": [2, 3]}, "high": 60}},
        {"mixture": [{"weight": 9, "of": 3}, {"weight": 1, "of": {"weibull": [2, 40]}}]},
    ],
    "anyOf": [
        _NUMBER,
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": _NAMED,
        },
    ],
}


def with_durations(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with a definition of ``Duration`` and references to it.

    pydantic has no way to write a schema that contains itself by hand.
    """
    # Without the closing brace: a description may follow.
    marker, reference = (json.dumps(item)[:-1] for item in (SCHEMA_PLACE, _REFERENCE))
    whole: dict[str, Any] = json.loads(json.dumps(schema).replace(marker, reference))
    defined = {**whole.get("$defs", {}), "Duration": DURATION_SCHEMA}
    return {**whole, "$defs": dict(sorted(defined.items()))}


class EditorSchema(GenerateJsonSchema):
    """Keys are their own titles; those that are `Omissible` may be left out, not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        inner = schema["schema"]
        if inner["type"] == "nullable":
            inner = inner["schema"]
        return self.generate_inner(inner)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def flow_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of flow and group files, for editors."""
    _, schema = models_json_schema(
        [(FlowFile, "validation"), (GroupFile, "validation")],
        title="wfsim flow or step group",
        description="One YAML file of a folder of flows.",
        ref_template="#/$defs/{model}",
        schema_generator=EditorSchema,
    )
    # With if/else, an editor complains of one kind of file, not of both.
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **with_durations(schema),
        "if": {"required": ["groupName"]},
        "then": {"$ref": "#/$defs/GroupFile"},
        "else": {"$ref": "#/$defs/FlowFile"},
    }
