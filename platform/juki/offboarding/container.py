"""引渡しの容器: one folder, each file sealed for the municipality alone while it is written, and a manifest in the clear.

Nothing is ever written unsealed: whoever writes a file writes into a pipe, at whose other end the box is made. The
manifest names files, sizes, digests and counts, and no person.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from juki.problem import Conflict, Invalid, JukiError
from juki.vault import box

FORMAT: Final = "juki-export/1"
MANIFEST: Final = "manifest.json"
_SUFFIX: Final = ".box"


class BoxedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an export: what was sealed and how it lies there."""

    name: str
    plain_bytes: int
    plain_sha256: str
    boxed_bytes: int
    boxed_sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """目録: what was handed over and that it balances; no value of a person."""

    format: str
    tenant: str
    case_no: int
    made_at: str
    recipient: str
    layout: str
    balanced: bool
    counts: dict[str, int]
    files: tuple[BoxedFile, ...]


class Container:
    """An export being written."""

    def __init__(self, folder: Path, public_pem: bytes) -> None:
        if folder.exists() and any(folder.iterdir()):
            raise Conflict("offboarding.export_exists", f"{folder} is not empty", remedy="name a new folder")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.recipient = box.fingerprint(public_pem)
        self._public = public_pem
        self._files: dict[str, BoxedFile] = {}

    @contextmanager
    def file(self, name: str) -> Generator[BinaryIO, None, None]:
        """Write one file; its name may hold folders. What is written is sealed on the way."""
        if name in self._files or ".." in Path(name).parts or Path(name).is_absolute():
            raise ValueError(f"{name} is no new name inside the export")
        target = self.folder / (name + _SUFFIX)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        reading, writing = os.pipe()
        made: list[box.Boxed | BaseException] = []
        sealer = threading.Thread(target=self._seal, args=(reading, target, made), name="juki-box")
        sealer.start()
        try:
            with io.BufferedWriter(io.FileIO(writing, "wb"), 1 << 16) as sink:
                yield sink
        finally:
            sealer.join()
        outcome = made[0]
        if isinstance(outcome, BaseException):
            raise outcome
        self._files[name] = BoxedFile(
            name=name, plain_bytes=outcome.plain_bytes, plain_sha256=outcome.plain_sha256,
            boxed_bytes=outcome.boxed_bytes, boxed_sha256=outcome.boxed_sha256,
        )  # fmt: skip

    def finish(
        self, *, tenant: str, case_no: int, made_at: str, layout: str, balanced: bool, counts: dict[str, int]
    ) -> str:
        """Write the manifest; its SHA-256, which stands for the whole export."""
        manifest = Manifest(
            format=FORMAT, tenant=tenant, case_no=case_no, made_at=made_at, recipient=self.recipient, layout=layout,
            balanced=balanced, counts=counts, files=tuple(self._files[name] for name in sorted(self._files)),
        )  # fmt: skip
        content = msgspec.json.format(msgspec.json.encode(manifest))
        (self.folder / MANIFEST).write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def _seal(self, reading: int, target: Path, made: list[box.Boxed | BaseException]) -> None:
        try:
            with os.fdopen(reading, "rb") as source, target.open("xb") as sink:
                made.append(box.encrypt_to(self._public, source, sink))
                sink.flush()
                os.fsync(sink.fileno())
        except (OSError, JukiError) as error:  # carried to the writer, whose pipe is broken from here on
            made.append(error)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an export. Invalid `offboarding.export_unreadable`."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        raise Invalid("offboarding.export_unreadable", f"{folder} holds no readable {MANIFEST}") from None


def open_export(folder: Path, private_pem: bytes, out: Path) -> int:
    """The municipality's side: open every file into a new folder and compare digests; how many files.

    DoesNotOpen `vault.box_broken` for another key or a changed file, Invalid `offboarding.export_differs` where the manifest
    names other content. A file that fails is not left behind.
    """
    manifest = read_manifest(folder)
    if out.exists() and any(out.iterdir()):
        raise Conflict("offboarding.export_exists", f"{out} is not empty", remedy="name a new folder")
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for listed in manifest.files:
        if ".." in Path(listed.name).parts or Path(listed.name).is_absolute():
            raise Invalid("offboarding.export_unreadable", "the manifest names a file outside the export")
        target = out / listed.name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _open_one(folder / (listed.name + _SUFFIX), private_pem, target, listed)
    return len(manifest.files)


def _open_one(source: Path, private_pem: bytes, target: Path, listed: BoxedFile) -> None:
    try:
        with source.open("rb") as sealed, target.open("xb") as sink:
            box.decrypt_with(private_pem, sealed, sink)
        with target.open("rb") as written:
            if hashlib.file_digest(written, "sha256").hexdigest() != listed.plain_sha256:
                raise Invalid("offboarding.export_differs", f"{listed.name} is not what the manifest names")
    except FileNotFoundError:
        raise Invalid("offboarding.export_unreadable", f"{listed.name} is missing from the export") from None
    except JukiError:
        target.unlink(missing_ok=True)
        raise
