"""A service on the wall clock: one thread owns it, and whoever asks hands a request over.

The thread sleeps until the next event of its clock is due, or until it is asked; so
nothing is polled, and a request is answered at once, whatever the clock waits for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

from wfsim.errors import UsageError
from wfsim.sim.clock import WallClock
from wfsim.sim.database import Lost
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation

NAP = 3600.0
"""The longest that is slept at once, in real seconds: some platforms allow no more."""
RECORDS = 10_000
"""How many records are kept at most: nobody reads them, and a service may live long."""


class _Request(NamedTuple):
    operation: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    answer: Future[Any]


class Gone(UsageError):
    """The service takes no requests any more."""


class LiveService:
    """The service of *scenario*, going on by itself and taking requests meanwhile.

    One second of virtual time takes *factor* real seconds; it goes on beyond the
    scenario's horizon.  With *db* it is durable as a `Simulation` is: what `ask` has
    answered is in the file.  *on_end* is called, in its thread, if it fails.

    Raises `UsageError` for a scenario of resources, `DefinitionError` for a bad file.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        factor: float = 1.0,
        seed: int = 0,
        db: str | Path | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        if not scenario.is_service:
            raise UsageError(
                f"{scenario.title}: a scenario of resources has no service; give one of "
                "flows alone"
            )
        if not 0.0 < factor < math.inf:
            raise UsageError(f"factor is {factor!r}; give real seconds above 0")
        self._clock = WallClock(factor)
        self._simulation = Simulation(scenario, seed=seed, clock=self._clock, db=db)
        self._inbox: SimpleQueue[_Request | None] = SimpleQueue()
        self._door = Lock()
        self._open = True
        self._on_end = on_end
        self.failure: BaseException | None = None
        self._thread = Thread(target=self._live, name="wfsim service", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        state = "open" if self._open else "closed"
        return f"<LiveService {self._simulation.scenario.title}, {state}>"

    def ask(self, operation: str, *args: Any, **keywords: Any) -> Future[Any]:
        """Have the method *operation* of `WorkflowService` called; return what comes.

        Or ``begin`` of `SimulatedService`, which asks as a flow's caller does.  The
        answer or the exception is there once all that was written is kept; it is `Lost`
        if somebody else has opened the file, since what is here may be of the past.
        Raises `Gone` if it is closed, or has failed.
        """
        request = _Request(operation, args, keywords, Future())
        with self._door:
            if not self._open:
                raise self._gone()
            self._inbox.put(request)
        return request.answer

    def close(self) -> None:
        """Stop after the event under way; what is in the file goes on another time."""
        with self._door:
            self._open = False
            self._inbox.put(None)
        self._thread.join()
        if self._simulation.database is not None:
            self._simulation.database.close()

    def _gone(self) -> Gone:
        why = "is closed" if self.failure is None else f"has failed: {self.failure}"
        return Gone(f"the service {why}; start another one")

    def _live(self) -> None:
        simulation = self._simulation
        try:
            simulation._begin()
            with simulation._whole_events():
                while self._go_on():
                    pass
        except BaseException as error:
            # Nobody waits for this thread; whoever asks is told, and so is the owner.
            self.failure = error
            self._on_end()
        finally:
            self._refuse()

    def _go_on(self) -> bool:
        """Take a request, or let one event happen; False when it is time to stop."""
        wait = min(self._clock.ahead(), NAP)
        try:
            request = self._inbox.get(wait > 0.0, wait or None)
        except Empty:
            # A nap may have been cut short; then there is nothing to do yet.
            if self._clock.ahead() <= 0.0:
                self._simulation._advance(math.inf)
                self._forget()
            return True
        if request is not None:
            self._take(request)
        return request is not None

    def _forget(self) -> None:
        if len(self._simulation.log) > RECORDS:
            self._simulation.journal.clear()

    def _take(self, request: _Request) -> None:
        operation, args, keywords, answer = request
        if not answer.set_running_or_notify_cancel():
            return
        self._clock.catch_up()
        file = self._simulation.database
        try:
            if file is not None:
                file.check()
            if operation == "begin":
                found = self._begin(*args)
            else:
                found = self._simulation.look(operation, *args, **keywords)
        except Lost as error:
            answer.set_exception(error)
            raise
        except Exception as error:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def _begin(self, *args: Any) -> Any:
        """Ask as a caller does, all in one commit, of which no crash leaves half."""
        file = self._simulation.database
        with nullcontext() if file is None else file.together():
            return self._simulation.service.begin(*args)

    def _refuse(self) -> None:
        """Answer those who wait that nobody will take their request."""
        with self._door:
            self._open = False
        while True:
            try:
                request = self._inbox.get_nowait()
            except Empty:
                return
            if request is not None and request.answer.set_running_or_notify_cancel():
                request.answer.set_exception(self._gone())


__all__ = ["Gone", "LiveService"]
