"""The verifier against a table of tampering: each way is named, with the tree file intact and with it forged as well."""

from __future__ import annotations

import json
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
