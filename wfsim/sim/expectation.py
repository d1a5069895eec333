"""An expectation: a run's outcome as a file to review and to hold later runs to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import unified_diff
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wfsim.errors import UsageError
from wfsim.model.record import Kind
from wfsim.model.resource import CREATING

if TYPE_CHECKING:
    from wfsim.sim.simulation import Simulation

STATES = (Kind.RESOURCE_CREATED, Kind.RESOURCE_STATE)


UPDATE = "WFSIM_UPDATE"
"""The environment variable that says, if it is not empty, to write such files anew."""


def expect(
    sim: Simulation, file: str | os.PathLike[str], *, update: bool | None = None
) -> None:
    """Compare what *sim* has done with *file*, which is written if there is none.

    The YAML has, for each resource, the states that it went through, and of each run its
    steps in order, with attempts, status and output; and in the end the world.  No times
    are in it, so that numbers may be tuned.  The file is written anew if *update* is true
    or, where that is None, if the environment variable `UPDATE` is set, as it is by
    ``pytest --wfsim-update``.  Raises `AssertionError` with the differing lines.
    """
    path, text = Path(file), told(sim)
    if is_update(update) or not path.exists():
        _write(path, text)
        return
    try:
        then = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}; give another file") from None
    if then != text:
        lines = unified_diff(
            then.splitlines(), text.splitlines(), str(path), "this run", lineterm="", n=2
        )
        raise AssertionError("\n".join(["the run is not as expected", *lines]))


def _write(path: Path, text: str) -> None:
    """Write *text* to *path* by way of a draft."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.part")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{path}: cannot be written: {why}; give another") from None


def is_update(update: bool | None) -> bool:
    """Whether to write golden files anew: *update* or, for None, what `UPDATE` says."""
    return bool(os.environ.get(UPDATE)) if update is None else update


def told(sim: Simulation) -> str:
    """Return the text that `expect` writes of *sim*."""
    there = sim.log.fold()
    runs: dict[str, dict[str, Any]] = {}
    for (name, key), memento in sorted(there.mementos.items()):
        reason = {"reason": memento.reason} if memento.reason else {}
        steps = [_step(step) for step in memento.steps]
        run = {"status": memento.status, **reason, "steps": steps}
        runs.setdefault(name, {})[key] = run
    expectation: dict[str, Any] = {
        name: {"states": _states(sim, name), "runs": runs.get(name, {})}
        for name in sorted({*there.resources, *runs})
    }
    if sim.world is not None:
        expectation["world"] = sim.world.essence()
    text: str = yaml.dump(
        expectation, Dumper=Plain, sort_keys=False, allow_unicode=True, width=90
    )
    return text


def _step(step: Any) -> dict[str, Any]:
    attempts = {"attempts": step.attempts} if step.attempts != 1 else {}
    output = {"output": step.output} if step.output else {}
    return {"step": step.name, "status": step.status, **attempts, **output}


def _states(sim: Simulation, name: str) -> list[str]:
    # An empty state is read as this one.
    return [
        record.value.state or CREATING
        for record in sim.log
        if record.resource == name and record.kind in STATES
    ]


class Plain(yaml.SafeDumper):
    """Writes any value by what it is made of, each time that it comes."""

    def ignore_aliases(self, data: Any) -> bool:
        """Whether a value that comes twice is written twice: it is."""
        return True


def _of_parts(dumper: yaml.SafeDumper, value: Any) -> yaml.Node:
    """Return *value* as a mapping of its public attributes, or as its text."""
    if isinstance(value, Enum):
        return dumper.represent_data(value.value)
    if isinstance(value, Mapping):
        return dumper.represent_dict(dict(value))
    if isinstance(value, (set, frozenset)):
        return dumper.represent_list(sorted(value, key=repr))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return dumper.represent_list(value)
    parts = (
        value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", {})
    )
    public = {name: part for name, part in parts.items() if name[0] != "_"}
    return dumper.represent_dict(public) if public else dumper.represent_str(str(value))


Plain.add_multi_representer(object, _of_parts)

__all__ = ["expect"]
