"""The guard at the door: who may ask, under what name, how large a body, for how long.

uvicorn ends a connection that is idle between two requests, but waits for ever for the
first request and for the rest of a head that has begun: half-open ones are not kept here.
"""

from __future__ import annotations

import asyncio
import socket
from hmac import compare_digest
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.h11_impl import H11Protocol

from wfsim.errors import FORBIDDEN, PARAMETER_INVALID, UNAUTHORIZED, ServiceError
from wfsim.http.messages import LONGEST, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi.responses import JSONResponse
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 64 * 1024
"""How many bytes a body may have."""
BODY_SECONDS = 10.0
"""Real seconds that a client has to send its body."""


class Guard:
    """Lets a request through to *app* if its sender, its host and its body are allowed.

    With a *token* the paths that begin with one of *protected* need it as a bearer.
    Without one only the names of this machine are allowed as ``Host``: else a page in a
    browser could ask through a name of its own that leads here (DNS rebinding).  *host*
    is the name at which the server listens.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, protected: Iterable[str], host: str = ""
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._protected = tuple(protected)
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or let it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope)
        if answer is None:
            try:
                body = await asyncio.wait_for(_body(scope, receive), BODY_SECONDS)
            except ClientDisconnect:
                # Half a request is none, even if it looks like a whole one.
                return
            except TimeoutError:
                text = f"the body has not come within {BODY_SECONDS:g} s"
                answer = refusal(ServiceError(PARAMETER_INVALID, text), 408, _CLOSE)
            else:
                if body is not None:
                    await self._answer(scope, _BufferedBody(body, receive), send)
                    return
                text = f"the body has more than {LARGEST} bytes"
                answer = refusal(ServiceError(PARAMETER_INVALID, text), 413)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # HEAD is GET without the body, which the server leaves out: it has its own scope.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        inner = {**scope, "method": method}
        try:
            await self._app(inner, receive, send)
        finally:
            # Who looks from outside wants to know the route.
            scope.update({key: inner[key] for key in _ROUTE if key in inner})

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if not self._token:
            host = _header(scope, b"host").decode(errors="replace")
            if self._is_own(host, scope):
                return None
            text = (
                f"{host[:LONGEST]!r} is no name of this machine; use localhost, or begin "
                "the server with a token"
            )
            return refusal(ServiceError(FORBIDDEN, text))
        if not scope["path"].startswith(self._protected):
            return None
        scheme, _, token = _header(scope, b"authorization").partition(b" ")
        # All of it is compared, so that the time it takes tells nothing.
        if compare_digest(token, self._token) and scheme.lower() == b"bearer":
            return None
        error = ServiceError(UNAUTHORIZED, "give the token as a bearer")
        return refusal(error, headers={"WWW-Authenticate": "Bearer"})

    def _is_own(self, host: str, scope: Scope) -> bool:
        """Whether *host*, with or without a port, is a name of this machine."""
        name = _without_port(host).lower().removesuffix(".")
        if not name or name in self._names:
            return bool(name)
        # Where the connection came in: an address of this machine.
        server = scope.get("server")
        if server is not None and name == server[0].partition("%")[0]:
            return True
        try:
            return ip_address(name).is_loopback
        except ValueError:
            return False


_CLOSE = {"Connection": "close"}
_ROUTE = ("route", "path_params")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


class _BufferedBody:
    """Receives a body that was read already, then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the whole body, None if it is too large; no more than that is kept."""
    length = _header(scope, b"content-length")
    if length.isdigit() and int(length[:20]) > LARGEST:
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        body += part
        if len(body) > LARGEST:
            return None
        if not message.get("more_body", False):
            return body


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


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
