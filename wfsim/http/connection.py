"""Connections that end when no whole request comes: half-open ones are not kept.

uvicorn ends a connection that is idle between two requests, but waits for ever for the
first request and for the rest of a head that has begun.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Real seconds that a client has, from connecting or from the last answer, to send the
head of a request.  Its body has a limit of its own, in the guard."""
MOST = 200
"""How many connections may be open; of those that wait for a head the oldest makes room.

Together with the backlog that is less than the files that a process may have open."""


class Connection(H11Protocol):
    """A connection with a limit of time for each request's head."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request; with too many others the oldest that waits ends."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST:
            waiting = [
                each
                for each in self.connections
                if isinstance(each, Connection) and each._timer is not None
            ]
            min(waiting, key=Connection._deadline)._end()

    def data_received(self, data: bytes) -> None:
        """Take in *data*; the wait is over when a request's head is whole."""
        super().data_received(data)
        if self._is_busy():
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if not (self._is_busy() or self.transport.is_closing()):
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_busy(self) -> bool:
        """Whether a request is being answered."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _deadline(self) -> float:
        assert self._timer is not None
        return self._timer.when()

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._end)

    def _end(self) -> None:
        self._stop_waiting()
        self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
