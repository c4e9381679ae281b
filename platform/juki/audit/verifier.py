"""検証プログラム: reads an exported log and says whether it is whole. Needs no database, no key but the public one, and
no other module of ours: it can be carried to another machine as this one file.

    python verifier.py DIR --key FILE [--witness DIR]... [--json]

DIR holds entries.jsonl (the sealed rows in their order), leaves.bin (32 bytes a leaf) and checkpoints/ (signed heads).
A witness folder holds copies of heads kept elsewhere; without one, a log cut back to an earlier head looks like that
earlier log. With copies made after the export, an honest older export looks like a log that was cut back: take the
copies first and the export after them. Exit: 0 whole, 1 tampered with, 2 cannot be read.

It names: deletion, reordering, truncation, fork, alteration, insertion, tree_alteration, bad_signature,
missing_checkpoint, unsigned_tail.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import dataclasses
import datetime as dt
import hashlib
import json
import struct
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

ROWS_NAMED_MAX = 20
LINE_BYTES_MAX = 64 * 1024 * 1024
HEAD_BYTES_MAX = 64 * 1024
_FIELDS = ("leaf", "op", "part", "kind", "action", "result", "at", "xid", "body")
_NUMBERS = ("leaf", "op", "part", "xid")
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_DASH = "\u2014"


class Unreadable(Exception):
    """The export is not what this program reads."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing wrong: its kind, the leaves it concerns (first and last, or -1) and a sentence."""

    kind: str
    first: int
    last: int
    detail: str


@dataclasses.dataclass(frozen=True)
class Head:
    """A signed head whose signature holds."""

    size: int
    root: bytes
    source: str
    witnessed: bool
    at: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is kept of a row: its hash and where it stands in the order of transactions."""

    leaf: bytes
    order: tuple[int, int, int]
    number: int  # the place that the row says it has


@dataclasses.dataclass(frozen=True)
class Report:
    """What was read and what was found."""

    origin: str
    entries: int
    heads: int
    witnessed: int
    size: int
    root: str
    findings: tuple[Finding, ...]
    behind: str = (
        ""  # when the first head was signed that only a witness has, where this export is whole but for later heads
    )

    @property
    def whole(self) -> bool:
        """True where nothing was found."""
        return not self.findings


def leaf_of(code: str, row: dict[str, Any]) -> bytes:
    """RFC 6962 hash of a row's canonical bytes (format 1)."""
    body = base64.b64decode(row["body"], validate=True)
    since = dt.datetime.fromisoformat(row["at"].replace("Z", "+00:00")) - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    parts = [b"\x00\x01", code.encode(), struct.pack(">qi", row["op"], row["part"])]
    for name in ("kind", "action", "result"):
        text = row[name].encode()
        parts += [struct.pack(">i", len(text)), text]
    parts += [struct.pack(">qQi", micros, row["xid"], len(body)), body]
    return hashlib.sha256(b"".join(parts)).digest()


