"""Sealing: one AES-256-GCM value per disclosure group, bound to the place where it lies.

Sealed value: format(1) algorithm(1) key version(2, big endian) nonce(12) ciphertext tag(16).
Associated data: format, tenant, table, group, key version (each length-prefixed), then length of the primary key, row
version, primary key. What does not change from row to row is laid out once, in `_Seat`. A value copied to another row, group, version or tenant does not open.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count, islice
from typing import Any, Final, TypeVar, cast

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from juki.vault.faults import BudgetSpent, DoesNotOpen, Purged, VersionRetired
from juki.vault.indexer import Indexer
from juki.vault.roots import derive, join, wipe
from juki.vault.signing import CheckpointSigner, DocumentSigner

T = TypeVar("T")

FORMAT: Final = 1
ALGORITHM_AES_256_GCM: Final = 1
MESSAGES_PER_KEY_MAX: Final = (
    1 << 28
)  # far below the 2^32 of SP 800-38D, so 16 processes that each reach it stay inside
ROTATION_DUE_AT: Final = MESSAGES_PER_KEY_MAX // 8 * 7
_HEAD_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_NONCE_END: Final = _HEAD_BYTES + _NONCE_BYTES
_SEALED_BYTES_MIN: Final = _NONCE_END + 16
_NONCES_PER_DRAW: Final = 1024

_pack_row: Final = struct.Struct(">HQ").pack
_encode: Final = msgspec.msgpack.Encoder().encode
_decoders: dict[type[Any], Callable[[bytes], Any]] = {}
_nonces: list[bytes] = []
os.register_at_fork(after_in_child=_nonces.clear)  # a child must never draw its parent's nonces


def _draw_nonces() -> bytes:
    """One nonce of 96 random bits, and 1,023 more in stock. `list.pop` is atomic, so no two threads get the same one."""
    drawn = os.urandom(_NONCE_BYTES * _NONCES_PER_DRAW)
    fresh = [drawn[i : i + _NONCE_BYTES] for i in range(0, len(drawn), _NONCE_BYTES)]
    mine = fresh.pop()
    _nonces.extend(fresh)
    return mine


def _nonce_bounds(wanted: int) -> tuple[range, range]:
    end = _NONCE_BYTES * wanted
    return range(0, end, _NONCE_BYTES), range(_NONCE_BYTES, end + 1, _NONCE_BYTES)


class Spending:
    """Messages sealed per key in this process. Outlives a ring's time-to-live, so a reload does not start from zero."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, int, str, str], count[int]] = {}

    def counter(self, tenant: str, version: int, table: str, group: str) -> count[int]:
        """What answers 1, 2, 3... for one key; the same one each time it is asked for."""
        key = (tenant, version, table, group)
        return self._counters.setdefault(key, count(1))

    def start_from(self, tenant: str, version: int, table: str, group: str, spent: int) -> None:
        """Count on from a known number (for example from the rows a table already holds)."""
        self._counters[tenant, version, table, group] = count(spent + 1)


class _Seat:
    """One cipher of one (version, table, group) with everything that does not change from row to row."""

    __slots__ = ("aad", "counter", "decrypt", "encrypt", "head", "spend")

    def __init__(self, root: bytearray, tenant: str, version: int, service: str, table: str, group: str) -> None:
        cipher = AESGCM(derive(root, "seal", service, table, group))
        self.encrypt = cipher.encrypt
        self.decrypt = cipher.decrypt
        raw_version = version.to_bytes(2, "big")
        self.head = bytes((FORMAT, ALGORITHM_AES_256_GCM)) + raw_version
        self.aad = join(bytes((FORMAT,)), tenant, table, group, raw_version)
        self.count_by(count(1))

    def count_by(self, counter: count[int]) -> None:
        """Count messages here; `count` steps in one piece, so threads may share it."""
        self.counter = counter
        self.spend: Callable[[], int] = counter.__next__


