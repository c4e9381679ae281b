"""The verifier against a table of tampering: each way is named, with the tree file intact and with it forged as well."""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import juki.audit.verifier
from juki import audit
from juki.access.model import Caller
from juki.audit import verifier
from juki.tenancy import Fleet

from . import tamper

IWAKI, HIRONO = "072044", "075418"


class Exported:
    """One export of a log with six heads, a witness's copies of them, and the key that signs."""

    def __init__(self, folder: Path, witness: Path, signer: Any, other_key: Path) -> None:
        self.folder = folder
        self.witness = witness
        self.signer = signer
        self.other_key = other_key
        self.size = int(json.loads((folder / "manifest.json").read_text())["size"])

    def report(self, folder: Path | None = None, *, witnessed: bool = True) -> verifier.Report:
        key = verifier.read_key(self.folder / "key.pem")
        return verifier.verify(folder or self.folder, key, [self.witness] if witnessed else [])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exported(fleet: Fleet, caller: Callable[..., Caller], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("log")
    witness = audit.DirectoryWitness(root / "witness")
    for _ in range(6):
        for number in range(9):
            async with audit.operation(fleet, caller(), "resident.read", purpose="照会", write=False) as op:
                op.disclose(f"{number:010d}", ["氏名"], to="本人", basis="住基法12条", medium="紙")
        await audit.witnessed_checkpoint(fleet, IWAKI, witness)
    await audit.export(fleet, IWAKI, root / "export")
    async with audit.operation(fleet, caller(tenant=HIRONO), "resident.read", purpose="照会", write=False):
        pass
    await audit.checkpoint(fleet, HIRONO)
    await audit.export(fleet, HIRONO, root / "other")
    signer = (await fleet.keyring.get(IWAKI)).checkpoint_signer()
    return Exported(root / "export", witness.folder(IWAKI), signer, root / "other" / "key.pem")


def kinds(report: verifier.Report) -> list[str]:
    return sorted({finding.kind for finding in report.findings})


async def test_an_untouched_log_is_whole(exported: Exported) -> None:
    """R-A-3.3-LOG-01: the verifier finds nothing where nothing was done, with and without a witness."""
    assert exported.report().findings == ()
    assert exported.report(witnessed=False).whole
    assert exported.report().entries == exported.size == 6 * 9 * 3


@pytest.mark.parametrize("kind", tamper.BY_NAME)
@pytest.mark.parametrize("place", [0, 40, 100])
async def test_tampering_with_the_rows_is_named_and_located(
    exported: Exported, tmp_path: Path, kind: str, place: int
) -> None:
    """R-A-3.3-LOG-01: deletion, reordering, truncation, alteration and insertion each by name and leaf."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    tamper.put_rows(folder, tamper.BY_NAME[kind](tamper.rows_of(folder), place))
    report = exported.report(folder)
    assert kinds(report) == [kind]
    assert report.findings[0].first == place


@pytest.mark.parametrize(
    ("kind", "place", "named"),
    [
        ("deletion", 40, "deletion"),
        ("reordering", 40, "reordering"),
        ("alteration", 40, "alteration"),
        ("truncation", 150, "truncation"),
        ("truncation", 54, "truncation"),
    ],
)
async def test_tampering_with_rows_and_tree_alike_is_named_from_the_heads(
    exported: Exported, tmp_path: Path, kind: str, place: int, named: str
) -> None:
    """R-A-3.3-LOG-01: whoever forges the tree file too cannot forge the heads; the stretch between two heads is named."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    tamper.put_rows(folder, tamper.BY_NAME[kind](tamper.rows_of(folder), place), with_tree=True)
    report = exported.report(folder)
    assert named in kinds(report)
    finding = next(f for f in report.findings if f.kind == named)
    assert finding.first <= place <= finding.last


async def test_a_log_cut_back_to_an_earlier_head_is_seen_by_the_witness_only(
    exported: Exported, tmp_path: Path
) -> None:
    """R-A-3.3-LOG-03: rows, tree and heads cut back together look like an earlier log, but the witness has later heads."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    tamper.put_rows(folder, tamper.rows_of(folder)[:81], with_tree=True)
    for path in (folder / "checkpoints").glob("*.checkpoint"):
        if int(path.stem) > 81:
            path.unlink()
    assert exported.report(folder, witnessed=False).whole
    assert kinds(exported.report(folder)) == ["missing_checkpoint", "truncation"]


async def test_another_history_signed_with_the_real_key_is_a_fork(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: even the holder of the signing key cannot tell two stories once a witness has the first."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    tamper.fork(folder, 60, exported.signer)
    assert exported.report(folder, witnessed=False).whole
    assert kinds(exported.report(folder)) == ["fork"]


async def test_a_head_of_another_key_or_an_altered_head_is_no_head(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: signatures count, names of files do not."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    newest = max((folder / "checkpoints").glob("*.checkpoint"))
    text = newest.read_text(encoding="utf-8")
    newest.write_text(text.replace(f"\n{exported.size}\n", f"\n{exported.size - 1}\n"), encoding="utf-8")
    report = exported.report(folder)
    assert kinds(report) == ["bad_signature", "missing_checkpoint"]
    stranger = verifier.verify(exported.folder, verifier.read_key(exported.other_key))
    assert "bad_signature" in kinds(stranger)
    assert not stranger.whole


async def test_an_altered_tree_file_is_named(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: rows and heads agree, the tree does not."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    raw = bytearray((folder / "leaves.bin").read_bytes())
    raw[70] ^= 1
    (folder / "leaves.bin").write_bytes(bytes(raw))
    assert kinds(exported.report(folder)) == ["tree_alteration"]


async def test_a_missing_head_is_named_by_the_witness(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-03: a head that was taken out of the export is missed."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    (folder / "checkpoints" / f"{54:015d}.checkpoint").unlink()
    report = exported.report(folder)
    assert [(f.kind, f.first) for f in report.findings] == [("missing_checkpoint", 54)]


async def test_a_line_that_is_no_row_is_an_alteration(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: garbage does not stop the check, it is what the check finds."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    lines[7] = "{" * 200
    (folder / "entries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = exported.report(folder)
    assert [(f.kind, f.first) for f in report.findings] == [("alteration", 7)]


async def test_the_program_runs_from_its_file_alone_and_answers_with_exit_codes(
    exported: Exported, tmp_path: Path
) -> None:
    """R-A-3.3-LOG-01: carried elsewhere as one file, without our package: 0 whole, 1 tampered with, 2 unreadable."""
    program = shutil.copy(juki.audit.verifier.__file__, tmp_path / "verifier.py")
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    tamper.put_rows(folder, tamper.delete(tamper.rows_of(folder), 3))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    key = exported.folder / "key.pem"
    whole = run(exported.folder, "--key", key, "--witness", exported.witness, "--json")
    assert (whole.returncode, json.loads(whole.stdout)["whole"]) == (0, True)
    tampered = run(folder, "--key", key, "--witness", exported.witness)
    assert tampered.returncode == 1
    assert "TAMPERED deletion at 3..3" in tampered.stdout
    assert run(tmp_path, "--key", key).returncode == 2
    assert run(folder, "--key", tmp_path / "nothing").returncode == 2
    imports = [
        line for line in Path(program).read_text().splitlines() if line.lstrip().startswith(("import ", "from "))
    ]
    assert not [line for line in imports if "juki" in line]


async def test_after_crypto_erase_the_log_still_verifies(
    fresh_fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """R-A-3.3-LOG-03: with every key destroyed the rows open no more, and the log is still shown to be whole."""
    async with audit.operation(fresh_fleet, caller(), "resident.read", purpose="照会", write=False) as op:
        op.touch("0000000017")
    await audit.witnessed_checkpoint(fresh_fleet, IWAKI)
    await audit.export(fresh_fleet, IWAKI, tmp_path / "export")
    tenant = await fresh_fleet.tenant(IWAKI)
    fresh_fleet.kms.disable(tenant.key_id)
    fresh_fleet.kms.schedule_deletion(tenant.key_id, 7)
    fresh_fleet.keyring.purge(IWAKI)
    key = verifier.read_key(tmp_path / "export" / "key.pem")
    assert verifier.verify(tmp_path / "export", key, [audit.witness_of(fresh_fleet).folder(IWAKI)]).whole


def forge_tail(exported: Exported, folder: Path, place: int, keep: int) -> Path:
    """Rewrite history from `place` on: heads up to `keep` stay as witnessed, later ones are signed anew with the real key.

    The answer is a witness that saw the heads up to `keep` only.
    """
    tamper.fork(folder, place, exported.signer)
    witness = folder.parent / "early witness"
    witness.mkdir()
    for path in (exported.folder / "checkpoints").glob("*.checkpoint"):
        if int(path.stem) <= keep:
            shutil.copy(path, folder / "checkpoints" / path.name)
            shutil.copy(path, witness / path.name)
    return witness


@pytest.mark.parametrize("tree", ["fits the rows", "is gone", "is the true one"])
async def test_a_rewritten_past_is_a_fork_also_where_the_true_heads_lie_beside_the_forged_ones(
    exported: Exported, tmp_path: Path, tree: str
) -> None:
    """R-A-3.3-LOG-01: an insider rewrites rows and later heads, and leaves the witnessed heads in place so none is missed."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    witness = forge_tail(exported, folder, 40, 81)
    if tree == "is gone":
        (folder / "leaves.bin").unlink()
    elif tree == "is the true one":
        shutil.copy(exported.folder / "leaves.bin", folder / "leaves.bin")
    key = verifier.read_key(exported.folder / "key.pem")
    assert "fork" in kinds(verifier.verify(folder, key, [witness]))
    assert "fork" in kinds(verifier.verify(folder, key))


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row | {"leaf": 3},
        lambda row: row | {"note": "approved by telephone"},
        lambda row: row | {"part": bool(row["part"])},
        lambda row: row | {"at": row["at"].replace("Z", "123Z")},
        lambda row: row | {"body": row["body"] + "\n"},
    ],
    ids=["leaf number", "a field of its own", "a truth for a number", "another spelling of the time", "a wider body"],
)
async def test_what_no_leaf_vouches_for_is_an_alteration(
    exported: Exported, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """R-A-3.3-LOG-01: whatever a reader sees in a row is what was signed, in the one spelling the export has."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    lines[61] = json.dumps(change(json.loads(lines[61])), ensure_ascii=False)
    (folder / "entries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [(f.kind, f.first) for f in exported.report(folder).findings] == [("alteration", 61)]


async def test_a_field_said_twice_is_an_alteration(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: one program would read the first, another the last."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    lines[9] = lines[9].replace("{", '{"action": "session.login", ', 1)
    (folder / "entries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [(f.kind, f.first) for f in exported.report(folder).findings] == [("alteration", 9)]


async def test_a_witness_that_holds_no_head_is_not_taken_for_a_witness(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-03: a mistyped or emptied folder must not read as "nothing to object"."""
    key = verifier.read_key(exported.folder / "key.pem")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(verifier.Unreadable):
            verifier.verify(exported.folder, key, [folder])


async def test_an_export_made_to_break_the_reader_is_answered_and_not_suffered(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: nesting without end, a line without end, a folder where a head should be: named or unreadable."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    lines = (folder / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    lines[5] = "[" * 100_000
    (folder / "entries.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [(f.kind, f.first) for f in exported.report(folder).findings] == [("alteration", 5)]
    monkeypatch.setattr(verifier, "LINE_BYTES_MAX", 50_000)
    with pytest.raises(verifier.Unreadable):
        exported.report(folder)
    other = tamper.copied(exported.folder, tmp_path / "other")
    (other / "checkpoints" / "1.checkpoint").mkdir()
    with pytest.raises(verifier.Unreadable):
        exported.report(other)
    (other / "manifest.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(verifier.Unreadable):
        exported.report(other)


async def test_a_manifest_that_renames_the_log_is_not_read(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: the name in the signed heads and the code in the leaves are one municipality's."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"tenant": HIRONO}), encoding="utf-8")
    with pytest.raises(verifier.Unreadable):
        exported.report(folder)


@pytest.mark.parametrize("seed", range(40))
async def test_no_mixture_of_tampering_is_called_whole(exported: Exported, tmp_path: Path, seed: int) -> None:
    """R-A-3.3-LOG-01: rows, tree and heads changed together at random, with the signing key in hand: never whole."""
    chance = random.Random(seed)
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    rows = tamper.rows_of(folder)
    for _ in range(chance.randint(1, 3)):
        rows = tamper.BY_NAME[chance.choice(sorted(tamper.BY_NAME))](rows, chance.randrange(len(rows) - 1))
    tamper.put_rows(folder, rows, with_tree=chance.random() < 0.5)
    if chance.random() < 0.3:
        (folder / "leaves.bin").unlink()
    leaves = [verifier.leaf_of(IWAKI, row) for row in rows]
    for path in sorted((folder / "checkpoints").glob("*.checkpoint")):
        root = verifier.roots_at(leaves, [int(path.stem)]).get(int(path.stem))
        if root is not None and chance.random() < 0.7:
            text = tamper.note.body(IWAKI, int(path.stem), root, datetime.datetime.now(datetime.UTC))
            path.write_text(tamper.note.sign(text, IWAKI, exported.signer), encoding="utf-8")
    assert not exported.report(folder).whole


@pytest.mark.parametrize(
    "name",
    ["a\nwhole: 162 leaves under root 00", "\x1b[2J\u202e", "証明", b"\xff\xfe".decode("utf-8", "surrogateescape")],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
async def test_a_name_made_to_deceive_the_reader_writes_no_line_of_its_own(
    exported: Exported, tmp_path: Path, name: str, encoding: str
) -> None:
    """R-A-3.3-LOG-01: names of files are the attacker's; what is printed is ours, on any terminal, and never a trace."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    (folder / "checkpoints" / f"{name}.checkpoint").write_text("no head")
    done = _run_alone(folder, exported, {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (1, b"")
    said = done.stdout.decode(encoding)
    assert not [line for line in said.splitlines() if line.startswith("whole")]
    assert all(sign.isprintable() or sign == "\n" for sign in said)
    assert said.count("TAMPERED bad_signature") == 1


@pytest.mark.parametrize("code", ["\ud800", "072044\nwhole: 162 leaves under root 00"])
async def test_a_manifest_made_to_deceive_the_reader_writes_no_line_of_its_own(
    exported: Exported, tmp_path: Path, code: str
) -> None:
    """R-A-3.3-LOG-01: neither a trace nor a line that reads like a verdict."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    manifest = {"format": "juki-audit-export/1", "origin": f"juki.audit/{code}", "tenant": code}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    done = _run_alone(folder, exported, {})
    assert (done.returncode, done.stderr) == (1, b"")
    assert not [line for line in done.stdout.decode().splitlines() if line.startswith("whole")]


@pytest.mark.parametrize("device", ["pipe", "/dev/zero"])
async def test_a_pipe_or_device_for_a_manifest_keeps_nobody_waiting(
    exported: Exported, tmp_path: Path, device: str
) -> None:
    """R-A-3.3-LOG-01: unreadable, and said at once."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    (folder / "manifest.json").unlink()
    if device == "pipe":
        os.mkfifo(folder / "manifest.json")
    else:
        (folder / "manifest.json").symlink_to(device)
    assert _run_alone(folder, exported, {}).returncode == 2


async def test_bytes_behind_the_tree_are_named(exported: Exported, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: what no head vouches for is not passed over, be it less than a leaf."""
    folder = tamper.copied(exported.folder, tmp_path / "copy")
    with (folder / "leaves.bin").open("ab") as tree:
        tree.write(b"behind")
    assert kinds(exported.report(folder)) == ["tree_alteration"]


async def test_an_export_older_than_the_copies_is_told_how_to_be_told_from_a_cut_log(
    fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """R-A-3.3-LOG-03: a municipality that works on signs heads after its export; the moment that decides is named."""
    await audit.checkpoint(fleet, IWAKI)
    await audit.export(fleet, IWAKI, tmp_path / "export")
    async with audit.operation(fleet, caller(), "resident.read", purpose="照会", write=False):
        pass
    witness = audit.DirectoryWitness(tmp_path / "witness")
    made = await audit.witnessed_checkpoint(fleet, IWAKI, witness)
    key = verifier.read_key(tmp_path / "export" / "key.pem")
    report = verifier.verify(tmp_path / "export", key, [witness.folder(IWAKI)])
    assert kinds(report) == ["missing_checkpoint", "truncation"]
    assert made.made_at is not None
    assert datetime.datetime.fromisoformat(report.behind) == made.made_at


async def test_a_key_taken_from_the_export_itself_is_said_to_prove_little(
    exported: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-A-3.3-LOG-01: whoever makes a log up makes up a key for it, too."""
    assert verifier.main([str(exported.folder), "--key", str(exported.folder / "key.pem")]) == 0
    assert "this key lies in the export itself" in capsys.readouterr().out


def _run_alone(folder: Path, exported: Exported, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    program = [
        sys.executable,
        str(juki.audit.verifier.__file__),
        str(folder),
        "--key",
        str(exported.folder / "key.pem"),
    ]
    return subprocess.run(
        program, capture_output=True, timeout=60, check=False, env={**os.environ, "PYTHONUTF8": "1", **environment}
    )
