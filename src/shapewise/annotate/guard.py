"""Who may talk to the server: pages of its own that know the token, and nobody else."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shapewise.annotate.schema import LARGEST_BODY

POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Stands before the application, and lets through what is meant for it.

    A page of another origin, and a name that was made to point at this machine, are refused; what lies under
    ``/api`` wants the token in a header, which no other page can send; a body that is too long is not read.

    Args:
        app: what is guarded.
        token: what a page has to know.
        names: host names that the server answers to, in lower case as browsers send them.
        port: its port.
        addresses: whether to answer to any IP address too; no other site's name can stand for one.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, names: tuple[str, ...], port: int, addresses: bool = False
    ) -> None:
        self.app, self.token, self.names, self.port, self.addresses = app, token, names, port, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        body = b"" if refusal else await _body(receive)
        if body is None:
            refusal = 413, f"expected a request of at most {LARGEST_BODY} bytes, found more"
        if refusal is not None:
            status, message = refusal
            await JSONResponse({"message": message}, status)(scope, receive, _with_headers(send))
            return
        await self.app(scope, _replay(body or b"", receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 403, f"expected a request to this server, found one to {host or 'nobody'}"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return 403, f"expected a request of the server's own page, found one of {origin}"
        if scope["path"].startswith("/api/"):
            token = headers.get("x-token", "")
            if not secrets.compare_digest(token.encode(), self.token.encode()):
                return (
                    401,
                    "expected the token of the address that `shapewise annotate` printed, found another",
                )
        return None

    def _is_ours(self, host: str) -> bool:
        bare = ":" not in host.rpartition("]")[2]
        name, _, port = (f"{host}:80" if bare else host).rpartition(":")  # browsers leave HTTP's own port out
        if port != str(self.port):
            return False
        return name in self.names or (self.addresses and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too long."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST_BODY:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    unread: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return unread.pop() if unread else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending
