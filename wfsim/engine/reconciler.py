"""Bring one resource one move nearer to where it should be.

A pass acts on the state it reads, never on the event that woke it.  The run is
the truth and is written first; the resource is brought into line with it by the same
pass, or by the next one if the controller died in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from wfsim.engine.context import StepContext, Turn, rewrite
from wfsim.engine.ports import Effect, Ports
from wfsim.engine.progress import Progress
from wfsim.engine.runner import GONE, FlowRunner, Stop, to_run_again
from wfsim.engine.steps import as_effect, describe, line_of, storable
from wfsim.errors import NotFound
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import EMPTY
from wfsim.model.machine import StateMachine
from wfsim.model.memento import Memento, Quarantined, RunStatus, number_of
from wfsim.model.policy import Retry
from wfsim.model.record import Kind
from wfsim.model.resource import (
    INTERRUPT,
    REBUILD,
    RUNNING,
    Key,
    Recovery,
    Resource,
)
from wfsim.model.run import Adoption, Begin, Cause, Recover, Run, Supersede
from wfsim.text import called, suggest


class Result(NamedTuple):
    """When to look again: after so many seconds, or (None) when something changes."""

    after: float | None = None


@lru_cache(maxsize=64)
def doubling(retry: Retry) -> Retry:
    """Return *retry* with waits that grow, twice as long each, if its own do not."""
    return replace(retry, factor=2.0) if retry.factor == 1.0 else retry


class Work(NamedTuple):
    """A run to be carried on, and what was found on taking it up, if that is new."""

    run: Run
    adoption: Adoption | None = None


NOT_BEGUN = "workflow cancelled! cancelled before it began"
"""What a resource says that was cancelled before its run, in the reference's words."""

_DONE = Result()
_CLOSED = (RunStatus.COMPLETED, RunStatus.SUPERSEDED)
_FAILED = (RunStatus.INTERRUPTED, RunStatus.ERROR, RunStatus.CANCELLED)


