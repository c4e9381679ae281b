"""証跡の書出し: sealed rows, tree and heads as files, for the verifier and for keeping; needs no key to check."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
from pathlib import Path
from typing import Any, Final, TextIO

from juki.audit import log_store, note
from juki.audit.log import LOG_STATES
from juki.audit.log_store import LeafRow
from juki.audit.witness import witness_of
from juki.problem import Conflict, NotFound
from juki.tenancy import Fleet
from juki.tenancy.session import TenantSession

FORMAT: Final = "juki-audit-export/1"
HEADS_THINNED_TO: Final = 5_000
_LEAVES_PER_READ: Final = 5_000


async def export(fleet: Fleet, code: str, folder: Path) -> dict[str, Any]:
    """Write the log up to its last checkpoint into a new folder; what is in it, by numbers.

    Conflict `audit.folder_not_empty`, NotFound `audit.no_checkpoint`. The public key is beside it for convenience: a
    verifier should have got it by another road.
    """
    _must_be_new(folder)
    ring = await fleet.keyring.get(code)
    public = ring.checkpoint_signer().public_pem
    async with fleet.session(code, write=False, states=LOG_STATES) as session:
        head = await log_store.head(session)
        if not head.size:
            raise NotFound("audit.no_checkpoint", "the log has no head yet", remedy="run `juki audit checkpoint`")
        (folder / "checkpoints").mkdir(parents=True, mode=0o700)
        await _write_rows(session, folder, head.size)
        heads = await _write_heads(session, folder, head.size, witness_of(fleet).sizes(code))
    (folder / "key.pem").write_bytes(public)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "origin": note.origin(code),
        "tenant": code,
        "size": head.size,
        "root": head.root.hex(),
        "checkpoints": heads,
        "exported_at": fleet.clock().astimezone(dt.UTC).isoformat(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _must_be_new(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise Conflict("audit.folder_not_empty", f"{folder} is not empty", remedy="name a new folder")


async def _write_heads(session: TenantSession, folder: Path, size: int, witnessed: set[int]) -> int:
    """Heads into files: those a witness has a copy of, the last one, and of the others so many that a file system bears.

    Heads are signed every half second of work; one of them vouches for everything before it.
    """
    step = max(1, size // HEADS_THINNED_TO)
    after = count = 0
    kept = -step
    while heads := await log_store.notes(session, after, size):
        for at, text in heads:
            after = at
            if at - kept >= step or at in witnessed or at == size:
                (folder / "checkpoints" / f"{at:015d}.checkpoint").write_text(text, encoding="utf-8")
                kept = at
                count += 1
    return count


async def _write_rows(session: TenantSession, folder: Path, size: int) -> None:
    entries = os.open(folder / "entries.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(entries, "w", encoding="utf-8") as rows, (folder / "leaves.bin").open("wb") as tree:
        for start in range(0, size, _LEAVES_PER_READ):
            for leaf in await log_store.leaves(session, start, min(size, start + _LEAVES_PER_READ)):
                _write_row(rows, leaf)
                tree.write(leaf.leaf_hash)


def _write_row(rows: TextIO, leaf: LeafRow) -> None:
    at = leaf.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    row = {
        "leaf": leaf.leaf_no,
        "op": leaf.op_no,
        "part": leaf.part,
        "kind": leaf.kind,
        "action": leaf.action,
        "result": leaf.result,
        "at": at,
        "xid": leaf.xid,
        "body": base64.b64encode(leaf.body).decode(),
    }
    rows.write(json.dumps(row, ensure_ascii=False) + "\n")
