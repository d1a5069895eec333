"""A calibration as YAML: the steps of a scenario file, or a flow with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from wfsim.errors import UsageError
from wfsim.model.document import read_document
from wfsim.model.duration import Duration
from wfsim.report.text import write

_DIGITS = 6


def written(calibration: Any, path: Path, flow: str | Path | None) -> Path:
    """Write *calibration* to *path*, into the steps of the file *flow* if it is given."""
    if flow is None:
        durations, failures = calibration.durations, calibration.failures
        steps = {name: _numbers(durations.get(name), failures[name]) for name in failures}
        return write(path, _text({"steps": steps}))
    return write(path, _text(_flow(calibration, flow)))


def _flow(calibration: Any, file: str | Path) -> Mapping[str, Any]:
    from wfsim.model.loading import load_flow

    flow = calibration.flow(load_flow(file))
    of = {step.name: step for step in flow.steps}
    document: dict[str, Any] = read_document(file).data
    names = set()
    for item in document["steps"]:
        name = item.get("stepName") or str(item.get("className")).rpartition(".")[2]
        if name in of and name in calibration.failures:
            names.add(name)
            item |= _numbers(of[name].duration, of[name].failure or 0.0)
    if hidden := (set(of) & set(calibration.failures)) - names:
        raise UsageError(
            f"{file}: step {min(hidden)!r} comes from a group; leave out the flow, and "
            "put the section 'steps' into a scenario file"
        )
    return document


def _numbers(duration: Duration | None, failure: float) -> dict[str, Any]:
    told = {"duration": _rounded(duration.spec())} if duration is not None else {}
    return {**told, "failure": _rounded(failure)}


def _rounded(value: Any) -> Any:
    """Return the plain *value* with its numbers to six digits."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _text(content: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(
        dict(content), default_flow_style=None, sort_keys=False, width=10_000
    )
    return text
