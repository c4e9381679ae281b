"""Headers of every answer: no foreign content, no frames, no caches, no referrer."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final, cast

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {by}"
)
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}


async def security_headers(message: Message, scope: Scope) -> None:
    """Litestar `before_send` hook. A page that may show a resident is never kept by anyone (R-1-3.3-CPY-01)."""
    if message["type"] != "http.response.start":
        return
    headers = cast("MutableMapping[str, str]", MutableScopeHeaders(message))
    for name, value in _ALWAYS.items():
        headers[name] = value
    framed = headers.get("content-type") == "application/pdf"
    headers.setdefault("Content-Security-Policy", _POLICY.format(by="'self'" if framed else "'none'"))
    headers.setdefault("Cache-Control", "no-store")
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = "max-age=31536000"
