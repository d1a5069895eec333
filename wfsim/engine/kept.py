"""Which of the runs that a store keeps of a resource are its own, and still count."""

from __future__ import annotations

from collections.abc import Sequence

from wfsim.engine.ports import Effect
from wfsim.engine.runner import FlowRunner, Stop
from wfsim.engine.turn import Ports, Turn
from wfsim.errors import NotFound
from wfsim.model import memento as reasons
from wfsim.model.memento import Quarantined, number_of
from wfsim.model.resource import Key, Resource
from wfsim.model.run import Adoption, Cause, Run, Supersede

Entry = Run | Quarantined
Entries = list[Entry]

GONE = Stop(reasons.CANCELLED, "the resource is gone", Cause.GONE)


class KeptRuns:
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
