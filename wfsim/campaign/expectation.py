"""What a run did, as a file that one reviews and later runs are held to."""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml

from wfsim.campaign.plain import plain
from wfsim.sim.simulation import Simulation


def expect(
    sim: Simulation, file: str | os.PathLike[str], *, update: bool = False
) -> None:
    """Hold what *sim* has done to what *file* says; write it down if there is none.

    The YAML has, for each resource, the states that it went through, and of each run its
    steps in order, with attempts, status and output; and in the end the world.  No times
    are in it, so that numbers may be tuned.  With *update* the file is written anew.
    Raises `AssertionError` with the differing lines.
    """
    path, text = Path(file), told(sim)
    if update or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    then = path.read_text(encoding="utf-8")
    if then != text:
        lines = unified_diff(
            then.splitlines(), text.splitlines(), str(path), "this run", lineterm="", n=2
        )
        raise AssertionError("\n".join(["the run is not as expected", *lines]))


def told(sim: Simulation) -> str:
    """Return the text that `expect` writes of *sim*."""
    there = sim.log.fold()
    runs: dict[str, dict[str, Any]] = {}
    for (name, key), memento in sorted(there.mementos.items()):
        steps = [
            {
                "step": step.name,
                "status": step.status.value,
                **({"attempts": step.attempts} if step.attempts != 1 else {}),
                **({"output": plain(step.output)} if step.output else {}),
            }
            for step in memento.steps
        ]
        run: dict[str, Any] = {"status": memento.status.value, "steps": steps}
        if memento.reason:
            run["reason"] = memento.reason
        runs.setdefault(name, {})[key] = run
    said: dict[str, Any] = {
        name: {"states": _states(sim, name), "runs": runs.get(name, {})}
        for name in sorted({*there.resources, *runs})
    }
    if sim.world is not None:
        said["world"] = plain(sim.world.essence())
    text: str = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=90)
    return text


def _states(sim: Simulation, name: str) -> list[str]:
    moves = [
        record.value.state
        for record in sim.log
        if record.resource == name
        and record.kind.value in ("resource.created", "resource.state")
    ]
    return [state or "Creating" for state in moves]


__all__ = ["expect"]