class FlowReconciler:
    """One pass over one resource, as this table; the first row that applies is done.

    ====================================== =========================================
    the resource is gone                   close its unfinished runs, forget its runs
    it is being deleted                    close its unfinished run, finalize
    its newest run ended, it shows nothing write the state that the run led to
    it is interrupted, recovery asked for  make the run runnable, then go back
    it has an unfinished run               carry it on, unless its state ignores it
    it is in a stable state                ask the checks, move
    it is in an unstable state             ask the check again, begin a run
    ====================================== =========================================

    Rows are chosen by what a cache shows, which may lag; what a row does is based on
    the live resource, and put off if that is elsewhere by now.
    """

    def __init__(
        self,
        ports: Ports,
        machines: Mapping[str, StateMachine],
        flows: Mapping[str, Flow],
        migrations: Mapping[str, Migration] = EMPTY,
    ) -> None:
        self._ports = ports
        self._clock = ports.clock
        self._resources = ports.resources
        self._runs = ports.runs
        self._machines = machines
        self._flows = flows
        self._migrations = migrations
        self._runner = FlowRunner(ports)
        self._history = RunHistory(ports, self._runner)
        self._again = Result(ports.policy.redrive.delay)
        self._back_off = doubling(ports.policy.redrive)
        self._failed_checks: dict[Key, int] = {}
        self._resting = {kind: at_rest(machine) for kind, machine in machines.items()}

    def is_settled(self, key: Key) -> bool:
        """Whether there is nothing more to do, now that the newest run is over.

        That a pass would find nothing to do is known without one where no check could
        move the resource.  Measured: it saves 25 us an instance.
        """
        policy, resources = self._ports.policy, self._resources
        if policy.retention is not None or not resources.is_local:
            return False
        resource = resources.peek(key)
        if resource is None or resource.deleted is not None:
            return False
        return key.kind in self._resting and resource.state in self._resting[key.kind]

    def choose(self, key: Key, turn: Turn) -> Effect[Result | Progress]:
        """Make a move that takes no run, or return the run to be carried on."""
        chosen = yield from self._choose(key, turn)
        if isinstance(chosen, Result):
            return chosen
        run, adoption = chosen
        turn.owner = run.owner if adoption is None else adoption.owner
        return Progress(self._runner, run, self._flows[run.flow], turn, adoption)

    def _choose(self, key: Key, turn: Turn) -> Effect[Result | Work]:
        since = self._history.since.get(key, "")
        entries = yield from self._runs.entries(key, since)
        try:
            resource = yield from self._resources.cached(key)
        except NotFound:
            return (yield from self._miss(entries, turn))
        machine = self._machines.get(key.kind)
        if machine is None:
            near = suggest(key.kind, self._machines)
            text = f"no state machine for {key.kind!r}{near}"
            self._note(turn, Kind.PASS_FAILED, resource, text)
            return _DONE
        runs = only_run(resource, entries)
        if runs is None:
            runs = yield from self._history.own(resource, entries, turn)
        newest = runs[-1] if runs else None
        if resource.deleted is not None:
            return (yield from self._finalize(resource, newest, turn))
        unfinished = newest
        if newest is not None and newest.is_final:
            unfinished = None
            serves = newest.entered == resource.entered
            if serves and (yield from self._settle(resource, newest, turn)):
                return _DONE
        if resource.state == INTERRUPT:
            if _may_recover(machine.notes, resource, newest):
                served = self._served(resource, newest, entries)
                return (yield from self._recover(resource, served, turn))
        elif unfinished and not machine.ignores(resource.state, unfinished.flow):
            return (yield from self._carry_on(resource, unfinished, turn))
        if machine.is_stable(resource.state):
            return (yield from self._translate(resource, turn))
        return (yield from self._enter(resource, entries, unfinished, turn))

    def _served(
        self, resource: Resource, run: Run | None, entries: Entries
    ) -> Run | None:
        """Return *run* if it is what was interrupted, which may be unreadable by now.

        An older run that serves another state than the one to go back to is history.
        """
        if run is None or run.number == newest_number(entries):
            return run
        machine = self._machines[resource.kind]
        previous = machine.notes.state_before(resource)
        action = machine.action(previous) if previous else None
        return run if action is None or action.flow == run.flow else None

    def _settle(self, resource: Resource, run: Run, turn: Turn) -> Effect[bool]:
        """Write the state that the ended *run* led to, unless the resource moved on."""
        if run.entered != resource.entered:
            return False
        interrupted = run.status in _FAILED
        machine = self._machines[resource.kind]
        action = machine.action(resource.state)
        done = run.status is RunStatus.COMPLETED and action and action.flow == run.flow
        if not (interrupted or done):
            return False
        then = action.then if action else ""

        def change(live: Resource) -> Resource:
            if live.entered != run.entered:
                return live
            if interrupted:
                return machine.notes.interrupt(live, run.reason or "ERROR", run.error)
            return live.move(then, run.flow)

        yield from rewrite(self._resources, turn.key, change, turn.token)
        return True

    def _recover(self, resource: Resource, run: Run | None, turn: Turn) -> Effect[Result]:
        """Go back from `INTERRUPT`: the run first, then the resource.

        Dying in between leaves the request standing, so the next pass repeats this.  As
        in the reference, a rebuild is not gone on with: it begins anew, with a new run.
        """
        live = yield from self._resources.get(resource.key)
        machine = self._machines[resource.kind]
        is_other = live.uid != resource.uid or live.state != INTERRUPT
        if is_other or not _may_recover(machine.notes, live, run):
            return _DONE
        previous = machine.notes.state_before(live)
        if previous == REBUILD:
            if run is not None and not run.is_final:
                yield from self._runner.commit(run, turn, Supersede())
        elif run is not None and run.status not in _CLOSED:
            flow = self._flows.get(run.flow)
            from_first = flow is not None and flow.recover_from_first_step
            afresh = frozenset() if flow is None else to_run_again(run, flow)
            deadline = deadline_of(flow, None, self._ports)
            recovered = Recover(from_first, deadline, afresh)
            yield from self._runner.commit(run, turn, recovered)
            previous = previous or machine.state_running(run.flow) or ""
        back = machine.notes.go_on(live, previous or RUNNING)
        yield from self._resources.update(back, turn.token)
        return _DONE

    def _carry_on(
        self, resource: Resource, run: Run, turn: Turn
    ) -> Effect[Result | Work]:
        """Return *run* taken up, if its flow is still what it began with."""
        live = yield from self._history.live(resource)
        if live is None:
            return self._again
        if run.status is RunStatus.FAILED and run.wake is not None:
            pause = _due(run, run.wake) - self._clock.now
            if pause > 0.0 and not live.cancelled:
                return Result(pause)
        adoption = Adoption.once_more(run, live.entered, live.uid)
        fit = migrated(run, self._flows, self._migrations)
        if isinstance(fit, Stop):
            yield from self._history.stop(run, turn, fit, adoption)
            return (yield from self.finish(run, None, turn))
        if fit is not None:
            adoption = adoption._replace(digest=fit.digest, migrated=fit)
        if self._ports.hooks:
            self._runner.tell_run(turn, "on_run_init", adoption.draft(run))
        return Work(run, adoption)

    def finish(self, run: Run, wake: float | None, turn: Turn) -> Effect[Result]:
        """Bring the resource into line with where its run stands after this pass."""
        if not run.is_final:
            due = _due(run, math.inf if wake is None else wake)
            pause = max(due - self._clock.now, 0.0)
            return _DONE if pause == math.inf else Result(pause)
        try:
            resource = yield from self._resources.get(turn.key)
        except NotFound:
            return Result(0.0)
        settled = yield from self._settle(resource, run, turn)
        return _DONE if settled else Result(0.0)

    def _translate(self, resource: Resource, turn: Turn) -> Effect[Result]:
        """Move to where the first check that has an event says; report failed ones."""
        failed = False
        for transition, answer in self._machines[resource.kind].events(resource):
            if isinstance(answer, Exception):
                failed = True
                self._check_failed(turn, resource, transition.check, answer)
            else:
                moved = resource.move(transition.target, answer.name)
                yield from self._resources.update(moved, turn.token)
                return _DONE
        if failed:
            return self._ask_later(resource.key)
        self._failed_checks.pop(resource.key, None)
        return _DONE

    def _enter(
        self, resource: Resource, entries: Entries, ignored: Run | None, turn: Turn
    ) -> Effect[Result | Work]:
        """Begin a run in an unstable state, if there still is a reason to."""
        machine = self._machines[resource.kind]
        action = machine.action(resource.state)
        if action is None:
            near = suggest(resource.state, machine.states)
            text = f"state {resource.state!r} is not registered{near}"
            self._note(turn, Kind.PASS_FAILED, resource, text)
            return _DONE
        live = yield from self._history.live(resource)
        if live is None:
            return self._again
        if ignored is not None:
            superseded = Supersede()
            yield from self._runner.commit(ignored, turn, superseded)
        if live.cancelled:
            moved = machine.notes.interrupt(live, reasons.CANCELLED, NOT_BEGUN)
            yield from self._resources.update(moved, turn.token)
            return _DONE
        number = newest_number(entries) + 1 if entries else 1
        run = Run(f"{number}-{action.flow}", turn.key)
        try:
            event = machine.entry(live)
            params = storable(event.params) if event else None
            if params:
                self._runs.refuse_large(run, params)
        except Exception as error:
            self._check_failed(turn, live, action.check, error)
            return self._ask_later(live.key)
        self._failed_checks.pop(live.key, None)
        if params is None:
            moved = live.move(RUNNING, "no event")
            yield from self._resources.update(moved, turn.token)
            return _DONE
        flow = self._flows[action.flow]
        begin = Begin.of(
            flow,
            run.key,
            turn.key,
            params=params,
            entered=live.entered,
            owner=live.uid,
            deadline=deadline_of(flow, live, self._ports),
        )
        yield from self._runner.commit(run, turn, begin)
        self._runner.tell_run(turn, "on_run_init", run)
        return Work(run)

    def _finalize(
        self, resource: Resource, run: Run | None, turn: Turn
    ) -> Effect[Result]:
        """Close what runs, release what our finalizers hold, let the resource go.

        A finalizer that the machine does not know is somebody else's to drop.
        """
        if run is not None and not run.is_final:
            yield from self._history.stop(run, turn, GONE)
        ports = self._ports
        draws = ports.draws.within(*resource.key, "")
        no_run = Run("", resource.key)
        live = yield from self._resources.get(resource.key)
        if live.uid != resource.uid:
            return self._again
        for name in live.finalizers:
            release = self._machines[resource.kind].finalizers.get(name)
            if release is None:
                continue
            context = StepContext(
                ports, live, EMPTY, 1, no_run, Step(name), draws, turn.token
            )
            try:
                yield from as_effect(release)(context)
            except Exception as error:
                text = f"finalizer {name!r}: {describe(error)}"
                self._note(turn, Kind.PASS_FAILED, resource, text, line_of(error))
                return self._again

            def without(live: Resource, gone: str = name) -> Resource:
                others = tuple(item for item in live.finalizers if item != gone)
                return live._replace(finalizers=others)

            yield from rewrite(self._resources, resource.key, without, turn.token)
        return _DONE

    def _miss(self, entries: Entries, turn: Turn) -> Effect[Result]:
        """Bury the runs of a resource that is gone, and not only from the cache."""
        try:
            yield from self._resources.get(turn.key)
            return self._again
        except NotFound:
            yield from self._history.bury_all(turn.key, entries, turn)
            return _DONE

    def _check_failed(
        self, turn: Turn, resource: Resource, check: object, error: Exception
    ) -> None:
        text = f"{called(check)}: {describe(error)}"
        self._note(turn, Kind.CHECK_FAILED, resource, text, line_of(error))

    def _ask_later(self, key: Key) -> Result:
        """Return when to ask again after a check has raised: later each time."""
        failures = self._failed_checks[key] = self._failed_checks.get(key, 0) + 1
        return Result(self._back_off.after(failures))

    def _note(
        self, turn: Turn, kind: Kind, resource: Resource, text: str, where: str = ""
    ) -> None:
        self._ports.notes.note(
            kind, resource=resource.key, text=text, token=turn.token, where=where
        )


