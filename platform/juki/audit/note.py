"""Signed heads of the log in the open checkpoint format (C2SP tlog-checkpoint over signed notes), readable by any tool.

juki.audit/072044
<number of leaves>
<root, base64>
time 2026-11-23T03:04:05.678901Z

— juki.audit/072044 <key hash and Ed25519 signature, base64>
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import Final, Protocol

_ED25519: Final = b"\x01"
_DASH: Final = "\u2014"


class Signer(Protocol):
    """What signs heads: the vault's checkpoint signer."""

    public_raw: bytes

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        ...


def origin(code: str) -> str:
    """Name of a municipality's log."""
    return f"juki.audit/{code}"


def body(code: str, size: int, root: bytes, at: dt.datetime) -> str:
    """What is signed."""
    stamp = at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{origin(code)}\n{size}\n{base64.b64encode(root).decode()}\ntime {stamp}\n"


def sign(text: str, code: str, signer: Signer) -> str:
    """The note: text, blank line, signature line."""
    name = origin(code)
    key_hash = hashlib.sha256(name.encode() + b"\n" + _ED25519 + signer.public_raw).digest()[:4]
    signature = base64.b64encode(key_hash + signer.sign(text.encode())).decode()
    return f"{text}\n{_DASH} {name} {signature}\n"
