"""Roots: 32 random bytes per tenant, purpose and version, stored only wrapped by the tenant's KMS key."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from juki.vault.faults import VersionRetired, WrongRoot
from juki.vault.kms import Kms

ROOT_BYTES: Final = 32
VERSION_MAX: Final = 0xFFFF


class WrappedRoot(msgspec.Struct, frozen=True, kw_only=True):
    """One root as it is stored in `control.wrapped_root`: of no use without the KMS key."""

    tenant: str  # 団体コード, 6 digits
    purpose: str  # "seal", "index", "sign", ...
    version: int  # from 1, 16 bits
    key_id: str
    blob: bytes
    commitment: bytes  # HMAC(root, what it is for): a blob that unwraps to another root is noticed

    def context(self) -> dict[str, str]:
        """What the KMS binds the blob to."""
        return _context(self.tenant, self.purpose, self.version)


class TenantKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a ring is built from: what the key ring's loader returns for one tenant.

    `roots` holds every live root of purpose "seal", "index" and "sign" (others are ignored). An index root of odd version
    lives in slot "a", of even version in slot "b"; rotation therefore only adds the next version.
    """

    tenant: str
    roots: tuple[WrappedRoot, ...]
    seal_version: int  # newest: seals; older ones only open
    index_active: str = "a"  # slot that answers searches
    index_pending: str | None = None  # slot being filled by a rotation

    def newest(self, purpose: str) -> WrappedRoot | None:
        """Newest root of a purpose."""
        return max((root for root in self.roots if root.purpose == purpose), key=lambda r: r.version, default=None)

    def seal_root(self) -> WrappedRoot:
        """The root that seals. Raises VersionRetired where it is not among the live ones."""
        for root in self.roots:
            if root.purpose == "seal" and root.version == self.seal_version:
                return root
        raise VersionRetired(detail=f"{self.tenant} seal", version=self.seal_version)

    def index_roots(self) -> dict[str, WrappedRoot]:
        """Newest index root of each slot in use. Raises VersionRetired where a slot has none."""
        newest: dict[str, WrappedRoot] = {}
        for root in sorted(self.roots, key=lambda r: r.version):
            slot = slot_of(root.version)
            if root.purpose == "index" and slot in (self.index_active, self.index_pending):
                newest[slot] = root
        for slot in filter(None, (self.index_active, self.index_pending)):
            if slot not in newest:
                raise VersionRetired(detail=f"{self.tenant} index slot {slot}")
        return newest

    def live_roots(self) -> tuple[WrappedRoot, ...]:
        """Every root that a ring needs: all seal versions, the index slots in use, the newest signing root."""
        sign = self.newest("sign")
        seals = (root for root in self.roots if root.purpose == "seal")
        return (*seals, *self.index_roots().values(), *((sign,) if sign else ()))


def slot_of(index_version: int) -> str:
    """Index slot of an index root: 1 -> "a", 2 -> "b", 3 -> "a"..."""
    return "ab"[(index_version - 1) % 2]


def _context(tenant: str, purpose: str, version: int) -> dict[str, str]:
    return {"tenant": tenant, "purpose": purpose, "version": str(version)}


def commitment_of(root: bytes | bytearray, tenant: str, purpose: str, version: int) -> bytes:
    """Key commitment: AES-GCM alone would let one blob open under two keys to two different roots."""
    return hmac.digest(root, join("commit", tenant, purpose, str(version)), "sha256")


def new_root(kms: Kms, key_id: str, tenant: str, purpose: str, version: int) -> WrappedRoot:
    """Draw 32 bytes, wrap them, forget them."""
    return wrap_root(kms, key_id, bytearray(secrets.token_bytes(ROOT_BYTES)), tenant, purpose, version)


def wrap_root(kms: Kms, key_id: str, root: bytearray, tenant: str, purpose: str, version: int) -> WrappedRoot:
    """Wrap a root under a KMS key and wipe it."""
    if not 1 <= version <= VERSION_MAX:
        raise WrongRoot("vault.version_range", "a root version has 16 bits", version=version)
    try:
        return WrappedRoot(
            tenant=tenant,
            purpose=purpose,
            version=version,
            key_id=key_id,
            blob=kms.encrypt(key_id, bytes(root), _context(tenant, purpose, version)),
            commitment=commitment_of(root, tenant, purpose, version),
        )
    finally:
        wipe(root)


def unwrap(kms: Kms, wrapped: WrappedRoot) -> bytearray:
    """The root, in a buffer that `wipe` can clear. Raises WrongRoot and what the KMS raises."""
    root = bytearray(kms.decrypt(wrapped.key_id, wrapped.blob, wrapped.context()))
    expected = commitment_of(root, wrapped.tenant, wrapped.purpose, wrapped.version)
    if len(root) != ROOT_BYTES or not hmac.compare_digest(expected, wrapped.commitment):
        wipe(root)
        raise WrongRoot(detail=f"{wrapped.tenant} {wrapped.purpose} {wrapped.version}")
    return root


def rewrap(kms: Kms, wrapped: WrappedRoot, key_id: str) -> WrappedRoot:
    """The same root under another KMS key: rotating the KMS key touches no resident row."""
    root = unwrap(kms, wrapped)
    return wrap_root(kms, key_id, root, wrapped.tenant, wrapped.purpose, wrapped.version)


def derive(root: bytes | bytearray, *labels: str, length: int = 32) -> bytes:
    """HKDF-SHA-256 of a root for one use; the labels are length-prefixed, so no two lists read the same."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=join(*labels)).derive(root)


def join(*parts: str | bytes) -> bytes:
    """Length-prefixed concatenation (2 bytes big endian each)."""
    out = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        out += len(raw).to_bytes(2, "big") + raw
    return bytes(out)


def wipe(buffer: bytearray) -> None:
    """Overwrite in place. What the interpreter or OpenSSL copied before is theirs to clear: see docs/adr/0002."""
    buffer[:] = bytes(len(buffer))


def facts(wrapped: WrappedRoot) -> Mapping[str, str | int]:
    """What may be logged or printed of a root."""
    return {"tenant": wrapped.tenant, "purpose": wrapped.purpose, "version": wrapped.version, "key_id": wrapped.key_id}
