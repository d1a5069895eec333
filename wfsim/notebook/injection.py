"""Injection: the faults that a player may take at its cursor, and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from wfsim.errors import UsageError
from wfsim.model.memento import UNDER_WAY, RunStatus
from wfsim.notebook.player import Player
from wfsim.sim.faults import FAULTS, CrashAt, Fault, StepFault
from wfsim.sim.rerun import Place
from wfsim.sim.world import World
from wfsim.text import suggest

HERE = "here"
"""What stands for the moment, or for the number of the write, right after the cursor."""

_ARGUMENTS = {
    "CrashAt": "restart_after: 10",
    "CancelAt": f"t: {HERE}, resource: {{resource}}",
    "EditAt": f"t: {HERE}, resource: {{resource}}, annotations: {{{{note: edited}}}}",
    "AskAt": f"t: {HERE}, resource: {{resource}}, call: cancel",
    "FailSave": f"write: {HERE}, applied: false",
    "RefuseWrite": f"write: {HERE}",
    "StaleRead": f"t: {HERE}, for_: 10",
    "DropWatch": f"t: {HERE}, for_: 10",
    "ApiDown": f"t: {HERE}, for_: 10",
    "PauseController": f"t: {HERE}, for_: 60",
    "LoseLease": f"t: {HERE}",
    "BreakOne": f"t: {HERE}, draw: 0, for_: 60",
}
_OF_STEP = "step: {step}, attempt: {attempt}, resource: {resource}"
_OF_STEPS = {
    "FailStep": f"{_OF_STEP}, error: injected failure, after: false",
    "DelayStep": f"{_OF_STEP}, by: 60",
    "HangStep": _OF_STEP,
    "InterruptStep": f"{_OF_STEP}, reason: INJECTED",
}
_OF_RESOURCES = ("CancelAt", "EditAt", "AskAt")


def injections(player: Player, world: World | None = None) -> dict[str, str]:
    """Return the faults that apply at the cursor: their names, and arguments as YAML.

    Those of a step are of the attempt under way there, or of the next one; a thing of the
    world can break only if *world* has some that can.  Empty before the first record.
    """
    if player.record is None:
        return {}
    found: dict[str, str] = {}
    resource = str(player.resource.key) if player.resource else ""
    step, attempt = _attempt(player)
    words = {"resource": _word(resource), "step": _word(step), "attempt": attempt}
    for name, kind in FAULTS.items():
        if issubclass(kind, StepFault):
            applies = bool(step)
        elif name in _OF_RESOURCES:
            applies = bool(resource)
        elif name == "BreakOne":
            applies = world is not None and (type(world).break_one is not World.break_one)
        elif name not in _ARGUMENTS:
            applies = False
        else:
            applies = bool(player.controllers)
        if applies:
            template = (_OF_STEPS if step else {}).get(name) or _ARGUMENTS.get(name, "")
            found[name] = template.format(**words)
    return found


def _word(text: str) -> str:
    """Return *text* as YAML reads it as text."""
    plain = text.replace("-", "").replace("_", "").isalnum() and text[:1].isalpha()
    return text if plain and text.lower() not in _NO_TEXT else f'"{text}"'


_NO_TEXT = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")


def _attempt(player: Player) -> tuple[str, int]:
    """Return which step is, or would be next, and the number of that attempt."""
    run = player.memento
    if run is None or run.step is None:
        return "", 0
    if run.is_final and run.status is not RunStatus.INTERRUPTED:
        return "", 0
    under_way = run.step.status in UNDER_WAY
    return run.step.name, run.step.attempts + (not under_way)


def fault_maker(name: str, arguments: str) -> Callable[[Place], Fault]:
    """Return what makes the fault of that *name* at a place, with *arguments* in YAML.

    ``here`` as ``t`` or ``write`` is the place.  A ``CrashAt`` without one comes right
    after the record.  Raises `UsageError` for a name or an argument that there is not.
    """
    import yaml

    kind = FAULTS.get(name)
    if kind is None:
        raise UsageError(f"no fault {name!r}{suggest(name, FAULTS)}")
    try:
        given = yaml.safe_load(f"{{{arguments}}}")
    except yaml.YAMLError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise UsageError(
            f"{name}: {arguments!r} are no arguments; write 'restart_after: 10, t: 40'"
        )
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise UsageError(
                f"{name} has no {key!r}{suggest(key, known)}; it has {', '.join(known)}"
            )

    def make(place: Place) -> Fault:
        if kind is CrashAt and not {"t", "write", "site"} & given.keys():
            return CrashAt(**{**place.crash().arguments(), **given})
        said: dict[str, Any] = dict(given)
        if said.get("t") == HERE:
            said["t"] = place.moment
        if said.get("write") == HERE:
            said["write"] = place.next_write
        return kind(**said)

    return make
