"""The JSON Schema of a duration, for the schemas of files in which durations stand."""

from __future__ import annotations

import json
from typing import Any

PLACE: dict[str, Any] = {"$comment": "Duration"}
"""What a model writes where a duration stands, for `with_durations` to find."""

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
    place, reference = (json.dumps(item)[:-1] for item in (PLACE, _REFERENCE))
    whole: dict[str, Any] = json.loads(json.dumps(schema).replace(place, reference))
    defined = {**whole.get("$defs", {}), "Duration": DURATION_SCHEMA}
    return {**whole, "$defs": dict(sorted(defined.items()))}
