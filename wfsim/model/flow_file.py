"""What may stand in the files of a folder of flows, as pydantic models.

The keys of the reference engine are taken unchanged.  Ours, which it ignores, are
``retry``, ``timeout``, ``deadline``, ``duration`` and ``failure``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from wfsim.model.duration import Duration
from wfsim.model.policy import Retry
from wfsim.model.validation import Omissible, Strict

if TYPE_CHECKING:
    from pydantic_core import core_schema

MAX_RETRIES = 1_000_000
MAX_SECONDS = 1e12

_NAME = re.compile(r"[-._a-zA-Z0-9]{1,200}")
_NUMBER = {"type": "number", "minimum": 0}
_REFERENCE_RETRY = Retry()


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            "must be 1 to 200 letters, digits, '-', '_' or '.', as it becomes part of a "
            f"ConfigMap key, got {text[:80]!r}"
        )
    return text


def _parse_duration(value: Any) -> Duration:
    try:
        return Duration.parse(value)
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"is wrong: {error}") from error


def _list_of(count: int) -> dict[str, Any]:
    return {"type": "array", "items": _NUMBER, "minItems": count, "maxItems": count}


_NUMBER_OR_LIST = {"anyOf": [_NUMBER, _list_of(1)]}
_DURATION_SCHEMA = {
    "description": "Seconds of virtual time: a number, or a distribution by its name.",
    "examples": [3, {"uniform": [2, 4]}, {"percentiles": {"p50": 3, "p99": 40}}],
    "anyOf": [
        _NUMBER,
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {
                "constant": _NUMBER_OR_LIST,
                "uniform": _list_of(2),
                "triangular": _list_of(3),
                "exponential": _NUMBER_OR_LIST,
                "lognormal": {**_list_of(2), "items": {"type": "number"}},
                "percentiles": {
                    "type": "object",
                    "minProperties": 2,
                    "maxProperties": 2,
                    "additionalProperties": False,
                    "patternProperties": {
                        r"^p[0-9]+(\.[0-9]+)?$": {"type": "number", "exclusiveMinimum": 0}
                    },
                },
            },
        },
    ],
}

Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
Count = Annotated[int, Field(ge=0, le=MAX_RETRIES)]
Wait = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Limit = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Share = Annotated[float, Field(ge=0, le=1)]
# Any: pydantic would describe the tuple that a Duration is, which no file contains.
Length = Annotated[
    Any, BeforeValidator(_parse_duration), WithJsonSchema(_DURATION_SCHEMA)
]


class RetryItem(Strict):
    """How often and how soon a step is tried again; what is left out is as here."""

    model_config = ConfigDict(title="Retry")

    limit: Count = Field(
        _REFERENCE_RETRY.limit, description="Failures after which a run is interrupted."
    )
    restarts: Count = Field(
        _REFERENCE_RETRY.restarts,
        description="Crashes of the controller that one step may live through.",
    )
    delay: Wait = Field(
        _REFERENCE_RETRY.delay, description="Seconds before the first retry."
    )
    factor: Annotated[float, Field(ge=1, le=1000)] = Field(
        _REFERENCE_RETRY.factor,
        description="How many times longer each wait is than the one before.",
    )
    cap: Wait = Field(_REFERENCE_RETRY.cap, description="The longest wait, in seconds.")

    def value(self) -> Retry:
        return Retry(**self.model_dump())


class StepItem(Strict):
    """One step: a class, a name or both; or a group whose steps take its place."""

    model_config = ConfigDict(
        title="Step",
        json_schema_extra={
            "anyOf": [
                {"required": ["groupName"], "maxProperties": 1},
                {"required": ["className"], "not": {"required": ["groupName"]}},
                {"required": ["stepName"], "not": {"required": ["groupName"]}},
            ],
            "examples": [
                {"className": "workflow_shared.InitMeta", "stepName": "InitMeta"},
                {
                    "stepName": "CopyAway",
                    "duration": {"uniform": [20, 60]},
                    "failure": 0.05,
                },
                {"groupName": "Group1"},
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
    group_name: Omissible[Name] = Field(
        None, description="The group whose steps take its place; it stands alone."
    )
    retry: Omissible[RetryItem] = Field(None, description="Overrides the flow's.")
    timeout: Omissible[Limit] = Field(
        None, description="Seconds that one attempt may take; overrides the flow's."
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
        if self.group_name is self.class_name is self.step_name is None:
            raise ValueError("has no name; add className, stepName or groupName")
        return self

    @property
    def simulated(self) -> bool:
        """Whether the step says how it goes, so that it needs no code."""
        return self.duration is not None or self.failure is not None

    @property
    def tuned(self) -> list[str]:
        """The keys that belong to a step and mean nothing for a group."""
        own = ("retry", "timeout", "duration", "failure")
        return [key for key in own if key in self.model_fields_set]


class FlowFile(Strict):
    """A flow: the steps, in order, that carry a resource through an unstable state."""

    model_config = ConfigDict(
        title="Flow",
        json_schema_extra={
            "examples": [
                {
                    "flowName": "NightlyBackup",
                    "steps": [{"className": "TakeSnapshot", "stepName": "TakeSnapshot"}],
                }
            ]
        },
    )

    flow_name: Name = Field(description="What it is called; part of a memento's key.")
    recover_from_first_step: bool = Field(
        False,
        description="Whether a recovered run starts over instead of going on with the "
        "step that stopped it.",
    )
    steps: list[StepItem] = Field(description="The steps in order; [] completes at once.")
    retry: Omissible[RetryItem] = Field(
        None, description="For every step without its own."
    )
    timeout: Omissible[Limit] = Field(
        None, description="Seconds that one attempt of a step may take."
    )
    deadline: Omissible[Limit] = Field(
        None, description="Seconds that the whole run may take."
    )


class GroupFile(Strict):
    """A group: steps that several flows share, in a file named *_step_group.yaml."""

    model_config = ConfigDict(title="StepGroup")

    group_name: Name = Field(description="What a step's className or groupName says.")
    steps: Annotated[list[StepItem], Field(min_length=1)] = Field(
        description="The steps in order; groups may stand among them."
    )


class _Schema(GenerateJsonSchema):
    """Keys are their own titles; those that are optional may be left out, not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

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
        schema_generator=_Schema,
    )
    # With if/else, an editor complains of one kind of file, not of both.
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "if": {"required": ["groupName"]},
        "then": {"$ref": "#/$defs/GroupFile"},
        "else": {"$ref": "#/$defs/FlowFile"},
    }
