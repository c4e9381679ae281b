"""Step 10: the log is whole; four copies of it are tampered with, and the verifier names each."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from juki.audit import note
from juki.audit.verifier import leaf_of, roots_at
from juki.config import load
from juki.tenancy import Fleet
from story.world import IWAKI, REPOSITORY, World, proved


def run(world: World) -> dict[str, object]:
    """Export, verify without a database, then delete, reorder, truncate and fork."""
    world.juki("audit", "checkpoint", "--tenant", IWAKI)
    folder = world.out / "audit-log"
    shutil.rmtree(folder, ignore_errors=True)
    told = world.juki("audit", "export", "--tenant", IWAKI, "--out", str(folder), "--json").json
    witness = world.home / "witness-copy"
    shutil.copytree(told["witness"], witness, dirs_exist_ok=True)
    code, report = verify(folder, folder, witness)
    proved(code == 0, f"the log verifies: {report.get('findings')}")
    named: dict[str, list[str]] = {}
    for kind, spoil in TAMPERINGS.items():
        copy = world.home / f"tampered-{kind}"
        shutil.copytree(folder, copy)
        spoil(world, copy)
        code, found = verify(copy, folder, witness)
        kinds = sorted({f["kind"] for f in found["findings"]})
        proved(code == 1 and kind in kinds, f"{kind} is named (found {kinds})")
        named[kind] = kinds
    return {
        "proved": "証跡は完全で、削除・並べ替え・切り詰め・分岐をそれぞれ名指しします",
        "leaves": told["size"], "heads": report["heads"], "named": named,
    }  # fmt: skip


def verify(folder: Path, original: Path, witness: Path) -> tuple[int, dict[str, object]]:
    """The verifier as a program of its own, run as one file, with no setting of ours in its environment."""
    program = REPOSITORY / "platform" / "juki" / "audit" / "verifier.py"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_") and k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(program), str(folder), "--key", str(original / "key.pem"), "--witness", str(witness), "--json"],
        capture_output=True, text=True, env=clean, cwd="/", check=False,
    )  # fmt: skip
    proved(done.returncode in (0, 1), f"the verifier runs: {done.stderr[-300:]}")
    return done.returncode, json.loads(done.stdout)


def _rewrite(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> list[bytes]:
    """Change the rows and make tree and manifest fit again, as somebody who covers their tracks would."""
    rows = change((folder / "entries.jsonl").read_bytes().splitlines(keepends=True))
    (folder / "entries.jsonl").write_bytes(b"".join(rows))
    leaves = [leaf_of(IWAKI, json.loads(row)) for row in rows]
    (folder / "leaves.bin").write_bytes(b"".join(leaves))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"size": len(rows)}))
    return leaves


def _delete(_: World, folder: Path) -> None:
    (folder / "entries.jsonl").write_bytes(b"".join(_without((folder / "entries.jsonl").read_bytes(), 3)))


def _without(rows: bytes, place: int) -> list[bytes]:
    lines = rows.splitlines(keepends=True)
    return lines[:place] + lines[place + 1 :]


def _reorder(_: World, folder: Path) -> None:
    lines = (folder / "entries.jsonl").read_bytes().splitlines(keepends=True)
    lines[2], lines[5] = lines[5], lines[2]
    (folder / "entries.jsonl").write_bytes(b"".join(lines))


def _truncate(_: World, folder: Path) -> None:
    heads = sorted((folder / "checkpoints").glob("*.checkpoint"))
    for head in heads[-1:]:
        head.unlink()
    _rewrite(folder, lambda rows: rows[: len(rows) - 2])


def _fork(world: World, folder: Path) -> None:
    """Somebody who holds the signing key writes another history of the same length and signs it."""
    leaves = _rewrite(folder, lambda rows: [*rows[:-1], _altered(rows[-1])])
    for head in (folder / "checkpoints").glob("*.checkpoint"):
        head.unlink()
    root = roots_at(leaves, [len(leaves)])[len(leaves)]
    text = asyncio.run(_signed(world, len(leaves), root))
    (folder / "checkpoints" / f"{len(leaves):015d}.checkpoint").write_text(text, encoding="utf-8")


def _altered(row: bytes) -> bytes:
    value = json.loads(row)
    other = hashlib.sha256(row).hexdigest()[:8]
    return json.dumps(value | {"action": f"{value['action']}.{other}"}).encode() + b"\n"


async def _signed(world: World, size: int, root: bytes) -> str:
    fleet = await Fleet.open(load(world.env()))
    try:
        ring = await fleet.keyring.get(IWAKI)
        return note.sign(note.body(IWAKI, size, root, fleet.clock()), IWAKI, ring.checkpoint_signer())
    finally:
        await fleet.close()


TAMPERINGS: dict[str, Callable[[World, Path], None]] = {
    "deletion": _delete,
    "reordering": _reorder,
    "truncation": _truncate,
    "fork": _fork,
}