def at_rest(machine: StateMachine) -> frozenset[str]:
    """Return the stable states of *machine* that no check leaves."""
    left = {transition.source for transition in machine.transitions}
    return frozenset(machine.stable_states) - left - {INTERRUPT}


def _may_recover(notes: Recovery, resource: Resource, run: Run | None) -> bool:
    """Whether the interrupted *resource* is to go back.

    It was asked for; or the reference engine died in the middle of it, when the run was
    runnable again and the notes were gone, but the state was not back yet.
    """
    half = run is not None and run.status is RunStatus.FAILED
    return notes.is_wanted(resource) or (half and not notes.is_noted(resource))


def _due(run: Run, wake: float) -> float:
    """Return when to look at *run* again: at *wake*, but not after its deadline."""
    return wake if run.deadline is None else min(wake, run.deadline)


Migration = Callable[[Memento, Flow], Memento]


def migrated(
    run: Run, flows: Mapping[str, Flow], migrations: Mapping[str, Migration] = EMPTY
) -> Memento | Stop | None:
    """Return *run* as it fits its flow now, None if it does, or why it cannot."""
    flow = flows.get(run.flow)
    if flow is None:
        near = suggest(run.flow, flows)
        text = f"no flow {run.flow!r}{near}"
        return Stop(reasons.UNKNOWN_FLOW, text, Cause.DEFINITION)
    names, digest = run.names, flow.digest
    if names == flow.names and run.digest == digest:
        return None
    if names == flow.names and not run.digest:
        return run.memento()._replace(digest=digest)
    migrate = migrations.get(flow.name)
    if migrate is None:
        return _changed(
            f"the run began with the steps {', '.join(names)}; the flow now has "
            f"{', '.join(flow.names)} (digest {flow.digest}); give a migration"
        )
    try:
        fit = migrate(run.memento(), flow)._replace(digest=flow.digest)
    except Exception as error:
        return _changed(f"the migration failed: {describe(error)}")
    left = tuple(step.name for step in fit.steps)
    if left != flow.names:
        return _changed(f"the migration left the steps {', '.join(left)}")
    return fit