class TenantRing:
    """The unwrapped keys of one tenant in one process. `seal` and `open` call no KMS, no disk and no network."""

    def __init__(
        self,
        tenant: str,
        seal_roots: Mapping[int, bytearray],
        seal_version: int,
        indexers: Mapping[str, Indexer],
        index_active: str,
        *,
        sign_root: bytearray | None = None,
        service: str = "registry",
        spending: Spending | None = None,
        on_rotation_due: Callable[[str, int], None] | None = None,
    ) -> None:
        if seal_version not in seal_roots:
            raise VersionRetired(detail="the newest seal root was not loaded", version=seal_version)
        self.tenant = tenant
        self.seal_version = seal_version
        self.service = service
        self._roots = dict(seal_roots)
        self._indexers = dict(indexers)
        self._index_active = index_active
        self._sign_root = sign_root
        self._signers: dict[str, DocumentSigner] = {}
        self._spending = spending or Spending()
        self._on_rotation_due = on_rotation_due
        self._sealing: dict[tuple[str, str], _Seat] = {}
        self._opening: dict[tuple[str, str, int], _Seat] = {}
        self._wiped = False

    @property
    def index(self) -> Indexer:
        """The index root that answers searches now."""
        if self._wiped:
            raise Purged(detail=self.tenant)
        return self._indexers[self._index_active]

    @property
    def seal_versions(self) -> tuple[int, ...]:
        """Versions that still open, oldest first."""
        return tuple(sorted(self._roots))

    def write_indexes(self) -> Mapping[str, Indexer]:
        """Slot -> indexer for every slot a write must fill; two while an index rotation runs."""
        if self._wiped:
            raise Purged(detail=self.tenant)
        return self._indexers

    def seal(self, table: str, group: str, key: str, row_version: int, value: msgspec.Struct | bytes) -> bytes:
        """Seal one group of one row version. Raises BudgetSpent and Purged."""
        try:
            seat = self._sealing[table, group]
        except KeyError:
            seat = self._take_seat(table, group)
        if (spent := seat.spend()) >= ROTATION_DUE_AT:
            self._mind_budget(spent, table, group)
        raw_key = key.encode()
        try:
            nonce = _nonces.pop()
        except IndexError:
            nonce = _draw_nonces()
        plain: Any = value if value.__class__ is bytes else _encode(value)
        aad = seat.aad + _pack_row(len(raw_key), row_version) + raw_key
        return seat.head + nonce + seat.encrypt(nonce, plain, aad)

    def open(self, table: str, group: str, key: str, row_version: int, sealed: bytes, type: type[T]) -> T:
        """Open what `seal` made, with any live version. Raises DoesNotOpen, VersionRetired and Purged."""
        try:
            seat = self._sealing[table, group]
        except KeyError:
            seat = self._find_seat(table, group, sealed)
        if not sealed.startswith(seat.head):
            seat = self._find_seat(table, group, sealed)
        raw_key = key.encode()
        aad = seat.aad + _pack_row(len(raw_key), row_version) + raw_key
        try:
            plain = seat.decrypt(sealed[_HEAD_BYTES:_NONCE_END], sealed[_NONCE_END:], aad)
        except (InvalidTag, ValueError) as error:
            raise DoesNotOpen(detail=f"{table} {group}") from error
        if type is bytes:
            return cast(T, plain)
        try:
            decode = _decoders[type]
        except KeyError:
            decode = _decoder(type)
        return decode(plain)

    def seal_groups(
        self, table: str, groups: Sequence[str], key: str, row_version: int, packed: Sequence[bytes | None]
    ) -> list[bytes | None]:
        """`seal` for every group of one row at once, each already in msgpack; None stays None."""
        raw_key = key.encode()
        place = _pack_row(len(raw_key), row_version) + raw_key
        sealing = self._sealing
        out: list[bytes | None] = []
        for group, plain in zip(groups, packed, strict=True):
            if plain is None:
                out.append(None)
                continue
            seat = sealing.get((table, group)) or self._take_seat(table, group)
            if (spent := seat.spend()) >= ROTATION_DUE_AT:
                self._mind_budget(spent, table, group)
            try:
                nonce = _nonces.pop()
            except IndexError:
                nonce = _draw_nonces()
            out.append(seat.head + nonce + seat.encrypt(nonce, plain, seat.aad + place))
        return out

    @staticmethod
    def place(key: str, row_version: int) -> bytes:
        """Where a row lies, as `seal_column` and `open_column` take it: the same for all its groups."""
        raw_key = key.encode()
        return _pack_row(len(raw_key), row_version) + raw_key

    def seal_column(
        self, table: str, group: str, places: Sequence[bytes], packed: Sequence[bytes | None]
    ) -> list[bytes | None]:
        """`seal` for one group of many rows, each already in msgpack; None stays None. Raises as `seal`, then for all."""
        wanted = len(packed) - packed.count(None)
        if not wanted:
            return [None] * len(packed)
        seat = self._sealing.get((table, group)) or self._take_seat(table, group)
        spent = deque(islice(seat.counter, wanted), 1).pop()
        if spent >= ROTATION_DUE_AT:
            self._mind_budget(spent, table, group)
        drawn = os.urandom(_NONCE_BYTES * wanted)
        nonces = map(drawn.__getitem__, map(slice, *_nonce_bounds(wanted)))
        head, aad, encrypt = seat.head, seat.aad, seat.encrypt
        return [
            None if plain is None else head + (nonce := next(nonces)) + encrypt(nonce, plain, aad + place)
            for plain, place in zip(packed, places, strict=True)
        ]

    def open_column(
        self, table: str, group: str, places: Sequence[bytes], sealed: Sequence[bytes | None]
    ) -> list[bytes | None]:
        """The msgpack of one group of many rows; raises as `open`."""
        seat = self._sealing.get((table, group)) or self._take_seat(table, group)
        heads = {value[:_HEAD_BYTES] for value in sealed if value is not None}
        try:
            if heads <= {seat.head}:
                aad, decrypt = seat.aad, seat.decrypt
                return [
                    None if value is None else decrypt(value[_HEAD_BYTES:_NONCE_END], value[_NONCE_END:], aad + place)
                    for value, place in zip(sealed, places, strict=True)
                ]
            out: list[bytes | None] = []
            for value, place in zip(sealed, places, strict=True):
                if value is None:
                    out.append(None)
                    continue
                seat = self._find_seat(table, group, value)
                out.append(seat.decrypt(value[_HEAD_BYTES:_NONCE_END], value[_NONCE_END:], seat.aad + place))
        except (InvalidTag, ValueError) as error:
            raise DoesNotOpen(detail=f"{table} {group}") from error
        return out

    def version_of(self, sealed: bytes) -> int:
        """Root version that sealed a value; re-keying looks for old ones."""
        if len(sealed) < _SEALED_BYTES_MIN or sealed[0] != FORMAT or sealed[1] != ALGORITHM_AES_256_GCM:
            raise DoesNotOpen(detail="not a sealed value")
        return int.from_bytes(sealed[2:4], "big")

    def reseal(self, table: str, group: str, key: str, row_version: int, sealed: bytes) -> bytes:
        """The same content under the newest version; unchanged where it is newest already."""
        if self.version_of(sealed) == self.seal_version:
            return sealed
        return self.seal(table, group, key, row_version, self.open(table, group, key, row_version, sealed, bytes))

    def checkpoint_signer(self) -> CheckpointSigner:
        """Signs heads of the log (Ed25519). Raises VersionRetired where the tenant has no root of purpose "sign"."""
        signer = CheckpointSigner(self._root_to_sign())
        self._check_live()
        return signer

    def document_signer(self, municipality: str) -> DocumentSigner:
        """Signs PDFs and evidence in the name of the municipality; one object per ring."""
        signer = self._signers.get(municipality)
        if signer is None:
            signer = DocumentSigner(self._root_to_sign(), self.tenant, municipality)
            self._signers[municipality] = signer
            self._check_live()
        return signer

    def wipe(self) -> None:
        """Forget every key: roots are overwritten, cipher objects dropped (OpenSSL clears them), all calls refuse."""
        self._wiped = True
        self._sealing.clear()
        self._opening.clear()
        for root in self._roots.values():
            wipe(root)
        self._roots.clear()
        for indexer in self._indexers.values():
            indexer.wipe()  # kept, for a write that has them in hand: what is wiped refuses, what is gone is skipped
        self._signers.clear()
        if self._sign_root is not None:
            wipe(self._sign_root)

    def _check_live(self) -> None:
        """After deriving as well as before: a root that was wiped in between is 32 zeros, known to everybody."""
        if self._wiped:
            self._signers.clear()
            raise Purged(detail=self.tenant)

    def _root_to_sign(self) -> bytearray:
        self._check_live()
        if self._sign_root is None:
            raise VersionRetired("vault.no_sign_root", "the tenant has no root of purpose sign")
        return self._sign_root

    def _take_seat(self, table: str, group: str) -> _Seat:
        seat = self._seat(table, group, self.seal_version)
        seat.count_by(self._spending.counter(self.tenant, self.seal_version, table, group))
        self._sealing[table, group] = seat
        if self._wiped:  # wiped while we derived: leave nothing behind
            self._sealing.clear()
            raise Purged(detail=self.tenant)
        return seat

    def _find_seat(self, table: str, group: str, sealed: bytes) -> _Seat:
        """The cipher of the version that a value names; versions older than the newest are the rare case."""
        version = self.version_of(sealed)
        if version == self.seal_version:
            return self._sealing.get((table, group)) or self._take_seat(table, group)
        seat = self._opening.get((table, group, version))
        if seat is None:
            seat = self._seat(table, group, version)
            self._opening[table, group, version] = seat
            if self._wiped:
                self._opening.clear()
                raise Purged(detail=self.tenant)
        return seat

    def _seat(self, table: str, group: str, version: int) -> _Seat:
        if self._wiped:
            raise Purged(detail=self.tenant)
        root = self._roots.get(version)
        if root is None:
            raise VersionRetired(detail=f"{table} {group}", version=version)
        return _Seat(root, self.tenant, version, self.service, table, group)

    def _mind_budget(self, spent: int, table: str, group: str) -> None:
        if spent > MESSAGES_PER_KEY_MAX:
            raise BudgetSpent(detail=f"{self.tenant} {table} {group}", version=self.seal_version)
        if self._on_rotation_due is not None:
            told, self._on_rotation_due = self._on_rotation_due, None  # once per ring: each reload says it again
            told(self.tenant, self.seal_version)


def _decoder(type: type[T]) -> Callable[[bytes], T]:
    decode = msgspec.msgpack.Decoder(type).decode
    _decoders[type] = decode
    return decode
