"""Keys of the log: one a month, drawn at random, kept in the tenant's schema sealed under the tenant's root.

Rows of the log are witnessed by their bytes, so they can never be sealed again under a newer root. Turning the root
re-seals the few rows of `audit_key` instead; destroying the root takes the whole log with it, and its hashes remain.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
import weakref
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, TypeVar

from juki.access.model import JAPAN
from juki.audit import store
from juki.audit.model import Body, Kind
from juki.problem import Unavailable
from juki.tenancy.directory import OPEN_STATES
from juki.tenancy.session import TenantSession
from juki.vault import TenantRing

if TYPE_CHECKING:
    from juki.tenancy import Fleet

T = TypeVar("T")

_SEAL_BYTES: Final = 32
_FP_BYTES: Final = 32
_TABLE: Final = "audit_row"
_SHOWN_FP_BYTES: Final = 16

SEALED: Final = (("audit_key", "audit", "key_no", "1", "key_sealed"),)
"""Sealed columns for re-keying: table, group, column of the row key, row version (a constant), sealed column."""


class AuditRing:
    """What one process needs to write and read one tenant's log."""

    def __init__(self, tenant: str, keys: dict[str, tuple[int, bytes]]) -> None:
        self.periods = frozenset(keys)
        self._numbers = {period: number for period, (number, _) in keys.items()}
        newest = max(self._numbers.values())
        roots = {number: bytearray(secret[:_SEAL_BYTES]) for number, secret in keys.values()}
        self._fp_keys = {number: secret[_SEAL_BYTES:] for number, secret in keys.values()}
        self._newest = newest
        self._ring = TenantRing(tenant, roots, newest, {}, "", service="audit")
        self.seal = self._ring.seal
        self.open = self._ring.open

    def fingerprint(self, atena_no: str) -> bytes:
        """Where to file an operation on this person."""
        return self._fingerprint(self._newest, atena_no)

    def fingerprints(self, atena_no: str) -> list[bytes]:
        """Everywhere an operation on this person may be filed: one per key."""
        return [self._fingerprint(number, atena_no) for number in self._fp_keys]

    def wipe(self) -> None:
        """Forget the keys."""
        self._fp_keys.clear()
        self._ring.wipe()

    def _fingerprint(self, number: int, atena_no: str) -> bytes:
        return hmac.digest(self._fp_keys[number], atena_no.encode(), "sha256")[:_SHOWN_FP_BYTES]


_known: weakref.WeakKeyDictionary[TenantRing, AuditRing] = weakref.WeakKeyDictionary()


def period_of(now: dt.datetime) -> str:
    """Month of a key, in Japanese time."""
    return now.astimezone(JAPAN).strftime("%Y-%m")


async def audit_ring(
    fleet: Fleet, code: str, ring: TenantRing, now: dt.datetime, states: Collection[str] = OPEN_STATES
) -> AuditRing:
    """The log's keys under a live tenant ring; draws this month's key where it is the first to need it."""
    ring.write_indexes()  # a purged ring refuses here, so the log's keys cannot outlive it
    known = _known.get(ring)
    if known is not None and period_of(now) in known.periods:
        return known
    async with fleet.session(code, write=True, states=states) as session:
        loaded = await load(session, ring, now)
    _known[ring] = loaded
    weakref.finalize(ring, loaded.wipe)
    return loaded


async def load(session: TenantSession, ring: TenantRing, now: dt.datetime) -> AuditRing:
    """Every key of the log, with this month's among them."""
    period = period_of(now)
    rows = await store.keys(session)
    if period not in {row[1] for row in rows}:
        number = max((row[0] for row in rows), default=0) + 1
        secret = secrets.token_bytes(_SEAL_BYTES + _FP_BYTES)
        await store.add_key(session, number, period, now, ring.seal("audit_key", "audit", str(number), 1, secret))
        rows = await store.keys(session)
    if not rows:
        raise Unavailable("audit.no_key", "the log has no key", remedy="send it again")
    opened = {
        period: (number, ring.open("audit_key", "audit", str(number), 1, sealed, bytes))
        for number, period, sealed in rows
    }
    return AuditRing(ring.tenant, opened)


def row_key(op_no: int, part: int) -> str:
    """Row key bound into the seal."""
    return f"{op_no}/{part}"


def seal_body(ring: AuditRing, kind: Kind, op_no: int, part: int, body: Body) -> bytes:
    """One body, bound to its kind and place."""
    return ring.seal(_TABLE, kind, row_key(op_no, part), 1, body)


def open_body(ring: AuditRing, kind: Kind, op_no: int, part: int, sealed: bytes, type: type[T]) -> T:
    """What `seal_body` sealed; DoesNotOpen where the row was altered or moved."""
    return ring.open(_TABLE, kind, row_key(op_no, part), 1, sealed, type)
