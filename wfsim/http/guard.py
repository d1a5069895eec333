"""The guard at the door: nobody comes in without the token, or with too large a body."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from wfsim.engine.service_errors import PARAMETER_INVALID, ServiceError
from wfsim.http.messages import refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNAUTHORIZED = 70600
LARGEST = 64 * 1024
"""How many bytes a body may have."""


class Guard:
    """Lets a request through to *app* if it has the *token* and a body within bounds.

    Without a token everybody may ask.  What is outside *inside* needs none.
    """

    def __init__(self, app: ASGIApp, *, token: str, inside: str) -> None:
        self._app = app
        self._token = token.encode()
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or let it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._token and scope["path"].startswith(self._inside):
            given = _header(scope, b"authorization")
            scheme, _, token = given.partition(b" ")
            # All of it is compared, so that the time it takes tells nothing.
            if not compare_digest(token, self._token) or scheme.lower() != b"bearer":
                error = ServiceError(UNAUTHORIZED, "give the token as a bearer")
                answer = refusal(error, headers={"WWW-Authenticate": "Bearer"})
                await answer(scope, receive, send)
                return
        try:
            body = await _body(scope, receive)
        except ClientDisconnect:
            # Half a request is none, even if it looks like a whole one.
            return
        if body is None:
            text = f"the body has more than {LARGEST} bytes"
            answer = refusal(ServiceError(PARAMETER_INVALID, text), 413)
            await answer(scope, receive, send)
            return
        await self._app(scope, _Again(body, receive), send)


class _Again:
    """Gives a body that was read already, then what comes after it."""

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
    told = _header(scope, b"content-length")
    if told.isdigit() and int(told[:20]) > LARGEST:
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
