"""Bring one resource one move nearer to where it should be.

A pass acts on the state it reads, never on the event that woke it.  The memento is
the truth and is written first; the resource is brought into line with it by the same
pass, or by the next one if the controller died in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from wfsim.engine.ports import Effect
from wfsim.engine.runner import FlowRunner, Ports, Turn, describe
from wfsim.engine.steps import StepContext, as_effect, rewrite
from wfsim.errors import NotFound
from wfsim.model import memento as reasons
from wfsim.model.flow import Flow, Step
from wfsim.model.frozen import EMPTY
from wfsim.model.machine import Action, Event, StateMachine, did_you_mean
from wfsim.model.memento import Memento, Quarantined, RunStatus
from wfsim.model.record import Kind
from wfsim.model.resource import INTERRUPT, PREVIOUS, RUNNING, Key, Resource

Migration = Callable[[Memento, Flow], Memento]


class Result(NamedTuple):
    """When to look again: after so many seconds, or (None) when something changes."""

    after: float | None = None


_DONE = Result()
_CLOSED = (RunStatus.COMPLETED, RunStatus.SUPERSEDED)


class FlowReconciler:
    """One pass over one resource, as this table; the first row that applies is done.

    ====================================== =========================================
    the resource is gone                   close its unfinished run, forget its runs
    it is being deleted                    close its unfinished run, finalize
    its newest run ended, it shows nothing write the state that the run led to
    it is interrupted, recovery asked for  make the run runnable, then go back
    it has an unfinished run               carry it on (or supersede it)
    it is in a stable state                ask the checks, move
    it is in an unstable state             ask the check again, begin a run
    ====================================== =========================================
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
        self._mementos = ports.mementos
        self._machines = machines
        self._flows = flows
        self._migrations = migrations
        self._runner = FlowRunner(ports)
        self._again = Result(ports.policy.redrive.delay)

    def reconcile(self, key: Key, turn: Turn) -> Effect[Result]:
        """Make the next move of the resource, holding the lease of *turn*."""
        entries = yield from self._mementos.entries(key)
        try:
            resource = yield from self._resources.cached(key)
        except NotFound:
            return (yield from self._bury(entries, turn))
        machine = self._machines[key.kind]
        runs = yield from self._own_runs(resource, entries, turn)
        newest = runs[-1] if runs else None
        if resource.deleted is not None:
            return (yield from self._finalize(resource, newest, machine, turn))
        if newest is not None and newest.is_final:
            settled = yield from self._settle(resource, newest, machine, turn)
            if settled:
                return _DONE
        if resource.state == INTERRUPT and resource.wants_recovery:
            return (yield from self._recover(resource, newest, machine, turn))
        if newest is not None and not newest.is_final and resource.state != INTERRUPT:
            action = machine.action(resource.state)
            if not (action and action.ignore_unfinished and action.flow != newest.flow):
                return (yield from self._carry_on(resource, runs, machine, turn))
            yield from self._supersede(runs, turn)
        if machine.is_stable(resource.state):
            return (yield from self._translate(resource, machine, turn))
        number = max((_number(entry) for entry in entries), default=0) + 1
        return (yield from self._enter(resource, number, machine, turn))

    def _own_runs(
        self, resource: Resource, entries: list[Memento | Quarantined], turn: Turn
    ) -> Effect[list[Memento]]:
        """Return the readable runs of *resource*, oldest first.

        Those of a dead namesake are forgotten, and finished ones past the retention.
        """
        runs = []
        for entry in entries:
            if isinstance(entry, Quarantined):
                continue
            if entry.owner and entry.owner != resource.uid:
                yield from self._forget(entry, turn)
            else:
                runs.append(entry)
        keep = self._ports.policy.retention
        spare = 0 if keep is None else max(len(runs) - max(keep, 1), 0)
        for run in [run for run in runs[:spare] if run.is_final]:
            yield from self._forget(run, turn)
            runs.remove(run)
        return runs

    def _settle(
        self, resource: Resource, run: Memento, machine: StateMachine, turn: Turn
    ) -> Effect[bool]:
        """Write the state that the ended *run* led to, unless it shows already."""
        if run.entered != resource.entered:
            return False
        if run.status is RunStatus.INTERRUPTED:
            moved = resource.interrupt(run.reason, run.error)
        else:
            action = machine.action(resource.state)
            if run.status is not RunStatus.COMPLETED or action is None:
                return False
            if action.flow != run.flow:
                return False
            moved = resource.move(action.then, run.flow)

        def change(live: Resource) -> Resource:
            if live.entered != resource.entered:
                return live
            if run.status is RunStatus.INTERRUPTED:
                return live.interrupt(run.reason, run.error)
            return live.move(moved.state, moved.event)

        yield from rewrite(self._resources, resource.key, change, turn.token)
        return True

    def _recover(
        self, resource: Resource, run: Memento | None, machine: StateMachine, turn: Turn
    ) -> Effect[Result]:
        """Go back from `INTERRUPT`: the memento first, then the resource.

        Dying in between leaves the request standing, so the next pass repeats this.
        """
        live = yield from self._resources.get(resource.key)
        if live.state != INTERRUPT or not live.wants_recovery:
            return _DONE
        previous = live.annotations.get(PREVIOUS) or RUNNING
        if run is not None and run.status not in _CLOSED:
            flow = self._flows.get(run.flow)
            from_first = flow is not None and flow.recover_from_first_step
            limit = self._deadline(flow)
            yield from self._runner.commit(run.recover(from_first, limit), turn)
            if PREVIOUS not in live.annotations:
                previous = machine.state_running(run.flow) or RUNNING
        back = live.recover(previous)
        yield from self._resources.update(back, turn.token)
        return _DONE

    def _carry_on(
        self, resource: Resource, runs: list[Memento], machine: StateMachine, turn: Turn
    ) -> Effect[Result]:
        """Resume the newest run; older unfinished ones can only be in its way."""
        run = runs[-1]
        live = yield from self._live(resource)
        if live is None:
            return self._again
        resource = live
        yield from self._supersede(runs[:-1], turn)
        now = self._clock.now
        if run.status is RunStatus.FAILED and run.wake is not None and run.wake > now:
            if not resource.cancelled:
                return Result(run.wake - now)
        resumed = run.resume(resource.entered, run.digest, resource.uid)
        flow = self._flows.get(run.flow)
        if flow is None:
            reason = reasons.UNKNOWN_FLOW
            text = f"no flow {run.flow!r}{did_you_mean(run.flow, self._flows)}"
        else:
            resumed, problem = self._migrated(resumed, flow)
            reason, text = reasons.DEFINITION_CHANGED, problem
        if flow is None or text:
            index = run.first_open()
            resumed = yield from self._runner.interrupt(
                resumed, index, turn, reason, text
            )
        else:
            self._runner.tell("on_run_init", resumed)
            resumed = yield from self._runner.run(resumed, flow, turn)
        return (yield from self._finish(resource, resumed, machine, turn))

    def _migrated(self, run: Memento, flow: Flow) -> tuple[Memento, str]:
        """Return *run* fit for *flow*, or what does not fit."""
        names = tuple(step.name for step in run.steps)
        if run.digest in ("", flow.digest) and names == flow.names:
            return run._replace(digest=flow.digest), ""
        migrate = self._migrations.get(flow.name)
        if migrate is None:
            return run, (
                f"the run began with the steps {', '.join(names)}; the flow now has "
                f"{', '.join(flow.names)} (digest {flow.digest}); give a migration"
            )
        return migrate(run, flow)._replace(digest=flow.digest), ""

    def _finish(
        self, resource: Resource, run: Memento, machine: StateMachine, turn: Turn
    ) -> Effect[Result]:
        if run.is_final:
            try:
                resource = yield from self._resources.get(resource.key)
            except NotFound:
                return Result(0.0)
            settled = yield from self._settle(resource, run, machine, turn)
            return _DONE if settled else Result(0.0)
        return _DONE if run.wake is None else Result(max(run.wake - self._clock.now, 0.0))

    def _translate(
        self, resource: Resource, machine: StateMachine, turn: Turn
    ) -> Effect[Result]:
        """Move to where the first check that has an event says; failed checks are told."""
        failed = False
        for transition, answer in machine.events(resource):
            if isinstance(answer, Event):
                moved = resource.move(transition.target, answer.name)
                yield from self._resources.update(moved, turn.token)
                return _DONE
            failed = True
            self._note_check(resource, transition.check, answer)
        return self._again if failed else _DONE

    def _enter(
        self, resource: Resource, number: int, machine: StateMachine, turn: Turn
    ) -> Effect[Result]:
        """Begin a run in an unstable state, if there still is a reason to."""
        action = machine.action(resource.state)
        if action is None:
            known = [*machine.stable_states, *machine.actions]
            text = f"state {resource.state!r} is not registered"
            text += did_you_mean(resource.state, known)
            self._ports.journal.note(
                Kind.PASS_FAILED, resource=str(resource.key), text=text
            )
            return _DONE
        if resource.cancelled:
            moved = resource.interrupt(reasons.CANCELLED, "cancelled before it began")
            yield from self._resources.update(moved, turn.token)
            return _DONE
        try:
            event = machine.entry(resource)
        except Exception as error:
            self._note_check(resource, action.check, error)
            return self._again
        if event is None:
            yield from self._resources.update(
                resource.move(RUNNING, "no event"), turn.token
            )
            return _DONE
        return (yield from self._begin(resource, number, action, event, machine, turn))

    def _begin(
        self,
        resource: Resource,
        number: int,
        action: Action,
        event: Event,
        machine: StateMachine,
        turn: Turn,
    ) -> Effect[Result]:
        if (yield from self._live(resource)) is None:
            return self._again
        flow = self._flows[action.flow]
        run = Memento.new(
            number,
            flow,
            resource.key,
            now=self._clock.now,
            params=event.params,
            entered=resource.entered,
            owner=resource.uid,
            deadline=self._deadline(flow),
        )
        yield from self._runner.commit(run, turn)
        self._runner.tell("on_run_init", run)
        run = yield from self._runner.run(run, flow, turn)
        return (yield from self._finish(resource, run, machine, turn))

    def _finalize(
        self, resource: Resource, run: Memento | None, machine: StateMachine, turn: Turn
    ) -> Effect[Result]:
        """Close what runs, release what each finalizer holds, let the resource go."""
        if run is not None and not run.is_final:
            yield from self._close(run, turn)
        for name in resource.finalizers:
            release = machine.finalizers.get(name)
            if release is not None:
                yield from as_effect(release)(self._release_context(resource, name, turn))

            def without(live: Resource, gone: str = name) -> Resource:
                kept = tuple(item for item in live.finalizers if item != gone)
                return live._replace(finalizers=kept)

            yield from rewrite(self._resources, resource.key, without, turn.token)
        return _DONE

    def _release_context(self, resource: Resource, name: str, turn: Turn) -> StepContext:
        ports = self._ports
        return StepContext(
            ports.clock,
            resource,
            EMPTY,
            1,
            "",
            "",
            Step(name),
            ports.world,
            ports.resources,
            ports.journal,
            ports.draws,
            turn.token,
        )

    def _bury(self, entries: list[Memento | Quarantined], turn: Turn) -> Effect[Result]:
        for entry in entries:
            if isinstance(entry, Memento) and not entry.is_final:
                yield from self._close(entry, turn)
            yield from self._forget(entry, turn)
        return _DONE

    def _close(self, run: Memento, turn: Turn) -> Effect[None]:
        yield from self._runner.interrupt(
            run, run.first_open(), turn, reasons.CANCELLED, "the resource is gone"
        )

    def _supersede(self, runs: list[Memento], turn: Turn) -> Effect[None]:
        for run in runs:
            if not run.is_final:
                yield from self._runner.commit(run.supersede(self._clock.now), turn)

    def _forget(self, entry: Memento | Quarantined, turn: Turn) -> Effect[None]:
        yield from self._mementos.remove(entry.resource, entry.key, turn.token)

    def _live(self, resource: Resource) -> Effect[Resource | None]:
        """Return *resource* as it is now, None if what the cache said no longer holds.

        Whatever a run does is based on the live object; a lagging cache only delays.
        """
        try:
            live = yield from self._resources.get(resource.key)
        except NotFound:
            return None
        return live if live.entered == resource.entered else None

    def _deadline(self, flow: Flow | None) -> float | None:
        limit = (flow and flow.deadline) or self._ports.policy.deadline
        return None if limit is None else self._clock.now + limit

    def _note_check(self, resource: Resource, check: object, error: Exception) -> None:
        name = getattr(check, "__name__", type(check).__name__)
        self._ports.journal.note(
            Kind.CHECK_FAILED,
            resource=str(resource.key),
            text=f"{name}: {describe(error)}",
        )


def _number(entry: Memento | Quarantined) -> int:
    """Return the number in the key of *entry*; 0 if its key is part of what is wrong."""
    number = entry.key.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


__all__ = ["FlowReconciler", "Migration", "Result"]
