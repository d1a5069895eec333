"""Wishes: what must be true at the end of a run, beside the invariants of all runs."""

from __future__ import annotations

import wfsim


def is_full(sim: wfsim.Simulation) -> str:
    """What runs has the volume that it names, and that is full."""
    for live in sim.log.fold().resources.values():
        if live.state not in ("Running", "Verified"):
            continue
        volume = live.annotations.get("volume")
        volumes = getattr(sim.world, "volumes", {})
        if volumes.get(volume) != "full":
            return f"{live.name} runs, and its volume {volume} is not full"
    return ""


def is_obeyed(sim: wfsim.Simulation) -> str:
    """Once a cancel was seen, no step begins or ends well."""
    cancelled: dict[str, float] = {}
    kinds = wfsim.Kind
    working = (kinds.STEP_STARTED, kinds.STEP_COMPLETED, kinds.STEP_LOG)
    for record in sim.log:
        edited = record.kind is kinds.RESOURCE_EDITED
        if edited and record.value.annotations.get("cancelled") == "true":
            cancelled.setdefault(record.resource, record.time)
        late = record.time > cancelled.get(record.resource, record.time) + TICK
        if late and record.kind in working:
            return f"{record.step} {record.kind.value} after it was cancelled"
    return ""


TICK = 5.0
"""So many seconds after a cancel, at most, it is seen."""


def is_closed(sim: wfsim.Simulation) -> str:
    """Of what has ended no step is under way."""
    for memento in sim.log.fold().mementos.values():
        if memento.status.value in ("running", "prepared", "waiting", "failed"):
            continue
        for step in memento.steps:
            if step.status.value in ("inited", "waiting"):
                return f"{step.name} is {step.status.value} in a run that has ended"
    return ""


def is_within_budget(sim: wfsim.Simulation) -> str:
    """One failure of a step does not stop a run, unless somebody has stopped it."""
    stops = ("CancelAt", "InterruptStep", "CrashAt", "delete=True")
    fired = [r.text for r in sim.log if r.kind is wfsim.Kind.FAULT_FIRED]
    if any(stop in text for text in fired for stop in stops):
        return ""
    for live in sim.log.fold().resources.values():
        if live.state == "Interrupt":
            return f"{live.name} is interrupted: {live.annotations['interrupt.reason']}"
    return ""


def is_failed(sim: wfsim.Simulation) -> str:
    """A flow of which a step has failed does not say that it went well."""
    fired = [r.text for r in sim.log if r.kind is wfsim.Kind.FAULT_FIRED]
    if not any(text.startswith("FailStep") for text in fired):
        return ""
    ends = {memento.status.value for memento in sim.log.fold().mementos.values()}
    return "" if "error" in ends else f"a step has failed, and all is {min(ends)}"


def is_done_once(sim: wfsim.Simulation) -> str:
    """A step that is done is not done again, nor is a run, unless it was begun again."""
    done: set[tuple[str, str, str]] = set()
    kinds = wfsim.Kind
    for record in sim.log:
        name = (record.resource, record.run, record.step)
        if record.kind in (kinds.STEP_STARTED, kinds.RUN_RECOVERED, kinds.RUN_CREATED):
            done.discard(name)
        elif record.kind in (kinds.STEP_COMPLETED, kinds.RUN_COMPLETED):
            if name in done:
                return f"{record.step or record.run} is done twice"
            done.add(name)
    return ""


def is_called_off(sim: wfsim.Simulation) -> str:
    """Whatever was cancelled after it had begun has run what is for that."""
    for memento in sim.log.fold().mementos.values():
        cancelled = [step for step in memento.steps if step.status.value == "cancelled"]
        letters = getattr(sim.world, "letters", ())
        if any(step.attempts for step in cancelled) and "called off" not in letters:
            return f"{memento.key} was cancelled, and nothing called off"
    return ""


def is_patient(sim: wfsim.Simulation) -> str:
    """A cloud that cannot be reached for a while stops nothing."""
    fired = [r.text for r in sim.log if r.kind is wfsim.Kind.FAULT_FIRED]
    states = {live.state for live in sim.log.fold().resources.values()}
    broken = fired and all(text.startswith("BreakOne") for text in fired)
    return "it is interrupted" if broken and "Interrupt" in states else ""


def is_one_way(sim: wfsim.Simulation) -> str:
    """A flow that is being cancelled is cancelled, and one that has ended stays so."""
    ends = {"Canceling": ("Canceled",), "Finished": (), "Error": (), "Canceled": ()}
    for record in sim.log.filter(wfsim.Kind.RESOURCE_STATE):
        state = record.value.state
        if state not in ends.get(record.before, (state,)):
            return f"{record.resource} was {record.before}, and is {state}"
    return ""
