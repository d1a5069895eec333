"""Every kind of fault, put where it hits a flow in the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import wfsim
from tests.golden.subjects import Subject, ended
from wfsim.sim.faults import Fault

# What is compared with may be a checkout in which it had another name.
REFUSE_WRITE = getattr(wfsim, "RefuseWrite", None) or wfsim.Conflict


class Middle(NamedTuple):
    """The middle of a flow that nothing went wrong with: where faults are put."""

    began: float
    time: float
    end: float
    step: str
    write: int
    writes: int
    resource: str | None
    call: str


@cache
def middle(subject: Subject) -> Middle:
    sim = subject.begin(())
    began, before = sim.now, len(sim.log)
    written = sum(record.value is not None for record in sim.log)
    ended(sim)
    since = [record for record in sim.log.records[before:] if record.value is not None]
    steps = [record.step for record in since if record.kind is wfsim.Kind.STEP_STARTED]
    end = since[-1].time
    return Middle(
        began,
        round((began + end) / 2, 3),
        end,
        steps[len(steps) // 2],
        written + len(since) // 2,
        written + len(since),
        subject.resource,
        _call(subject),
    )


def _call(subject: Subject) -> str:
    """Return the first call of the world; else a place at which there is one nowhere."""
    try:
        from wfsim.campaign.sites import surveyed
    except ImportError:  # as of an older checkout
        return ""
    survey = surveyed(subject.begin(()))
    ended(survey)
    calls = [site.name for site in survey.kept if site.call is not None]
    # A survey may have been cut short; what is no call is never repeated.
    return next(iter(calls), survey.kept[0].name)


FAULTS: Mapping[str, Callable[[Middle], tuple[Fault, ...]]] = {
    "ApiDown": lambda m: (wfsim.ApiDown(t=m.time, for_=20),),
    "ApiDown from the start": lambda m: (wfsim.ApiDown(t=m.began, for_=45),),
    "AskAt": lambda m: (wfsim.AskAt(t=m.time, call="cancel", resource=m.resource),),
    "BreakOne": lambda m: (wfsim.BreakOne(t=m.time, draw=0.5),),
    "BreakOne, mended": lambda m: (wfsim.BreakOne(t=m.time, draw=0.9, for_=60),),
    "CancelAt": lambda m: (wfsim.CancelAt(t=m.time, resource=m.resource),),
    "CancelAt at once": lambda m: (wfsim.CancelAt(t=m.began, resource=m.resource),),
    "Conflict": lambda m: (REFUSE_WRITE(write=m.write),),
    "Conflict three times": lambda m: (REFUSE_WRITE(write=m.write - 1, times=3),),
    "CrashAt t": lambda m: (wfsim.CrashAt(t=m.time, restart_after=10),),
    "CrashAt t, for good": lambda m: (wfsim.CrashAt(t=m.time),),
    "CrashAt before write": lambda m: (
        wfsim.CrashAt(write=m.write, when="before", restart_after=5),
    ),
    "CrashAt after write": lambda m: (
        wfsim.CrashAt(write=m.write, when="after", restart_after=5),
    ),
    "CrashAt three in a row": lambda m: tuple(
        wfsim.CrashAt(write=m.write + more, when="before", restart_after=2)
        for more in range(3)
    ),
    "DelayStep": lambda m: (wfsim.DelayStep(m.step, by=47.5, resource=m.resource),),
    "DropWatch": lambda m: (wfsim.DropWatch(t=m.time, for_=30),),
    "DropWatch from the start": lambda m: (wfsim.DropWatch(t=m.began, for_=90),),
    "EditAt": lambda m: (
        wfsim.EditAt(t=m.time, resource=m.resource, annotations={"note": "here"}),
    ),
    "EditAt, deleted": lambda m: (
        wfsim.EditAt(t=m.time, resource=m.resource, delete=True),
    ),
    "RepeatCall": lambda m: (wfsim.RepeatCall(site=m.call),),
    "FailSave": lambda m: (wfsim.FailSave(write=m.write),),
    "FailSave, applied": lambda m: (wfsim.FailSave(write=m.write, applied=True),),
    "FailSave five times": lambda m: (wfsim.FailSave(write=m.write, times=5),),
    "FailStep": lambda m: (wfsim.FailStep(m.step, resource=m.resource),),
    "FailStep, after": lambda m: (
        wfsim.FailStep(m.step, after=True, error="lost", resource=m.resource),
    ),
    "FailStep for good": lambda m: (
        wfsim.FailStep(m.step, times=11, resource=m.resource),
    ),
    "HangStep": lambda m: (wfsim.HangStep(m.step, resource=m.resource),),
    "HangStep, cancelled": lambda m: (
        wfsim.HangStep(m.step, resource=m.resource),
        wfsim.CancelAt(t=m.end + 60, resource=m.resource),
    ),
    "HangStep, crashed": lambda m: (
        wfsim.HangStep(m.step, resource=m.resource),
        wfsim.CrashAt(t=m.end + 60, restart_after=5),
    ),
    "HangStep, crashed, failing for good": lambda m: (
        wfsim.HangStep(m.step, resource=m.resource),
        wfsim.CrashAt(t=m.end + 60, restart_after=5),
        wfsim.FailStep(m.step, times=11, resource=m.resource),
    ),
    "InterruptStep": lambda m: (
        wfsim.InterruptStep(m.step, reason="LOOK", message="well", resource=m.resource),
    ),
    "PauseController": lambda m: (wfsim.PauseController(t=m.time, for_=40),),
    "LoseLease": lambda m: (wfsim.LoseLease(t=m.time),),
    "StaleRead": lambda m: (wfsim.StaleRead(t=m.time, for_=25),),
    "all at once": lambda m: (
        wfsim.FailStep(m.step, times=2, resource=m.resource),
        wfsim.FailSave(write=m.write, applied=True),
        wfsim.DropWatch(t=m.time, for_=15),
        wfsim.StaleRead(t=m.time + 5, for_=15),
        wfsim.CrashAt(t=m.time + 12, restart_after=3),
        wfsim.ApiDown(t=m.time + 20, for_=4),
    ),
}
"""Every kind of fault, put into the middle of a flow."""
