"""Make a transition of a run durable, however well the store answers."""

from __future__ import annotations

from wfsim.engine.ports import Effect, Nothing
from wfsim.engine.turn import Ports, Turn
from wfsim.errors import Conflict, Unavailable
from wfsim.model.memento import Memento


class Committer:
    """Writes mementos; every transition passes here, and nothing else does."""

    def __init__(self, ports: Ports) -> None:
        self._clock = ports.clock
        self._save = ports.mementos.save
        self._delay = ports.policy.redrive

    def commit(self, run: Memento, turn: Turn) -> Nothing:
        """Make *run* durable.

        A store that does not answer well is asked again: a memento is a whole value,
        so writing it twice is writing it once.
        """
        # No generator where the store takes no time: a tenth of the calls of a step.
        try:
            written = self._save(run, turn.token)
        except (Unavailable, Conflict) as error:
            written = _failing(error)
        return self._insist(written, run, turn) if written else ()

    def _insist(self, written: Nothing, run: Memento, turn: Turn) -> Effect[None]:
        """Wait until *run* is *written*, and write it again if that fails."""
        for failures in range(1, self._delay.limit + 1):
            try:
                yield from written
                return
            except (Unavailable, Conflict):
                yield self._clock.timeout(self._delay.after(failures))
            try:
                written = self._save(run, turn.token)
            except (Unavailable, Conflict) as error:
                written = _failing(error)
        yield from written


def _failing(error: Exception) -> Effect[None]:
    """Return the write that fails with *error*."""
    raise error
    yield