def roots_at(leaves: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """Roots of the first n leaves, for every asked n that the log reaches."""
    wanted = {size for size in sizes if 0 < size <= len(leaves)}
    found: dict[int, bytes] = {}
    peaks: list[bytes] = []
    for count, leaf in enumerate(leaves, 1):
        node, place = leaf, count - 1
        while place & 1:
            node = _node(peaks.pop(), node)
            place >>= 1
        peaks.append(node)
        if count in wanted:
            root = peaks[-1]
            for peak in reversed(peaks[:-1]):
                root = _node(peak, root)
            found[count] = root
    return found


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify(folder: Path, public: bytes, witnesses: Sequence[Path] = ()) -> Report:
    """Check one export against its heads and the witnesses' copies; Unreadable where it is no export."""
    manifest = _manifest(folder)
    origin, code = str(manifest["origin"]), str(manifest["tenant"])
    findings: list[Finding] = []
    own = list(_heads(folder / "checkpoints", origin, public, findings, witnessed=False))
    seen: list[Head] = []
    for witness in witnesses:
        if not witness.is_dir() or not any(witness.glob("*.checkpoint")):
            raise Unreadable(f"{witness} holds no head, so it witnesses nothing")
        seen += _heads(witness, origin, public, findings, witnessed=True)
    entries = list(_entries(folder / "entries.jsonl", code))
    tree = _tree(folder / "leaves.bin")
    if not own and not seen:
        findings.append(Finding("missing_checkpoint", -1, -1, "no signed head to compare with"))
    findings += _compare(entries, tree, own, seen)
    size = max((head.size for head in own), default=0)
    root = next((head.root.hex() for head in own if head.size == size), "")
    behind = _behind(entries, own, seen, findings)
    return Report(origin, len(entries), len(own), len(seen), size, root, tuple(_merged(findings)), behind)


def _behind(entries: list[Entry], own: list[Head], seen: list[Head], findings: list[Finding]) -> str:
    """Cut back, or only older than the copies? The files cannot tell; this is the moment that decides."""
    end = len(entries)
    only_later = all(f.kind in ("missing_checkpoint", "truncation") and f.first >= end for f in findings)
    later = sorted((head for head in seen if head.size > end), key=lambda head: head.size)
    return later[0].at if later and only_later and any(head.size == end for head in own) else ""


def _compare(entries: list[Entry], tree: list[bytes], own: list[Head], seen: list[Head]) -> Iterator[Finding]:
    """Every difference between rows, tree and heads."""
    heads = sorted(own + seen, key=lambda head: head.size)
    yield from _missing_heads(own, seen)
    yield from _two_roots(heads)
    leaves = [entry.leaf for entry in entries]
    sizes = [head.size for head in heads]
    row_roots, tree_roots = roots_at(leaves, sizes), roots_at(tree, sizes)
    longest = max(sizes, default=0)
    rows_hold = len(leaves) == longest and all(row_roots.get(head.size) == head.root for head in heads)
    if rows_hold:
        for place, entry in enumerate(entries):
            if entry.number != place:
                yield Finding("alteration", place, place, "the row says that it stands elsewhere")
        if tree != leaves:
            yield Finding("tree_alteration", -1, -1, "leaves.bin is not the tree of these rows")
        return
    trusted = [head for head in heads if tree_roots.get(head.size) == head.root]
    if len(trusted) == len(heads) and len(tree) == longest:
        yield from _differences(leaves, tree)
        return
    yield from _without_tree(entries, tree, own, seen, row_roots, tree_roots)


def _missing_heads(own: list[Head], seen: list[Head]) -> Iterator[Finding]:
    sizes = {head.size for head in own}
    for head in seen:
        if head.size not in sizes:
            yield Finding("missing_checkpoint", head.size, head.size, f"{head.source} has a head the log lacks")


def _two_roots(heads: list[Head]) -> Iterator[Finding]:
    first: dict[int, Head] = {}
    for head in heads:
        other = first.setdefault(head.size, head)
        if other.root != head.root:
            yield Finding(
                "fork", head.size - 1, head.size - 1, f"{other.source} and {head.source} are two histories, both signed"
            )


def _differences(leaves: list[bytes], tree: list[bytes]) -> Iterator[Finding]:
    """Rows against a tree that the heads vouch for: what is gone, what is foreign, what has moved."""
    spare = Counter(leaves)
    gone: list[int] = []
    for place, leaf in enumerate(tree):
        if spare[leaf] > 0:
            spare[leaf] -= 1
        else:
            gone.append(place)
    known = Counter(tree)
    foreign: list[int] = []
    kept: list[bytes] = []
    for place, leaf in enumerate(leaves):
        if known[leaf] > 0:
            known[leaf] -= 1
            kept.append(leaf)
        else:
            foreign.append(place)
    altered = sorted(set(gone) & set(foreign)) if len(gone) == len(foreign) else []
    gone = [place for place in gone if place not in altered]
    for place in altered:
        yield Finding("alteration", place, place, "the row is not the one that was witnessed")
    if foreign and not altered:
        yield Finding("insertion", foreign[0], foreign[-1], f"{len(foreign)} rows were never witnessed")
    tail = len(tree) - len(gone)
    if gone and gone == list(range(tail, len(tree))):
        yield Finding("truncation", tail, len(tree) - 1, f"the last {len(gone)} rows are missing")
    else:
        yield from _runs("deletion", gone)
    lost = set(gone) | set(altered)
    expected = [leaf for place, leaf in enumerate(tree) if place not in lost]
    moved = [place for place, (is_, was) in enumerate(zip(kept, expected, strict=False)) if is_ != was]
    if moved:
        yield Finding("reordering", moved[0], moved[-1], f"{len(moved)} rows stand in another order")


def _without_tree(
    entries: list[Entry],
    tree: list[bytes],
    own: list[Head],
    seen: list[Head],
    row_roots: dict[int, bytes],
    tree_roots: dict[int, bytes],
) -> Iterator[Finding]:
    """The tree file does not help: either it was cut and altered with the rows, or the log is another history."""
    count = len(entries)
    leaves = [entry.leaf for entry in entries]
    consistent = bool(own) and tree == leaves and all(row_roots.get(head.size) == head.root for head in own)
    strangers = [head for head in seen if head.size <= count and row_roots.get(head.size) != head.root]
    if consistent and strangers:
        at = strangers[0]
        yield Finding("fork", at.size - 1, count - 1, f"signed and whole in itself, yet not what {at.source} witnessed")
        return
    ordered = sorted(own + seen, key=lambda head: head.size)
    good = max((h.size for h in ordered if h.size <= count and row_roots.get(h.size) == h.root), default=0)
    for head in ordered:
        if head.size < good and row_roots.get(head.size) != head.root:
            yield Finding("fork", head.size - 1, good - 1, f"{head.source} and a later signed head are two histories")
    bad = next((h for h in ordered if h.size > good and row_roots.get(h.size) != h.root), None)
    if bad is None:
        if count > good:
            yield Finding("unsigned_tail", good, count - 1, "rows behind the last head")
        return
    if tree_roots.get(bad.size) != bad.root and tree[:good] != leaves[:good]:
        yield Finding("tree_alteration", -1, -1, "leaves.bin does not belong to the heads")
    longest = max(head.size for head in ordered)
    if count < longest and not any(good < head.size <= count for head in ordered):
        yield Finding("truncation", count, longest - 1, f"the last {longest - count} rows are missing")
        return
    span = entries[good : bad.size]
    if count < longest:
        yield Finding("deletion", good, bad.size - 1, f"{longest - count} rows are missing in this stretch")
    elif any(later.order < earlier.order for earlier, later in pairwise(span)):
        yield Finding("reordering", good, bad.size - 1, "rows in this stretch stand in another order")
    else:
        yield Finding("alteration", good, bad.size - 1, "a row in this stretch is not the one that was witnessed")


def _runs(kind: str, places: list[int]) -> Iterator[Finding]:
    start = 0
    for end in range(1, len(places) + 1):
        if end == len(places) or places[end] != places[end - 1] + 1:
            yield Finding(kind, places[start], places[end - 1], f"{end - start} rows are missing here")
            start = end


def _merged(findings: list[Finding]) -> Iterator[Finding]:
    """At most so many of a kind are named; the rest is counted."""
    per_kind: Counter[str] = Counter()
    for finding in findings:
        per_kind[finding.kind] += 1
        if per_kind[finding.kind] <= ROWS_NAMED_MAX:
            yield finding
    for kind, count in per_kind.items():
        if count > ROWS_NAMED_MAX:
            yield Finding(kind, -1, -1, f"and {count - ROWS_NAMED_MAX} more")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        path = folder / "manifest.json"
        _must_be_a_file(path)
        manifest: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise Unreadable(f"{folder} has no readable manifest.json") from error
    code = manifest.get("tenant")
    if manifest.get("format") != "juki-audit-export/1" or manifest.get("origin") != f"juki.audit/{code}":
        raise Unreadable(f"{folder} is not an export of this format")
    return manifest


def _entries(path: Path, code: str) -> Iterator[Entry]:
    try:
        _must_be_a_file(path)
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise Unreadable(f"line {number} is too long")
                yield _entry(line, code)
    except OSError as error:
        raise Unreadable(f"cannot read {path}") from error


def _entry(line: bytes, code: str) -> Entry:
    """A row; a line that is none counts as a row that was never witnessed."""
    try:
        row: dict[str, Any] = json.loads(line, object_pairs_hook=_said_once)
        if not _plainly_spelled(row):
            raise ValueError("a row has one spelling")
        return Entry(leaf_of(code, row), (row["xid"], row["op"], row["part"]), row["leaf"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        return Entry(hashlib.sha256(b"not a row" + line).digest(), (0, 0, 0), -1)


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A field said twice would be read one way here and another way elsewhere."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field stands twice")
    return dict(pairs)


def _plainly_spelled(row: dict[str, Any]) -> bool:
    """Nothing beside what the leaf vouches for, and nothing written in a way that a reader could take for something else."""
    if set(row) != set(_FIELDS) or any(type(row[name]) is not int for name in _NUMBERS):
        return False
    at = dt.datetime.fromisoformat(row["at"].removesuffix("Z"))
    body = base64.b64encode(base64.b64decode(row["body"], validate=True)).decode()
    return row["at"] == at.isoformat(timespec="microseconds") + "Z" and row["body"] == body


def _tree(path: Path) -> list[bytes]:
    try:
        _must_be_a_file(path)
        raw = path.read_bytes()
    except OSError:
        return []
    return [raw[i : i + 32] for i in range(0, len(raw), 32)]


def _heads(folder: Path, origin: str, public: bytes, findings: list[Finding], *, witnessed: bool) -> Iterator[Head]:
    for path in sorted(folder.glob("*.checkpoint")):
        source = f"{'witness ' if witnessed else ''}{path.name}"
        try:
            _must_be_a_file(path)
            with path.open("rb") as file:
                text = file.read(HEAD_BYTES_MAX).decode(errors="replace").replace("\r\n", "\n")
        except OSError as error:
            raise Unreadable(f"cannot read {path}") from error
        head = _head(text, origin, public, source, witnessed)
        if head is None:
            findings.append(Finding("bad_signature", -1, -1, f"{source} is not signed by this key"))
        else:
            yield head


def _must_be_a_file(path: Path) -> None:
    """A pipe or a device under the name of a file would keep the reader for ever."""
    if not path.is_file():
        raise OSError(f"{path} is no plain file")


def _head(text: str, origin: str, public: bytes, source: str, witnessed: bool) -> Head | None:
    """A signed note of this log, or None."""
    message, _, signature_line = text.partition("\n\n")
    message += "\n"
    lines = message.split("\n")
    mark = f"{_DASH} {origin} "
    if len(lines) < 4 or lines[0] != origin or not signature_line.startswith(mark):
        return None
    try:
        size, root = int(lines[1]), base64.b64decode(lines[2], validate=True)
        raw = base64.b64decode(signature_line[len(mark) :].strip(), validate=True)
    except (ValueError, binascii.Error):
        return None
    key_hash = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    if size <= 0 or len(root) != 32 or raw[:4] != key_hash or not _signed(public, raw[4:], message.encode()):
        return None
    return Head(size, root, source, witnessed, lines[3].removeprefix("time "))


def _signed(public: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_key(path: Path) -> bytes:
    """32 raw bytes of an Ed25519 public key in a PEM file (SubjectPublicKeyInfo) or a line of base64."""
    try:
        text = path.read_text(encoding="ascii")
        lines = [line for line in text.split() if line and "-----" not in line and line not in ("PUBLIC", "KEY")]
        raw = base64.b64decode("".join(line for line in lines if "-" not in line), validate=True)
    except (OSError, ValueError, binascii.Error) as error:
        raise Unreadable(f"{path} holds no public key") from error
    if len(raw) == 44 and raw[:12] == bytes.fromhex("302a300506032b6570032100"):
        raw = raw[12:]
    if len(raw) != 32:
        raise Unreadable(f"{path} holds no Ed25519 public key")
    return raw


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 whole, 1 tampered with, 2 cannot be read."""
    parser = argparse.ArgumentParser(prog="juki-audit-verify", description="Verify an exported log.")
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line, for this program and for the `juki` command."""
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="public key of the log, obtained apart")
    parser.add_argument("--witness", action="append", default=[], type=Path, metavar="DIR", help="copies of heads")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Verify, print, and answer with the exit code."""
    try:
        report = verify(options.folder, read_key(options.key), options.witness)
    except Unreadable as error:
        sys.stderr.write(f"verify: {_plain(str(error))}\n")
        return 2
    shown = _shown(report, options)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    return 0 if report.whole else 1


def _plain(text: str) -> str:
    """Names of files and of the log may hold line breaks, control signs or marks of direction that would forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def _shown(report: Report, options: argparse.Namespace) -> str:
    if options.json:
        whole = {"whole": report.whole, **dataclasses.asdict(report)}
        return json.dumps(whole) + "\n"
    lines = [
        f"{_plain(report.origin)}: {report.entries} rows, {report.heads} heads, {report.witnessed} witnessed copies"
    ]
    lines += [
        f"TAMPERED {f.kind}" + (f" at {f.first}..{f.last}" if f.first >= 0 else "") + f": {_plain(f.detail)}"
        for f in report.findings
    ]
    if report.whole:
        lines.append(f"whole: {report.size} leaves under root {report.root}")
    if report.behind:
        lines.append(
            f"note: what is here agrees with its heads; an honest export taken before {_plain(report.behind)} looks the same."
            " Taken later, the log was cut back. When in doubt copy the witness first and export anew"
        )
    if options.key.resolve().parent == options.folder.resolve():
        lines.append("note: this key lies in the export itself, so whoever made the one may have made the other")
    if not options.witness:
        lines.append(
            "note: no witness given, so a log cut back to an earlier head cannot be told from that earlier log"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
