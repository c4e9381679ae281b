"""Write-once copies of checkpoints, outside the database: what a log that was rewritten is found out by."""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Final, Protocol

from juki.audit import log_store
from juki.audit.log import LOG_STATES, Checkpoint, checkpoint
from juki.config import Config
from juki.problem import Conflict, Unavailable
from juki.tenancy import Fleet

SUFFIX: Final = ".checkpoint"


class Witness(Protocol):
    """Where copies go: a directory here, an object store with object lock in the cloud."""

    def newest(self, code: str) -> int:
        """Size of the newest copy, 0 without one."""
        ...

    def put(self, code: str, size: int, note: str) -> None:
        """Keep a copy for good. Conflict `audit.witness_differs` where another text stands under this size."""
        ...


class DirectoryWitness:
    """A folder per municipality; files are created exclusively and read-only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def newest(self, code: str) -> int:
        """Size of the newest copy, 0 without one."""
        return max(self.sizes(code), default=0)

    def newest_copy(self, code: str) -> tuple[int, str] | None:
        """Size and text of the newest copy."""
        size = self.newest(code)
        return (size, self._path(code, size).read_text(encoding="utf-8")) if size else None

    def sizes(self, code: str) -> set[int]:
        """Sizes of all copies."""
        return {int(path.stem) for path in self.folder(code).glob(f"*{SUFFIX}")}

    def put(self, code: str, size: int, note: str) -> None:
        """Keep a copy for good. Conflict `audit.witness_differs`, Unavailable `audit.witness_unwritable`."""
        folder = self.folder(code)
        path = self._path(code, size)
        draft = folder / f".{size:015d}.{secrets.token_hex(8)}"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_whole(draft, note)
            os.link(draft, path)  # the name appears with the whole text behind it, and never over another
        except FileExistsError:
            if path.read_text(encoding="utf-8") != note:
                raise Conflict("audit.witness_differs", "another head stands under this size", size=size) from None
        except OSError as e:
            raise Unavailable(
                "audit.witness_unwritable",
                f"cannot keep a copy of the head in {folder}: {e.strerror}",
                remedy="make room there and let this user write; nothing of the log is lost, run it again",
            ) from None
        finally:
            draft.unlink(missing_ok=True)

    def folder(self, code: str) -> Path:
        """Where one municipality's copies lie."""
        return self.root / code

    def _path(self, code: str, size: int) -> Path:
        return self.folder(code) / f"{size:015d}{SUFFIX}"


def _write_whole(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def witness_of(fleet: Fleet) -> DirectoryWitness:
    """The write-once folder of this installation."""
    return witness_in(fleet.config)


def witness_in(config: Config) -> DirectoryWitness:
    """The same by the settings alone, for whoever opens no runtime."""
    return DirectoryWitness(config.home_path / "witness")


async def witnessed_checkpoint(fleet: Fleet, code: str, witness: Witness | None = None) -> Checkpoint:
    """Checkpoint, then copy the newest head where the witness does not have it, be it of a run that was killed.

    One head vouches for everything before it, so older ones without a copy need none.
    """
    made = await checkpoint(fleet, code)
    await copy_newest(fleet, code, witness)
    return made


async def copy_newest(fleet: Fleet, code: str, witness: Witness | None = None) -> None:
    """Have the witness keep the newest head. Conflict `audit.witness_differs` where it has seen a later or another one.

    A log that was put back to an older state and has outgrown the witness since is another history too: every copy is of a
    head that the log has, so the newest copy must still stand there word for word.
    """
    keeper = witness or witness_of(fleet)
    # first the witness, then the log, which only grows: the other way round a busy neighbour would look like a cut
    seen = await asyncio.to_thread(keeper.newest, code)
    async with fleet.session(code, write=False, states=LOG_STATES) as session:
        newest = await log_store.newest_note(session)
        there = await log_store.note_of(session, seen) if seen else ""
    if there is None:
        raise Conflict("audit.witness_differs", "the witness has a head that the log has not", size=seen)
    if newest is None:
        return
    if 0 < seen < newest[0]:
        await asyncio.to_thread(keeper.put, code, seen, there)  # refused where the copy says something else
    await asyncio.to_thread(keeper.put, code, *newest)
