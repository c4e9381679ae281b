"""Ways to tamper with an exported log, for tests and for the demonstration.

    python tests/audit/tamper.py SOURCE TARGET --how deletion|reordering|truncation|alteration|insertion|fork [--at N]

A fork is signed with the municipality's real key, so it needs the settings of a running installation.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from juki.audit import note, verifier
from juki.audit.note import Signer
from juki.config import load
from juki.tenancy import Fleet

Rows = list[dict[str, Any]]


def copied(source: Path, target: Path) -> Path:
    """A copy of an export that may be written to."""
    shutil.copytree(source, target)
    for path in target.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return target


def rows_of(folder: Path) -> Rows:
    return [json.loads(line) for line in (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()]


def put_rows(folder: Path, rows: Rows, *, with_tree: bool = False) -> None:
    """Write rows back, numbered again; `with_tree` also makes leaves.bin fit."""
    lines = [json.dumps({**row, "leaf": place}, ensure_ascii=False) for place, row in enumerate(rows)]
    (folder / "entries.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if with_tree:
        code = json.loads((folder / "manifest.json").read_text())["tenant"]
        (folder / "leaves.bin").write_bytes(b"".join(verifier.leaf_of(code, row) for row in rows))


def delete(rows: Rows, place: int) -> Rows:
    """One row goes."""
    return rows[:place] + rows[place + 1 :]


def reorder(rows: Rows, place: int) -> Rows:
    """Two neighbours change places."""
    return [*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]]


def truncate(rows: Rows, place: int) -> Rows:
    """Everything from a place on goes."""
    return rows[:place]


def alter(rows: Rows, place: int) -> Rows:
    """One row is refused no more."""
    body = bytearray(base64.b64decode(rows[place]["body"]))
    body[-1] ^= 1
    return [*rows[:place], {**rows[place], "body": base64.b64encode(bytes(body)).decode()}, *rows[place + 1 :]]


def insert(rows: Rows, place: int) -> Rows:
    """A row that never was."""
    return [*rows[:place], {**rows[place], "op": 10**12, "part": 0}, *rows[place:]]


def fork(folder: Path, place: int, signer: Signer) -> None:
    """Another history from `place` on, whole in itself and signed with the real key: only a witness can tell."""
    manifest = json.loads((folder / "manifest.json").read_text())
    code = str(manifest["tenant"])
    rows = alter(rows_of(folder), place)
    put_rows(folder, rows, with_tree=True)
    leaves = [verifier.leaf_of(code, row) for row in rows]
    sizes = [int(path.stem) for path in (folder / "checkpoints").glob("*.checkpoint")]
    for size, root in verifier.roots_at(leaves, sizes).items():
        path = folder / "checkpoints" / f"{size:015d}.checkpoint"
        stamp = path.read_text(encoding="utf-8").splitlines()[3].removeprefix("time ")
        at = verifier.dt.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        path.write_text(note.sign(note.body(code, size, root, at), code, signer), encoding="utf-8")


BY_NAME: dict[str, Callable[[Rows, int], Rows]] = {
    "deletion": delete,
    "reordering": reorder,
    "truncation": truncate,
    "alteration": alter,
    "insertion": insert,
}


async def signer_of(code: str) -> Signer:
    """The real key, as an insider would have it."""
    fleet = await Fleet.open(load(os.environ))
    try:
        return (await fleet.keyring.get(code)).checkpoint_signer()
    finally:
        await fleet.close()


def main() -> int:
    """Copy an export and tamper with the copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--how", required=True, choices=[*BY_NAME, "fork"])
    parser.add_argument("--at", type=int, help="leaf to begin with; the middle without")
    options = parser.parse_args()
    folder = copied(options.source, options.target)
    rows = rows_of(folder)
    place = len(rows) // 2 if options.at is None else options.at
    if options.how == "fork":
        code = json.loads((folder / "manifest.json").read_text())["tenant"]
        fork(folder, place, asyncio.run(signer_of(code)))
    else:
        put_rows(folder, BY_NAME[options.how](rows, place))
    return 0


if __name__ == "__main__":
    sys.exit(main())
