"""The server: a socket, the service behind it, and how both come to an end."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from threading import Thread
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from wfsim.errors import UsageError
from wfsim.sim.scenario import Scenario

if TYPE_CHECKING:
    import uvicorn

GRACE = 5
"""Real seconds that requests under way are given when the server stops."""
BACKLOG = 100
"""How many connections may wait to be accepted; they are accepted all at once."""


class Server:
    """The service of *scenario* over HTTP, at `url`, from now until it is closed.

    One second of virtual time takes *factor* real seconds.  With *db*, the name of an
    SQLite file, whatever was answered outlives the process; a file that another server
    has is refused, or taken from it with *take_over*.  With a *token*, only requests
    that carry it are let in; without, only those under a name of this machine.  *port*
    0 is any that is free.  It listens once the file has been read.  A context manager::

        with wfsim.Server(scenario) as server:
            urllib.request.urlopen(f"{server.url}/api/v1/workflow/")

    Raises `UsageError` if it cannot listen there, for a scenario without a service, for
    a file that is served, and if FastAPI or uvicorn is not installed; `DefinitionError`
    for a bad file.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        db: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        factor: float = 1.0,
        seed: int = 0,
        take_over: bool = False,
    ) -> None:
        try:
            import uvicorn

            from wfsim.http.app import application
            from wfsim.http.guard import Connection
        except ImportError as error:
            raise UsageError(
                f"serving over HTTP needs {error.name}: pip install 'wfsim-lab[http]'"
            ) from None
        from wfsim.http.live import LiveService

        self._socket = _bound(host, port)
        try:
            self._service = LiveService(
                scenario,
                factor=factor,
                seed=seed,
                db=db,
                take_over=take_over,
                on_end=self._stop,
            )
            try:
                _listen(self._socket, host, port)
            except BaseException:
                self._service.close()
                raise
        except BaseException:
            self._socket.close()
            raise
        config = uvicorn.Config(
            application(self._service, token=token, title=scenario.title, host=host),
            http=Connection,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = uvicorn.Server(config)
        self._thread: Thread | None = None
        self.url = f"http://{_netloc(self._socket)}"

    _server: uvicorn.Server | None = None

    def __repr__(self) -> str:
        return f"<Server {self.url}>"

    def __enter__(self) -> Self:
        """Serve in a thread of its own."""
        self._thread = Thread(target=self._run, name="wfsim http", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and let go of the file."""
        self.close()

    def run(self) -> None:
        """Serve in the main thread until SIGTERM or SIGINT; then let go of the file.

        Raises what the service failed with, if it did.
        """
        before = {
            number: signal.signal(number, self._signalled)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.close()
        if self._service.failure is not None:
            raise self._service.failure

    def close(self) -> None:
        """Answer what is under way, stop, and let go of the file."""
        self._stop()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()
        self._service.close()

    def _run(self) -> None:
        assert self._server is not None
        self._server.run(sockets=[self._socket])

    def _stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._stop()


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that has its address, but does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, since asyncio sends small answers at once for what it knows to be TCP only.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _listen(listener: socket.socket, host: str, port: int) -> None:
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None


def _cannot_listen(host: str, port: int, error: OSError) -> UsageError:
    return UsageError(f"{host}, port {port}: {error.strerror or error}; give another one")


def _netloc(listener: socket.socket) -> str:
    address: Any = listener.getsockname()
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
