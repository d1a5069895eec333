"""The table of defects: what makes each, and by which invariant it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import wfsim
from fake_resources.fakes import Ask
from fake_resources.zoo import engines, grounds, steps
from fake_resources.zoo.grounds import RECOVERY, VERIFY, backup, service
from fake_resources.zoo.operators import OPERATORS

Wish = Callable[[wfsim.Simulation], Any]


class Mutant(NamedTuple):
    """A defect in *subject*, a scenario or a maker for `wfsim.explore`.

    *invariant* is the one by which it is found: the code of an oracle, or the name of
    one of *wishes*, what is to be true at the end.  *asks* is what an operator may ask.
    """

    subject: Any
    invariant: str
    said: str
    wishes: tuple[Wish, ...] = ()
    asks: Mapping[str, Ask] = {}

    def explore(self, **more: Any) -> Any:
        """Return the report of `wfsim.explore` with its defaults."""
        seed = None if callable(self.subject) else 1
        return wfsim.explore(
            self.subject, seed=seed, asks=self.asks, eventually=self.wishes, **more
        )


# -- wishes ----------------------------------------------------------------------------


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


# -- the table -------------------------------------------------------------------------

TWICE = wfsim.Policy(retry=wfsim.Retry(limit=2, delay=10))
SHORT = wfsim.Policy(lease=5, renew=3)
ONE = wfsim.Policy.service(workers=1)

VERIFIED_SOON = wfsim.EditAt(t=45, annotations={"verify": "T"})
"""Somebody who asks for the second flow soon after the first one."""

ASKED = {
    "verify": Ask("verify", (("edit", {"annotations": {"verify": "T"}}),)),
}

THREE = wfsim.Duration.parse(3)

PARENT = (
    wfsim.Flow(
        "Nightly",
        (wfsim.Step("Night", child="Backup"), wfsim.Step("Morning", duration=THREE)),
    ),
    wfsim.Flow("Backup", tuple(map(wfsim.Step, grounds.SOUND))),
)


def replaced(name: str, body: Any) -> Any:
    """Return a backup with *body* in the place of the step called *name*."""
    more: dict[str, Any] = {name: body}
    return backup(**more)


def of_steps() -> dict[str, Mutant]:
    """Return what users write into their steps."""
    made: dict[str, dict[Any, str]] = {
        "MakeVolume": {
            steps.creates_again: "S13",
            steps.named_after_the_attempt: "S13",
            steps.named_after_the_time: "S13",
            steps.named_by_chance: "S13",
            steps.refuses_what_is_there: "S12",
            steps.waits_for_ever: "L3",
            steps.checks_the_first_of_two: "S27",
            steps.clears_what_is_there: "S12",
        },
        "CopyData": {steps.copies_on_top: "S27"},
        "Announce": {steps.acts_before_it_is_durable: "S27"},
    }
    found = {
        body.__name__: Mutant(replaced(name, body), code, str(body.__doc__))
        for name, bodies in made.items()
        for body, code in bodies.items()
    }
    again: dict[str, Any] = {
        "MakeVolume": steps.creates_again,
        "Announce": steps.announces_the_newest,
    }
    found["announces_the_newest"] = Mutant(
        backup(**again), "S13", str(steps.announces_the_newest.__doc__)
    )
    found["reads_its_own_cache"] = Mutant(
        backup(MakeVolume=steps.reads_its_own_cache()),
        "S12",
        "Reads its own cache, which knows nothing of the world as it is.",
    )
    found["forgets_to_release"] = Mutant(
        backup(CopyData=steps.forgets_to_release),
        "L5",
        str(steps.forgets_to_release.__doc__),
    )
    found["swallows_the_cancel"] = Mutant(
        backup(CopyData=steps.swallows_the_cancel),
        "is_obeyed",
        str(steps.swallows_the_cancel.__doc__),
        (is_obeyed,),
    )
    found["tidies_up_when_dead"] = Mutant(
        backup(
            CopyData=steps.tidies_up_when_dead,
            controllers=2,
            policy=SHORT,
        ),
        "S12",
        str(steps.tidies_up_when_dead.__doc__),
    )
    found["reads_a_live_annotation"] = Mutant(
        backup(Announce=steps.reads_a_live_annotation),
        "is_full",
        str(steps.reads_a_live_annotation.__doc__),
        (is_full,),
        ASKED,
    )
    return found


def of_engines() -> dict[str, Mutant]:
    """Return what the engine of the first reference does, or ours has done."""
    e = engines
    waits: dict[str, Any] = {"CopyData": grounds.wait_for_copy}
    stops: dict[str, Any] = {"CopyData": grounds.ask_for_an_operator}
    flaky: dict[str, Any] = {"CopyData": grounds.fail_twice}
    rows: dict[type, tuple[Any, str]] = {
        e.DeafRuns: (backup(e.with_runs(e.DeafRuns)), "S1"),
        e.KeylessRuns: (backup(e.with_runs(e.KeylessRuns)), "L3"),
        e.BlamingRuns: (backup(e.with_runs(e.BlamingRuns)), "S3"),
        e.RememberingRuns: (
            backup(e.with_runs(e.RememberingRuns), VERIFY, controllers=2, policy=SHORT),
            "S9",
        ),
        e.QuietResources: (backup(e.with_resources(e.QuietResources)), "S13"),
        e.SnapshotResources: (
            backup(e.with_resources(e.SnapshotResources), **stops),
            "L2",
        ),
        e.EdgeResources: (
            backup(e.with_resources(e.EdgeResources), VERIFIED_SOON),
            "S12",
        ),
        e.EternalLeases: (backup(e.Eternal), "L1"),
        e.Dormant: (backup(e.with_reconciler(e.Dormant)), "L1"),
        e.InterruptFirst: (
            backup(e.with_runner(e.InterruptFirst), **stops),
            "L1",
        ),
        e.NotesFirst: (backup(e.with_reconciler(e.NotesFirst), RECOVERY, **stops), "L1"),
        e.Forgetful: (backup(e.with_reconciler(e.Forgetful), RECOVERY, **stops), "L1"),
        e.OneBudget: (
            backup(e.with_progress(e.OneBudget), policy=TWICE, **flaky),
            "S12",
        ),
        e.LastOutput: (backup(e.with_progress(e.LastOutput)), "S12"),
        e.Timerless: (backup(e.with_controller(e.Timerless), **waits), "L2"),
        e.Spinning: (backup(e.with_controller(e.Spinning), **waits), "error"),
        e.Once: (backup(e.with_controller(e.Once), VERIFY), "S12"),
        e.LaterKept: (
            backup(e.with_progress(e.LaterKept), CopyData=grounds.restore, polling=True),
            "S27",
        ),
    }
    found = {
        kind.__name__: Mutant(subject, code, str(kind.__doc__))
        for kind, (subject, code) in rows.items()
    }
    wished: dict[Any, tuple[Any, Wish]] = {
        e.left_running: (
            backup(e.with_steps(e.left_running), CopyData=grounds.copy_and_say),
            is_obeyed,
        ),
        e.Unfenced: (backup(e.Unfenced, controllers=2, policy=SHORT), is_done_once),
        e.not_awaited: (backup(e.with_steps(e.not_awaited)), is_full),
        e.BlindToCancel: (backup(e.with_progress(e.BlindToCancel), **waits), is_obeyed),
        e.OpenRows: (backup(e.with_runner(e.OpenRows)), is_closed),
        e.LastingCount: (
            backup(
                e.with_runner(e.LastingCount),
                RECOVERY,
                policy=TWICE,
                CopyData=grounds.fail_until_mounted,
            ),
            is_within_budget,
        ),
    }
    found |= {
        kind.__name__: Mutant(subject, wish.__name__, str(kind.__doc__), (wish,))
        for kind, (subject, wish) in wished.items()
    }
    return found


def of_services() -> dict[str, Mutant]:
    """Return what the engine of the second reference does."""
    e = engines
    two: dict[str, Any] = {"asked": ("Backup", "Backup"), "policy": ONE}
    paused = service(e.with_looks(e.Paused))
    rows: dict[type, tuple[Any, str]] = {
        e.LastFinished: (service(e.with_progress(e.LastFinished)), "S1"),
        e.Starving: (service(e.with_controller(e.Starving), **two), "L1"),
        e.ChildBlind: (service(e.Waiting, *PARENT, asked=("Nightly",)), "L3"),
        e.Paused: (partial(grounds.started_again, *paused.args), "S1"),
    }
    found = {
        kind.__name__: Mutant(subject, code, str(kind.__doc__))
        for kind, (subject, code) in rows.items()
    }
    wished: dict[type, tuple[Any, Wish]] = {
        e.Swallowed: (service(e.with_progress(e.Swallowed)), is_failed),
        e.Unclosed: (service(e.with_progress(e.Unclosed)), is_closed),
    }
    return found | {
        kind.__name__: Mutant(subject, wish.__name__, str(kind.__doc__), (wish,))
        for kind, (subject, wish) in wished.items()
    }


def of_operators() -> dict[str, Mutant]:
    """Return what the operators of the references do in their steps."""
    return {
        name: Mutant(subject, code, said, wishes, asks)
        for name, (subject, code, said, wishes, asks) in OPERATORS.items()
    }


MUTANTS: Mapping[str, Mutant] = {
    **of_steps(),
    **of_engines(),
    **of_services(),
    **of_operators(),
}
"""Every defect by its name."""

__all__ = ["MUTANTS", "Mutant"]
