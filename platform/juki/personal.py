"""Structs that hold personal data: a repr, a log line or a traceback of one shows its type and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec


class Personal(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every Struct with a resident's data; its fields never show in repr (R-A-3.3-CPY-02)."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} withheld>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("withheld", True)]


class SealedGroup(Personal, frozen=True, kw_only=True, array_like=True, omit_defaults=True):
    """One disclosure group as it is sealed: msgpack array, so new fields are only ever appended at the end."""