def _changed(text: str) -> Stop:
    return Stop(reasons.DEFINITION_CHANGED, text, Cause.DEFINITION)


def deadline_of(
    flow: Flow | None, resource: Resource | None, ports: Ports
) -> float | None:
    """Return the second by which a run of *flow* is to be complete, None for any.

    That of a new run may count from when *resource* called for it.
    """
    policy = ports.policy
    limit = (flow and flow.deadline) or policy.deadline
    if limit is None:
        return None
    since = (flow and flow.deadline_from) or policy.deadline_from
    if resource is not None and since == "request":
        return ports.resources.called_for(resource) + limit
    return ports.clock.now + limit


Entry = Run | Quarantined
Entries = list[Entry]


class RunHistory:
    """Sorts out what is kept of each resource: its own runs, and what is in their way.

    A run that has ended and was sorted out needs no second look, nor does any before it:
    passes read from there on.  That may be forgotten at any time, as by a restart; all
    are looked through again then.
    """

    def __init__(self, ports: Ports, runner: FlowRunner) -> None:
        self._ports = ports
        self._runs = ports.runs
        self._runner = runner
        self.since: dict[Key, str] = {}
        """The run from which on a pass reads, by resource; from the first if none."""

    def own(self, resource: Resource, entries: Entries, turn: Turn) -> Effect[list[Run]]:
        """Return the readable runs of *resource*, oldest first, at most one unfinished.

        A run that is unfinished though there is a newer one was passed over: its time
        is gone.  Finished ones past the retention are forgotten, and those of a dead
        resource of the same name.  Ended ones from long ago are left out.
        """
        key, owners = resource.key, ("", resource.uid)
        mementos = [entry for entry in entries if isinstance(entry, Run)]
        if key in self.since and mementos and mementos[0].owner not in owners:
            # A namesake has died since; what is before its last run is its own, too.
            entries = yield from self._all(key, entries)
            mementos = [entry for entry in entries if isinstance(entry, Run)]
        runs = [run for run in mementos if run.owner in owners]
        dead = [run for run in mementos if run.owner not in owners]
        if dead and (yield from self.live(resource)):
            yield from self.bury(dead, turn)
            dead = []
        for run in runs[:-1]:
            if not run.is_final:
                passed_over = Supersede()
                yield from self._runner.commit(run, turn, passed_over)
        keep = self._ports.policy.retention
        if keep is None:
            ended = [run for run in runs[-2:] if run.is_final]
            if ended and not dead:
                self.since[key] = ended[-1].key
            return runs
        finished = len(runs) if runs and runs[-1].is_final else len(runs) - 1
        spare = max(finished - keep, 0)
        for run in runs[:spare]:
            yield from self._forget(run, turn)
        return runs[spare:]

    def live(self, resource: Resource) -> Effect[Resource | None]:
        """Return *resource* as it is now, None if what the cache said no longer holds."""
        try:
            live = yield from self._ports.resources.get(resource.key)
        except NotFound:
            return None
        return live if live.entered == resource.entered else None

    def bury_all(self, key: Key, entries: Entries, turn: Turn) -> Effect[None]:
        """Close what is unfinished of a resource that is gone, and forget all."""
        yield from self.bury((yield from self._all(key, entries)), turn)

    def bury(self, entries: Sequence[Entry], turn: Turn) -> Effect[None]:
        """Close what is unfinished of *entries*, and forget them."""
        for entry in entries:
            if isinstance(entry, Run) and not entry.is_final:
                yield from self.stop(entry, turn, GONE)
            yield from self._forget(entry, turn)

    def stop(
        self, run: Run, turn: Turn, stop: Stop, adoption: Adoption | None = None
    ) -> Effect[None]:
        """Interrupt *run* where it stands."""
        index = run.first_open()
        yield from self._runner.interrupt(run, index, turn, stop, adoption)

    def _all(self, key: Key, entries: Entries) -> Effect[Entries]:
        """Return all that is kept of the resource, of which *entries* may be the end."""
        if self.since.pop(key, None) is None:
            return entries
        return (yield from self._runs.entries(key))

    def _forget(self, entry: Entry, turn: Turn) -> Effect[None]:
        yield from self._runs.remove(entry.resource, entry.key, turn.token)


def only_run(resource: Resource, entries: Entries) -> list[Run] | None:
    """Return the runs of *resource* if there is nothing to sort out, as nearly always."""
    runs = [run for run in entries if isinstance(run, Run)]
    own = len(entries) < 2 and (not runs or runs[0].owner in ("", resource.uid))
    return runs if own else None


def newest_number(entries: Entries) -> int:
    """Return the highest number in the keys of *entries*, of which there is one or more.

    It is 0 if none has a number.  Such a key stands before all that have one.
    """
    return number_of(entries[-1].key)
