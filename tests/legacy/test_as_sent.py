"""Nothing is begun of an extract that is not what its sender counted, and the sender is told of every row (R-1-2.6-MIG-01)."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.legacy.media import imported

from juki import legacy
from juki.__main__ import main
from juki.access.model import Caller
from juki.config import Config
from juki.problem import Invalid
from juki.tenancy import Fleet, bulk

from .conftest import truth

CODE = "075418"


def _cut(folder: Path) -> None:
    path = folder / "residents.csv"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _longer(folder: Path) -> None:
    with (folder / "support.csv").open("ab") as file:
        file.write(b"\r\n")


def _one_letter(folder: Path) -> None:
    path = folder / "residents.csv"
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(bytes(raw))


def _not_on_the_slip(folder: Path) -> None:
    path = folder / "extract.json"
    slip = json.loads(path.read_text(encoding="utf-8"))
    slip["files"] = [file for file in slip["files"] if file["name"] != "support.csv"]
    path.write_text(json.dumps(slip), encoding="utf-8")


@pytest.mark.parametrize("spoil", [_cut, _longer, _one_letter, _not_on_the_slip])
async def test_an_extract_that_is_not_as_its_slip_says_is_not_begun(
    fleet: Fleet,
    extracts: dict[str, Path],
    caller: Callable[..., Caller],
    tmp_path: Path,
    spoil: Callable[[Path], None],
) -> None:
    """R-1-2.6-MIG-01: half a city once written cannot be followed by the other half; the dry run still tells all."""
    folder = tmp_path / "extract"
    shutil.copytree(extracts[CODE], folder)
    spoil(folder)
    who = caller("import.run", "import.review", tenant=CODE)
    with pytest.raises(Invalid) as refused:
        await imported(fleet, who, folder)
    assert refused.value.code == "legacy.slip_differs"
    assert "extract.json" in refused.value.detail or ".csv" in refused.value.detail
    with bulk(fleet, CODE) as connection:
        assert connection.execute("SELECT count(*) FROM t075418.import_run").fetchone() == (0,)
    rehearsed, _ = await legacy.dry_run(fleet, who, folder)
    assert not rehearsed.balanced


@pytest.mark.parametrize("files", [None, [], "names only"])
async def test_an_extract_whose_slip_counts_no_file_is_not_begun(
    fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller], tmp_path: Path, files: object
) -> None:
    """R-1-2.6-MIG-01: with nothing to compare it balanced, although the last part of a file may not have arrived."""
    folder = tmp_path / "extract"
    shutil.copytree(extracts[CODE], folder)
    path = folder / "extract.json"
    slip = json.loads(path.read_text(encoding="utf-8"))
    names = [{"name": file["name"]} for file in slip.pop("files")]
    if files is not None:
        slip["files"] = names if files == "names only" else files
    path.write_text(json.dumps(slip), encoding="utf-8")
    who = caller("import.run", "import.review", tenant=CODE)
    with pytest.raises(Invalid) as refused:
        await imported(fleet, who, folder)
    assert refused.value.code == "legacy.slip_uncounted"
    rehearsed, _ = await legacy.dry_run(fleet, who, folder)
    assert not rehearsed.balanced
    assert {check.source for check in rehearsed.checks if not check.ok} == {"not counted on the slip"}


@pytest.mark.parametrize(("code", "files"), [("072044", ("JUMIN.DAT", "RIREKI.DAT")), ("075418", ("residents.csv",))])
async def test_an_extract_without_one_resident_is_refused(
    fleet: Fleet,
    extracts: dict[str, Path],
    caller: Callable[..., Caller],
    tmp_path: Path,
    code: str,
    files: tuple[str, ...],
) -> None:
    folder = tmp_path / "extract"
    shutil.copytree(extracts[code], folder)
    for name in files:
        path = folder / name
        path.write_bytes(b"" if code == "072044" else path.read_bytes().split(b"\r\n")[0] + b"\r\n")
    with pytest.raises(Invalid) as refused:
        await legacy.dry_run(fleet, caller("import.run", tenant=code), folder)
    assert refused.value.code == "legacy.no_residents"


def test_a_dry_run_writes_every_row_for_the_sender_and_nothing_that_stands_in_it(
    config: Config,
    extracts: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """R-1-2.6-MIG-01: twenty rows on a screen are not enough to mend an extract by."""
    for name in ("home", "kms", "dsn_registry"):
        monkeypatch.setenv(f"JUKI_{name.upper()}", str(getattr(config, name)))
    listed = tmp_path / "rows.csv"
    command = ["legacy", "import", "--tenant", CODE, "--source", str(extracts[CODE])]
    assert main([*command, "--rows", str(listed)]) == 1
    assert "legacy.rows_of_import" in capsys.readouterr().err
    assert main([*command, "--dry-run", "--rows", str(listed)]) == 0
    told = list(csv.DictReader(listed.read_text(encoding="utf-8-sig").splitlines()))
    rejected = {
        (row["ファイル"], int(row["行"]), row["項目"], row["理由コード"])
        for row in told
        if row["区分"] == "取り込めない"
    }
    assert rejected == truth(extracts[CODE])
    assert len(told) > len(rejected)
    assert all(row["理由"].endswith("。") for row in told)
    assert main([*command, "--dry-run", "--rows", str(tmp_path / "no" / "rows.csv")]) == 3


def _pipe(folder: Path) -> str:
    (folder / "extract.json").unlink()
    os.mkfifo(folder / "extract.json")
    return "legacy.source_unreadable"


def _huge(folder: Path) -> str:
    with (folder / "extract.json").open("ab") as file:
        file.truncate(1 << 31)
    return "legacy.slip_unreadable"


def _header_without_end(folder: Path) -> str:
    path = folder / "residents.csv"
    head, rest = path.read_bytes().split(b"\r\n", 1)
    path.write_bytes(head + b",x" * 5000 + b"\r\n" + rest)
    return "legacy.not_this_layout"


def _column_that_no_row_has(folder: Path) -> str:
    path = folder / "residents.csv"
    path.write_bytes(path.read_bytes().replace(b"\r\n", ",余り\r\n".encode(), 1))
    return "legacy.not_this_layout"


@pytest.mark.parametrize("spoil", [_pipe, _huge, _header_without_end, _column_that_no_row_has])
async def test_what_cannot_be_read_as_a_whole_is_said_at_once(
    fleet: Fleet,
    extracts: dict[str, Path],
    caller: Callable[..., Caller],
    tmp_path: Path,
    spoil: Callable[[Path], str],
) -> None:
    """R-1-2.6-MIG-01: a slip that is a pipe was waited for, and an import of which no row fitted took nobody and balanced."""
    folder = tmp_path / "extract"
    shutil.copytree(extracts[CODE], folder)
    code = spoil(folder)
    with pytest.raises(Invalid) as refused:
        await asyncio.wait_for(legacy.dry_run(fleet, caller("import.run", tenant=CODE), folder), 20)
    assert refused.value.code == code
