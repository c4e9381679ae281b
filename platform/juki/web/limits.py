"""Limits on what one request may cost: time, company, depth, count, and the pace of log-ins."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from typing import Final

import msgspec
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from juki.problem import Invalid, JukiError, Unavailable

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")


class TooOften(JukiError):
    """The same terminal or the same account tries to log in faster than a person types."""

    status = 429
    code = "web.too_often"


class TooLarge(JukiError):
    """The body is larger than any form of ours."""

    status = 413
    code = "web.too_large"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may cost. Seconds, bytes and counts."""

    request_seconds: float = 30.0
    requests_at_once: int = 64
    body_bytes: int = 1_048_576
    json_depth: int = 16
    json_values: int = 5_000
    form_fields: int = 400
    field_chars: int = 4_000
    logins: int = 10
    logins_seconds: float = 300.0


class Turnstile(ASGIMiddleware):
    """So many requests at once, each for so long; one more is told to come back, and nothing of it has begun."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inside = 0

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count the request in, give it its time, count it out."""
        if scope["type"] != "http":
            await next_app(scope, receive, send)
            return
        if self._inside >= self._limits.requests_at_once:
            raise Unavailable("web.too_busy")
        self._inside += 1
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                await next_app(scope, receive, send)
        except TimeoutError:
            raise Unavailable("web.too_slow") from None
        finally:
            self._inside -= 1


def check_json(body: bytes, limits: Limits) -> None:
    """Refuse a body that nests or lists beyond any form of ours, before a decoder builds it."""
    try:
        body.decode()  # the decoder behind this meets other bytes with a fault of its own
    except UnicodeDecodeError:
        raise Invalid("web.not_json", "not UTF-8") from None
    bare = _STRING.sub(b"", body)
    depth = deepest = 0
    for bracket in _BRACKET.findall(bare):
        depth += 1 if bracket in b"{[" else -1
        deepest = max(deepest, depth)
    if deepest > limits.json_depth:
        raise Invalid("web.too_deep")
    if bare.count(b",") > limits.json_values:
        raise Invalid("web.too_many")


class Pace:
    """How often one key (a terminal's address, an account) may try within a window; old keys are forgotten first."""

    def __init__(self, count: int, seconds: float, *, keys: int = 20_000) -> None:
        self._count = count
        self._seconds = seconds
        self._keys = keys
        self._tries: OrderedDict[str, list[float]] = OrderedDict()

    def try_once(self, key: str, now: float | None = None) -> None:
        """Count one try; TooOften where the window is full."""
        at = time.monotonic() if now is None else now
        recent = [t for t in self._tries.pop(key, []) if at - t < self._seconds]
        self._tries[key] = recent
        while len(self._tries) > self._keys:
            self._tries.popitem(last=False)
        if len(recent) >= self._count:
            raise TooOften
        recent.append(at)

    def forget(self, key: str) -> None:
        """A success empties the window."""
        self._tries.pop(key, None)


def as_mapping(values: list[tuple[str, str]], limits: Limits) -> dict[str, list[str]]:
    """Form fields by name, within the limits on count and length."""
    if len(values) > limits.form_fields:
        raise Invalid("web.too_many")
    found: dict[str, list[str]] = {}
    for name, value in values:
        if len(value) > limits.field_chars:
            raise TooLarge
        found.setdefault(name, []).append(value)
    return found
