"""Local key store: a directory that behaves like a KMS, for development, tests and machines without a cloud.

Layout: `master.key` (32 bytes), `keys/<id>.json` (state, alias, wrapped material), `aliases/<digest>` (id), `lock`.
Everything is mode 0600/0700.
Each call reads the key file, so a state set by one process is seen by all at the next call.
"""

from __future__ import annotations

import base64
import datetime as dt
import fcntl
import hashlib
import os
import secrets
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from juki.problem import Misconfigured
from juki.vault.faults import AliasTaken, KeyDeleted, KeyDisabled, KeyElsewhere, KeyPendingDeletion, KmsGone, KmsRefused
from juki.vault.kms import Clock, KeyState, check_window, utc_now

PLAINTEXT_BYTES_MAX: Final = 4096
_BLOB_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_PUT_BACK: Final = "put the folder that JUKI_KMS names back in its place, or have JUKI_KMS name the right one"
_LET_IN: Final = "give the user of this process that folder, readable and writable, with room on its disk"


class _KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    key_id: str
    alias: str
    state: KeyState
    material: str  # base64 of nonce + AES-GCM(master, key); empty once destroyed
    created_at: dt.datetime
    deletion_at: dt.datetime | None = None


class LocalKms:
    """A `Kms` in a directory. Safe for many processes on one machine: file lock, write-fsync-rename."""

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self._path = path
        self._keys = path / "keys"
        self._aliases = path / "aliases"
        self._clock = clock
        self._master: AESGCM | None = None
        # A store is made by the first key alone: an empty one would stand where a lost or unmounted one belongs.
        with self._answers():
            if self._is_there():
                self._open()

    def _is_there(self) -> bool:
        return (self._path / "master.key").exists() or any(self._keys.glob("*.json"))

    def _open(self, *, make: bool = False) -> AESGCM:
        if self._master is not None:
            return self._master
        if not make and not self._is_there():
            raise KeyElsewhere(detail="there is no key store where JUKI_KMS points", remedy=_PUT_BACK)
        self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.chmod(0o700)
        with self._lock():
            master = AESGCM(self._read_master())
            if not self._aliases.exists():
                self._aliases.mkdir(mode=0o700)
                self._name_all()
        self._master = master
        return master

    def create_key(self, alias: str) -> str:
        """Make a key and return its id. Raises AliasTaken."""
        with self._answers():
            return self._create(alias)

    def _create(self, alias: str) -> str:
        master = self._open(make=True)
        with self._lock():
            if self._find(alias) is not None:
                raise AliasTaken(detail=alias)
            key_id = str(uuid.uuid4())
            nonce = secrets.token_bytes(_NONCE_BYTES)
            material = nonce + master.encrypt(nonce, secrets.token_bytes(32), key_id.encode())
            self._write(
                _KeyFile(
                    key_id=key_id,
                    alias=alias,
                    state=KeyState.ENABLED,
                    material=base64.b64encode(material).decode(),
                    created_at=self._clock(),
                )
            )
            self._name(alias, key_id)  # last: an alias never names a key that is not there
        return key_id

    def find_key(self, alias: str) -> str | None:
        """The id of the key with this alias, destroyed ones excepted."""
        with self._answers():
            if not self._is_there():
                return None
            with self._lock():
                return self._find(alias)

    def encrypt(self, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap at most 4096 bytes under an ENABLED key."""
        if len(plaintext) > PLAINTEXT_BYTES_MAX:
            raise KmsRefused(detail="more than 4096 bytes")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _BLOB_FORMAT + nonce + self._cipher(key_id).encrypt(nonce, plaintext, _bind(key_id, context))

    def decrypt(self, key_id: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Unwrap under an ENABLED key. Raises KmsRefused where blob, key and context do not belong together."""
        cipher = self._cipher(key_id)
        if blob[:1] != _BLOB_FORMAT:
            raise KmsRefused(detail="not a blob of this key store")
        try:
            return cipher.decrypt(blob[1 : 1 + _NONCE_BYTES], blob[1 + _NONCE_BYTES :], _bind(key_id, context))
        except (InvalidTag, ValueError) as error:
            raise KmsRefused(detail="blob, key and context do not belong together") from error

    def state(self, key_id: str) -> KeyState:
        """State now. A destroyed key stays known here as such, so an unknown one is another store's: KeyElsewhere."""
        found = self._current(key_id)
        return KeyState.DELETED if found is None else found.state

    def disable(self, key_id: str) -> None:
        """Stop all use at once."""
        self._move(key_id, {KeyState.ENABLED, KeyState.DISABLED}, KeyState.DISABLED)

    def enable(self, key_id: str) -> None:
        """Allow use again."""
        self._move(key_id, {KeyState.ENABLED, KeyState.DISABLED}, KeyState.ENABLED)

    def schedule_deletion(self, key_id: str, days: int) -> dt.datetime:
        """Schedule destruction; returns the instant. Raises Invalid `vault.deletion_window`, KeyPendingDeletion, KeyDeleted."""
        check_window(days)
        deletion_at = self._clock() + dt.timedelta(days=days)
        self._move(key_id, {KeyState.ENABLED, KeyState.DISABLED}, KeyState.PENDING_DELETION, deletion_at)
        return deletion_at

    def cancel_deletion(self, key_id: str) -> None:
        """Take the schedule back; the key is DISABLED afterwards."""
        self._move(key_id, {KeyState.PENDING_DELETION}, KeyState.DISABLED)

    def _move(self, key_id: str, allowed: set[KeyState], to: KeyState, deletion_at: dt.datetime | None = None) -> None:
        if self._read(key_id) is None:
            raise KeyDeleted(detail=key_id)
        with self._answers(), self._lock():
            found = self._load_due(key_id)
            if found is None:
                raise KeyDeleted(detail=key_id)
            if found.state not in allowed:
                raise _state_fault(found)
            self._write(msgspec.structs.replace(found, state=to, deletion_at=deletion_at))

    def _cipher(self, key_id: str) -> AESGCM:
        found = self._current(key_id)
        if found is None:
            raise KeyDeleted(detail=key_id)
        if found.state is not KeyState.ENABLED:
            raise _state_fault(found)
        try:
            material = base64.b64decode(found.material)
            with self._answers():
                master = self._open()
            return AESGCM(master.decrypt(material[:_NONCE_BYTES], material[_NONCE_BYTES:], key_id.encode()))
        except (InvalidTag, ValueError) as error:
            raise KmsGone(
                detail="a key file is damaged or belongs to another master key", remedy="put the store's backup back"
            ) from error

    def _current(self, key_id: str) -> _KeyFile | None:
        found = self._read(key_id)
        if found is not None and self._is_due(found):
            with self._answers(), self._lock():
                return self._load_due(key_id)
        return found

    def _is_due(self, found: _KeyFile) -> bool:
        return (
            found.state is KeyState.PENDING_DELETION
            and found.deletion_at is not None
            and self._clock() >= found.deletion_at
        )

    def _load_due(self, key_id: str) -> _KeyFile | None:
        """Read under the lock; destroy the material first where its day has come."""
        found = self._read(key_id)
        if found is not None and self._is_due(found):
            found = msgspec.structs.replace(found, state=KeyState.DELETED, material="")
            self._write(found)
        return found

    def _find(self, alias: str) -> str | None:
        try:
            key_id = self._alias_file(alias).read_text()
        except FileNotFoundError:
            return None
        found = self._load_due(key_id)
        return key_id if found is not None and found.state is not KeyState.DELETED else None

    def _name(self, alias: str, key_id: str) -> None:
        """Point an alias at a key. A crash may lose it, not break it: the key is then made anew before anything uses it."""
        beside = self._aliases / f"{key_id}.tmp"
        beside.write_text(key_id)
        beside.replace(self._alias_file(alias))

    def _name_all(self) -> None:
        for file in self._keys.glob("*.json"):
            found = self._load_due(file.stem)
            if found is not None and found.state is not KeyState.DELETED:
                self._name(found.alias, found.key_id)

    def _alias_file(self, alias: str) -> Path:
        return self._aliases / hashlib.sha256(alias.encode()).hexdigest()[:32]

    def _read(self, key_id: str) -> _KeyFile | None:
        try:
            uuid.UUID(key_id)  # an id is never a path
        except ValueError:
            return None
        file = self._keys / f"{key_id}.json"
        try:
            _refuse_open_mode(file)
            return msgspec.json.decode(file.read_bytes(), type=_KeyFile)
        except FileNotFoundError:
            # a destroyed key leaves its file: the store is lost or another one, and nobody may call that key destroyed
            raise KeyElsewhere(detail="the local key store does not hold this key", remedy=_PUT_BACK) from None
        except OSError as error:
            raise _shut(error) from error
        except msgspec.DecodeError as error:
            raise KmsGone(detail="a key file is damaged", remedy="put the store's backup back") from error

    def _write(self, key: _KeyFile) -> None:
        _write_durably(self._keys / f"{key.key_id}.json", msgspec.json.encode(key))

    def _read_master(self) -> bytes:
        file = self._path / "master.key"
        if not file.exists():
            if any(self._keys.glob("*.json")):
                raise Misconfigured(
                    "vault.master_missing",
                    "the key store has keys but its master key is gone",
                    remedy="put master.key back from the backup; a new one opens nothing",
                )
            _write_durably(file, secrets.token_bytes(32))
        _refuse_open_mode(file)
        master = file.read_bytes()
        if len(master) != 32:
            raise Misconfigured(
                "vault.master_damaged", "master.key is not 32 bytes", remedy="put master.key back from the backup"
            )
        return master

    @contextmanager
    def _answers(self) -> Generator[None]:
        """What the file system refuses is the key store's silence."""
        try:
            yield
        except OSError as error:
            raise _shut(error) from error

    @contextmanager
    def _lock(self) -> Generator[None]:
        descriptor = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _shut(error: OSError) -> KmsGone:
    return KmsGone(detail=f"the local key store cannot be used ({error.strerror})", remedy=_LET_IN)


def _bind(key_id: str, context: Mapping[str, str]) -> bytes:
    return msgspec.msgpack.encode([key_id, sorted(context.items())])


def _state_fault(found: _KeyFile) -> Exception:
    if found.state is KeyState.DELETED:
        return KeyDeleted(detail=found.key_id)
    if found.state is KeyState.PENDING_DELETION:
        return KeyPendingDeletion(detail=found.key_id)
    if found.state is KeyState.DISABLED:
        return KeyDisabled(detail=found.key_id)
    return KmsRefused("vault.key_not_pending", f"{found.key_id} waits for no deletion")


def _refuse_open_mode(file: Path) -> None:
    if file.stat().st_mode & 0o077:
        raise Misconfigured(
            "vault.key_file_open", f"{file.name} can be read by others", remedy=f"chmod 600 {file}, and ask who read it"
        )


def _write_durably(file: Path, content: bytes) -> None:
    """Write beside, sync, rename, sync the folder: a crash leaves the old file or the new one, never half of one."""
    beside = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)  # a full disk keeps no half of a key
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
