"""A service on the wall clock: one thread owns it and takes the requests of all others.

The thread sleeps until the next event of its clock is due or a request arrives: nothing
is polled, and a request is answered at once, whatever the clock waits for.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple
from weakref import finalize

from wfsim.engine.service import KIND
from wfsim.errors import DefinitionError, UsageError
from wfsim.sim.clock import WallClock
from wfsim.sim.scenario import Scenario
from wfsim.sim.simulation import Simulation
from wfsim.sim.sqlite import Lost

LONGEST_SLEEP = 3600.0
"""The longest single sleep, in real seconds: some platforms allow no more."""
RECORDS = 10_000
"""How many records are kept at most: nobody reads them, and a service may live long."""


class _Request(NamedTuple):
    operation: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    answer: Future[Any]


class ServiceClosed(UsageError):
    """The service takes no requests any more."""


class FlowCounts(NamedTuple):
    """How many flows and nodes there are by what they are and by their status.

    Keys of *flows* are (business type, flow, status), those of *nodes* are (business
    type, flow, node, status).
    """

    flows: Counter[tuple[str, str, str]]
    nodes: Counter[tuple[str, str, str, str]]


class LiveService:
    """The service of *scenario*, going on by itself and taking requests meanwhile.

    One second of virtual time takes *factor* real seconds; it goes on beyond the
    scenario's horizon.  With *db* it is durable as a `Simulation` is: what `ask` has
    answered is in the file, which is locked against other services until this one is
    closed or its process dies.  With *take_over* the file is taken from whoever serves
    it.  *on_end* is called, in the service's thread, if it fails.

    Returns when the file has been read.  Raises `UsageError` for a scenario of
    resources and for a file that is served already, `DefinitionError` for a bad file.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        factor: float = 1.0,
        seed: int = 0,
        db: str | Path | None = None,
        take_over: bool = False,
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
        self._lock = None if db is None else FileLock(db, take_over=take_over)
        self._inbox: SimpleQueue[_Request | None] = SimpleQueue()
        self._door = Lock()
        self._open = True
        self._on_end = on_end
        self.failure: BaseException | None = None
        with self._released_on_error():
            self._simulation = Simulation(scenario, seed=seed, clock=self._clock, db=db)
            with self._closed_on_error():
                # Here, not in the thread: a world that cannot be read is an error now.
                self._simulation.begin()
        self._thread = Thread(target=self._live, name="wfsim service", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        state = "open" if self._open else "closed"
        return f"<LiveService {self._simulation.scenario.title}, {state}>"

    def ask(self, operation: str, *args: Any, **keywords: Any) -> Future[Any]:
        """Return the future result of the method *operation* of `WorkflowService`.

        Or of ``begin`` of `SimulatedService`, which creates and starts a flow as its
        caller does, or of ``count``, a `FlowCounts`.  The result or the exception is
        there once all that was written is kept; it is `Lost` if somebody else has
        opened the file, since what is in memory may be of the past.  Raises
        `ServiceClosed` if the service is closed or has failed.
        """
        request = _Request(operation, args, keywords, Future())
        with self._door:
            if not self._open:
                raise self._closed()
            self._inbox.put(request)
        return request.answer

    def close(self) -> None:
        """Stop after the event under way; what is in the file goes on another time."""
        with self._door:
            self._open = False
            self._inbox.put(None)
        self._thread.join()
        self._close_file()
        self._release_lock()

    def _close_file(self) -> None:
        if self._simulation.database is not None:
            self._simulation.database.close()

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._close_file()
            raise

    @contextmanager
    def _released_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._release_lock()
            raise

    def _closed(self) -> ServiceClosed:
        why = "is closed" if self.failure is None else f"has failed: {self.failure}"
        return ServiceClosed(f"the service {why}; start another one")

    def _live(self) -> None:
        simulation = self._simulation
        try:
            with simulation.whole_events():
                while self._go_on():
                    pass
        except BaseException as error:
            # Nobody waits for this thread: the futures and the owner get the error.
            self.failure = error
            self._on_end()
        finally:
            self._refuse_waiting()

    def _go_on(self) -> bool:
        """Take a request, or let one event happen; False when it is time to stop."""
        wait = min(self._clock.ahead(), LONGEST_SLEEP)
        try:
            request = self._inbox.get(wait > 0.0, wait or None)
        except Empty:
            # A sleep may have been cut short; then no event is due yet.
            if self._clock.ahead() <= 0.0:
                self._simulation.advance(math.inf)
                self._forget()
            return True
        if request is not None:
            self._answer(request)
        return request is not None

    def _forget(self) -> None:
        if len(self._simulation.log) > RECORDS:
            self._simulation.journal.clear()

    def _answer(self, request: _Request) -> None:
        operation, args, keywords, answer = request
        if not answer.set_running_or_notify_cancel():
            return
        self._clock.catch_up()
        file = self._simulation.database
        try:
            if file is not None:
                file.check()
            if operation == "begin":
                result = self._begin_flow(*args)
            elif operation == "count":
                result = self._count()
            else:
                result = self._simulation.look(operation, *args, **keywords)
        except Lost as error:
            answer.set_exception(error)
            raise
        except Exception as error:
            answer.set_exception(error)
        else:
            answer.set_result(result)

    def _begin_flow(self, *args: Any) -> Any:
        """Begin a flow as its caller does, in one commit: no crash leaves half of it."""
        file = self._simulation.database
        with nullcontext() if file is None else file.together():
            return self._simulation.service.begin(*args)

    def _count(self) -> FlowCounts:
        """Count all flows, of all tenants, and the nodes of their newest runs."""
        counts = FlowCounts(Counter(), Counter())
        keys = self._simulation.resources.keys()
        for key in keys:
            if key.kind != KIND:
                continue
            detail = self._simulation.look("detail", key.name, tenant=key.namespace)
            flow = (detail.info.biz_type, detail.info.name)
            counts.flows[*flow, detail.status.value] += 1
            for node in detail.nodes:
                counts.nodes[*flow, node.name, node.status.value] += 1
        return counts

    def _refuse_waiting(self) -> None:
        """Answer the requests that wait: nobody will take them."""
        with self._door:
            self._open = False
        while True:
            try:
                request = self._inbox.get_nowait()
            except Empty:
                return
            if request is not None and request.answer.set_running_or_notify_cancel():
                request.answer.set_exception(self._closed())


class FileLock:
    """The right to serve the SQLite file *db*: a lock of the system on a file beside it.

    The system gives it back when the process ends, however it ends.  *take_over* puts a
    new file in the place of the locked one, so that the old lock is on a file that
    nobody finds.  The locked file says which process holds it.

    Raises `UsageError` if another service holds it, `DefinitionError` if there can be no
    such file.  Windows has no such lock: there the newest service takes the file.
    """

    def __init__(self, db: str | Path, *, take_over: bool = False) -> None:
        # Of the file itself, by whatever link it is named.
        path = Path(db).resolve()
        self.path = path.with_name(f"{path.name}.lock")
        try:
            self._file = self._taken_over() if take_over else self._acquired()
        except OSError as error:
            if not path.parent.is_dir():
                raise DefinitionError(
                    f"{path}: there is no folder {path.parent}; make it, or give another "
                    "file"
                ) from None
            text = f"{self.path}: {error.strerror or error}; give another file"
            raise DefinitionError(text) from error
        self._release = finalize(self, os.close, self._file)

    def release(self) -> None:
        """Release the file for others to serve; a second call does nothing."""
        self._release()

    def _acquired(self) -> int:
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not _locked(file):
                holder = os.read(file, 20).decode(errors="replace").strip()
                os.close(file)
                raise UsageError(
                    f"{self.path.with_suffix('')} is served by another process"
                    f"{f' ({holder})' if holder else ''}; stop it, give another file, or "
                    "take the file from it with --take-over (Server(take_over=True))"
                )
            try:
                # Somebody who took over has put another file there meanwhile.
                current = os.path.samestat(os.fstat(file), os.stat(self.path))
            except FileNotFoundError:
                current = False
            if current:
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
                return file
            os.close(file)

    def _taken_over(self) -> int:
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        _locked(file)
        os.write(file, f"{os.getpid()}\n".encode())
        os.replace(draft, self.path)
        return file


def _locked(file: int) -> bool:
    """Lock the open *file*; False if somebody else has."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


__all__ = ["FileLock", "FlowCounts", "LiveService", "ServiceClosed"]
