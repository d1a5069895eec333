"""The table of defects: what makes each, and by which invariant it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import wfsim
from fake_resources.fakes import Ask
from fake_resources.zoo import grounds, runners, steps, stores, wishes
from fake_resources.zoo.engines import (
    with_controller,
    with_looks,
    with_progress,
    with_reconciler,
    with_resources,
    with_runner,
    with_runs,
    with_steps,
)
from fake_resources.zoo.grounds import RECOVERY, VERIFY, backup, service
from fake_resources.zoo.operators import OPERATORS
from fake_resources.zoo.services import OF_SERVICES

Wish = Callable[[wfsim.Simulation], Any]


class Mutant(NamedTuple):
    """A defect in *subject*, a scenario or a maker for `wfsim.explore`.

    *invariant* is the one by which it is found: the code of an oracle, or the name of
    one of *wishes*, what is to be true at the end.  *said* is a sentence on it, *asks*
    is what an operator may ask.
    """

    subject: Any
    invariant: str
    said: str
    wishes: tuple[Wish, ...] = ()
    asks: Mapping[str, Ask] = {}

    def explore(self, **more: Any) -> Any:
        """Return the report of `wfsim.explore` with its defaults, but for *more*."""
        seed = None if callable(self.subject) else 1
        return wfsim.explore(
            self.subject, seed=seed, asks=self.asks, eventually=self.wishes, **more
        )


TWICE = wfsim.Policy(retry=wfsim.Retry(limit=2, delay=10))
SHORT = wfsim.Policy(lease=5, renew=3)
NOTHING: Mapping[str, Ask] = {}
ONE = wfsim.Policy.service(workers=1)

SOON = wfsim.EditAt(t=45, annotations={"verify": "T"})
"""Somebody who asks for the second flow soon after the first one."""

ASKED = {"verify": Ask("verify", (("edit", {"annotations": {"verify": "T"}}),))}

THREE = wfsim.Duration.parse(3)

PARENT = (
    wfsim.Flow(
        "Nightly",
        (wfsim.Step("Night", child="Backup"), wfsim.Step("Morning", duration=THREE)),
    ),
    wfsim.Flow("Backup", tuple(map(wfsim.Step, grounds.SOUND))),
)
"""A flow that starts another one, and that one."""

CALLED_OFF = wfsim.Flow(
    "Backup",
    (
        wfsim.Step("MakeVolume", on_success="CopyData", on_cancel="Undo"),
        wfsim.Step("CopyData", on_success="Announce", on_cancel="Undo"),
        wfsim.Step("Announce", on_cancel="Undo"),
        wfsim.Step("Undo"),
    ),
)
"""A flow with a step for when it is cancelled."""

WAITS: dict[str, Any] = {"CopyData": grounds.wait_for_copy}
STOPS: dict[str, Any] = {"CopyData": grounds.ask_for_an_operator}
TWO: dict[str, Any] = {"controllers": 2, "policy": SHORT}
FLAKY: dict[str, Any] = {"CopyData": grounds.fail_twice, "policy": TWICE}
MOUNTS: dict[str, Any] = {"CopyData": grounds.fail_until_mounted, "policy": TWICE}
SAYS: dict[str, Any] = {"CopyData": grounds.copy_and_say}
POLLS: dict[str, Any] = {"CopyData": grounds.restore, "polling": True}
FRAIL: dict[str, Any] = {
    **POLLS,
    "world": grounds.FrailCloud,
    "policy": wfsim.Policy(retry=wfsim.Retry(limit=1)),
}
QUEUE: dict[str, Any] = {"asked": ("Backup", "Backup"), "policy": ONE}


def replaced(name: str, body: Any, **more: Any) -> Any:
    """Return a backup with *body* in the place of the step called *name*."""
    made: dict[str, Any] = {name: body, **more}
    return backup(**made)


# What makes a defect, where it is, and by what it is found: a code, or a wish.
Row = tuple[Any, Any, str | Wish]

OF_STEPS: tuple[Row, ...] = (
    *(
        (body, replaced("MakeVolume", body), code)
        for body, code in (
            (steps.creates_again, "S13"),
            (steps.named_after_the_attempt, "S13"),
            (steps.named_after_the_time, "S13"),
            (steps.named_by_chance, "S13"),
            (steps.refuses_what_is_there, "S12"),
            (steps.waits_for_ever, "L3"),
            (steps.checks_the_first_of_two, "S27"),
            (steps.clears_what_is_there, "S12"),
        )
    ),
    (
        steps.reads_its_own_cache,
        replaced("MakeVolume", steps.reads_its_own_cache()),
        "S12",
    ),
    *(
        (body, replaced("CopyData", body), found)
        for body, found in (
            (steps.copies_on_top, "S27"),
            (steps.forgets_to_release, "L5"),
            (steps.swallows_the_cancel, wishes.is_obeyed),
        )
    ),
    (
        steps.tidies_up_when_dead,
        replaced("CopyData", steps.tidies_up_when_dead, **TWO),
        "S12",
    ),
    (
        steps.acts_before_it_is_durable,
        replaced("Announce", steps.acts_before_it_is_durable),
        "S27",
    ),
    (
        steps.announces_the_newest,
        replaced("Announce", steps.announces_the_newest, MakeVolume=steps.creates_again),
        "S13",
    ),
    (
        steps.reads_a_live_annotation,
        replaced("Announce", steps.reads_a_live_annotation),
        wishes.is_full,
    ),
)
"""What users write into their steps."""

OF_STORES: tuple[Row, ...] = (
    (stores.DeafRuns, backup(with_runs(stores.DeafRuns)), "S1"),
    (stores.KeylessRuns, backup(with_runs(stores.KeylessRuns)), "L3"),
    (stores.BlamingRuns, backup(with_runs(stores.BlamingRuns)), "S3"),
    (
        stores.RememberingRuns,
        backup(with_runs(stores.RememberingRuns), VERIFY, **TWO),
        "S9",
    ),
    (stores.QuietResources, backup(with_resources(stores.QuietResources)), "S13"),
    (
        stores.SnapshotResources,
        backup(with_resources(stores.SnapshotResources), **STOPS),
        "L2",
    ),
    (stores.EdgeResources, backup(with_resources(stores.EdgeResources), SOON), "S12"),
    (stores.EternalLeases, backup(stores.Eternal), "L1"),
    (stores.LaxJournal, backup(stores.Lax, **TWO), "S4"),
    (stores.SkewedJournal, backup(stores.Skewed, **TWO), "S10"),
    (stores.Unfenced, backup(stores.Unfenced, **TWO), wishes.is_done_once),
)
"""What stores and leases of the first reference do, or ours have done."""

OF_RUNNERS: tuple[Row, ...] = (
    (runners.Dormant, backup(with_reconciler(runners.Dormant)), "L1"),
    (
        runners.InterruptFirst,
        backup(with_runner(runners.InterruptFirst), **STOPS),
        "L1",
    ),
    (
        runners.NotesFirst,
        backup(with_reconciler(runners.NotesFirst), RECOVERY, **STOPS),
        "L1",
    ),
    (
        runners.Forgetful,
        backup(with_reconciler(runners.Forgetful), RECOVERY, **STOPS),
        "L1",
    ),
    (runners.OneBudget, backup(with_progress(runners.OneBudget), **FLAKY), "S12"),
    (runners.LastOutput, backup(with_progress(runners.LastOutput)), "S12"),
    (runners.Timerless, backup(with_controller(runners.Timerless), **WAITS), "L2"),
    (runners.Spinning, backup(with_controller(runners.Spinning), **WAITS), "error"),
    (runners.Once, backup(with_controller(runners.Once), VERIFY), "S12"),
    (runners.LaterKept, backup(with_progress(runners.LaterKept), **POLLS), "S27"),
    (
        runners.left_running,
        backup(with_steps(runners.left_running), **SAYS),
        wishes.is_obeyed,
    ),
    (runners.not_awaited, backup(with_steps(runners.not_awaited)), wishes.is_full),
    (
        runners.BlindToCancel,
        backup(with_progress(runners.BlindToCancel), **WAITS),
        "S17",
    ),
    (runners.OpenRows, backup(with_runner(runners.OpenRows)), wishes.is_closed),
    (
        runners.LastingCount,
        backup(with_runner(runners.LastingCount), RECOVERY, **MOUNTS),
        wishes.is_within_budget,
    ),
    (runners.LastFinished, service(with_progress(runners.LastFinished)), "S12"),
    (runners.Starving, service(with_controller(runners.Starving), **QUEUE), "L1"),
    (
        runners.ChildBlind,
        service(runners.Waiting, *PARENT, asked=("Nightly",)),
        "L3",
    ),
    (
        runners.Paused,
        partial(grounds.started_again, *service(with_looks(runners.Paused)).args),
        "S1",
    ),
    (
        runners.Swallowed,
        service(with_progress(runners.Swallowed)),
        wishes.is_failed,
    ),
    (runners.Unclosed, service(with_progress(runners.Unclosed)), wishes.is_closed),
    (
        runners.NotCalledOff,
        service(with_progress(runners.NotCalledOff), CALLED_OFF),
        wishes.is_called_off,
    ),
    (
        runners.Impatient,
        backup(with_progress(runners.Impatient), **FRAIL),
        wishes.is_patient,
    ),
    (
        runners.Listening,
        backup(with_runner(runners.Listening), hooks=(grounds.Fussy(),)),
        "error",
    ),
)
"""What the engines of the two references do, or ours has done."""


def mutant(
    kind: Any, subject: Any, found: str | Wish, asks: Mapping[str, Ask] = NOTHING
) -> Mutant:
    """Return the mutant of a row of a table."""
    said = str(kind.__doc__).partition("\n")[0]
    if isinstance(found, str):
        return Mutant(subject, found, said, (), asks)
    asks = ASKED if found is wishes.is_full else asks
    return Mutant(subject, str(found.__name__), said, (found,), asks)


MUTANTS: Mapping[str, Mutant] = {
    **{row[0].__name__: mutant(*row) for row in (*OF_STEPS, *OF_STORES, *OF_RUNNERS)},
    **{row[0].__name__: mutant(*row) for row in OF_SERVICES},
    **{name: Mutant(*row) for name, row in OPERATORS.items()},
}
"""Every defect by its name."""

__all__ = ["MUTANTS", "Mutant"]
