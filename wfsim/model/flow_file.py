"""What may stand in the files of a folder of flows, as pydantic models.

The keys of the reference engine are taken unchanged.  Ours, which it ignores, are
``retry``, ``timeout``, ``deadline``, ``duration`` and ``failure``, and those that say
what a node map of TiEM says: ``bizType``, ``mode`` and the numbers that go with it,
``classNames``, ``undo``, ``onSuccess``, ``onFailure`` and ``onCancel``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from wfsim.model.duration import Duration
from wfsim.model.duration_schema import PLACE
from wfsim.model.edges import Outcome
from wfsim.model.flow import Polling, Source, Step
from wfsim.model.policy import Retry
from wfsim.model.validation import Omissible, Strict

MAX_RETRIES = 1_000_000
MAX_SECONDS = 1e12
MAX_POLLS = 1_000_000_000

_NAME = re.compile(r"[-._a-zA-Z0-9]{1,200}")
_REFERENCE_RETRY = Retry()
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


def _parse_duration(value: Any) -> Duration:
    try:
        return Duration.parse(value)
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"is wrong: {error}") from error


Name = Annotated[
    str,
    AfterValidator(_check_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
Count = Annotated[int, Field(ge=0, le=MAX_RETRIES)]
Wait = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Limit = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Share = Annotated[float, Field(ge=0, le=1)]
Polls = Annotated[int, Field(ge=1, le=MAX_POLLS)]
# Any: pydantic would describe the tuple that a Duration is, which no file contains.
Length = Annotated[Any, BeforeValidator(_parse_duration), WithJsonSchema(PLACE)]


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
    interval: Limit = Field(
        _REFERENCE_POLLING.interval,
        description="Seconds from the launch to the first look at the operation, and "
        "from each look to the next.",
    )
    limit: Polls = Field(
        _REFERENCE_POLLING.limit,
        description="Looks that may find the operation under way; the next one is a "
        "time-out.",
    )
    tolerated_errors: Count = Field(
        _REFERENCE_POLLING.tolerated_errors,
        description="Looks in a row that may come to nothing before the step fails.",
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
        "a handler has failed; one that is led back to the main path goes on.",
    )
    on_cancel: Omissible[Name] = Field(
        None,
        description="The step that cleans up if the run is cancelled during this one.",
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
            self.retry.value() if self.retry else None,
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
    timeout: Omissible[Limit] = Field(
        None, description="Seconds that one attempt of a step may take."
    )
    deadline: Omissible[Limit] = Field(
        None, description="Seconds that the whole run may take."
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
