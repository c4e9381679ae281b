"""`juki legacy`: one clear message and the right exit code for whatever goes wrong (0, 1, 2, 3, 4)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from juki.__main__ import main
from juki.config import Config
from juki.texts import text_of

from .conftest import truth

IWAKI, HIRONO = "072044", "075418"


@pytest.fixture
def settings(config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The module's database as a person at the command line would name it."""
    for name in ("home", "kms", "dsn_registry"):
        monkeypatch.setenv(f"JUKI_{name.upper()}", str(getattr(config, name)))
    return config


def _import(*options: str, code: str = HIRONO) -> list[str]:
    return ["legacy", "import", "--tenant", code, *options]


def test_generate_import_report_and_worklist_speak_json(
    settings: Config, extracts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-1-2.6-MIG-01: dry run first, then for real, then the report and the rows for the clerk."""
    source = str(extracts[HIRONO])
    medium = [
        "legacy",
        "medium",
        "add",
        "USB-075418-01",
        "--tenant",
        HIRONO,
        "--kind",
        "usb",
        "--encryption",
        "AES-256",
    ]
    assert main(_import("--source", source)) == 1
    assert "legacy.medium_unregistered" in capsys.readouterr().err
    assert main([*medium, "--received-on", "2026-04-01", "--from", "現行事業者　搬送担当"]) == 0
    capsys.readouterr()
    assert main(_import("--source", source, "--dry-run", "--json")) == 0
    rehearsed = json.loads(capsys.readouterr().out)
    assert main(_import("--source", source, "--json", "--report", str(tmp_path / "r.json"))) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["balanced"]
    assert done["counts"] == rehearsed["counts"]
    assert json.loads((tmp_path / "r.json").read_text()) == done
    assert main(["legacy", "report", "--tenant", HIRONO]) == 0
    assert "一致しました" in capsys.readouterr().out
    assert main(["legacy", "worklist", "--tenant", HIRONO, "--outcome", "rejected", "--limit", "500", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {(i["file"], i["line"], i["item"], i["reason"]) for i in listed["items"]} == truth(extracts[HIRONO])
    under = ["--tenant", HIRONO, "--on", "2026-04-02"]
    assert main(["legacy", "medium", "return", "USB-075418-01", *under, "--to", "現行事業者　搬送担当"]) == 0
    assert main(["legacy", "medium", "destroy", "USB-075418-01", *under, "--by", "情報政策課　廃棄担当"]) == 1
    assert "legacy.medium_gone" in capsys.readouterr().err
    assert main(["legacy", "medium", "list", "--tenant", HIRONO, "--json"]) == 0
    (kept,) = json.loads(capsys.readouterr().out)
    assert [(s["state"], s["on_day"]) for s in kept["steps"]] == [("in", "2026-04-01"), ("returned", "2026-04-02")]
    entry = str(listed["items"][0]["entry_no"])
    assert main(["legacy", "decide", "--tenant", HIRONO, entry, "resolved", "--reason", "原簿で確認"]) == 0
    assert main(["legacy", "decide", "--tenant", HIRONO, entry, "dismissed", "--reason", "二度目"]) == 1
    assert main(_import("--source", source)) == 1
    assert "legacy.already_imported" in capsys.readouterr().err


def test_what_a_worklist_prints_holds_no_value(
    settings: Config, extracts: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only class and length of a value are told, never the value."""
    main(["legacy", "import", "--tenant", IWAKI, "--source", str(extracts[IWAKI]), "--dry-run"])
    main(["legacy", "worklist", "--tenant", HIRONO, "--all", "--limit", "500"])
    told = capsys.readouterr()
    raw = (extracts[HIRONO] / "residents.csv").read_text(encoding="utf-8", errors="replace")
    values = {cell for line in raw.splitlines()[1:200] for cell in line.split(",") if len(cell) > 9}
    assert values
    assert not [value for value in values if value in told.out + told.err]


@pytest.mark.parametrize(
    ("options", "exit_code", "said"),
    [
        (["--source", "/nowhere/at/all"], 1, "legacy.source_missing"),
        (["--source", "/nowhere", "--layout", "tape"], 4, "legacy.layout_unknown"),
        (["--source", "/nowhere", "--layout", "/nowhere/own.toml"], 4, "legacy.layout_unreadable"),
    ],
)
def test_a_wrong_argument_is_named(
    settings: Config, capsys: pytest.CaptureFixture[str], options: list[str], exit_code: int, said: str
) -> None:
    assert main(_import(*options)) == exit_code
    assert said in capsys.readouterr().err


def test_an_extract_in_another_encoding_is_named_before_anything_is_written(
    settings: Config, extracts: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sjis"
    shutil.copytree(extracts[HIRONO], folder)
    path = folder / "residents.csv"
    path.write_bytes(path.read_bytes().decode("utf-8", "replace").encode("cp932", "replace"))
    assert main(_import("--source", str(folder))) == 1
    assert "legacy.wrong_encoding" in capsys.readouterr().err


def test_a_database_that_is_gone_asks_to_try_again(
    settings: Config, extracts: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUKI_DSN_REGISTRY", "host=127.0.0.1 port=1 dbname=none user=none")
    monkeypatch.setenv("JUKI_POOL_WAIT_SECONDS", "1")
    assert main(_import("--source", str(extracts[HIRONO]))) == 3
    assert "db.gone" in capsys.readouterr().err


def test_a_missing_setting_is_named(
    settings: Config, extracts: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JUKI_DSN_REGISTRY")
    assert main(_import("--source", str(extracts[HIRONO]))) == 4
    assert "JUKI_DSN_REGISTRY" in capsys.readouterr().err


def test_an_unknown_option_is_a_question_of_usage() -> None:
    with pytest.raises(SystemExit) as left:
        main(_import("--sorce", "x"))
    assert left.value.code == 2


def test_generate_refuses_a_folder_with_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").touch()
    tenant = str(Path(__file__).resolve().parents[2] / "tenants" / "072044-iwaki.toml")
    assert main(["legacy", "generate", "--tenant", tenant, "--residents", "10", "--out", str(tmp_path)]) == 1
    assert "incumbent.not_empty" in capsys.readouterr().err


def test_the_layouts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["legacy", "layouts"]) == 0
    assert "cp932-fixed" in capsys.readouterr().out


def _slip_away(folder: Path) -> None:
    (folder / "extract.json").unlink()


def _slip_a_folder(folder: Path) -> None:
    (folder / "extract.json").unlink()
    (folder / "extract.json").mkdir()


def _slip_empty(folder: Path) -> None:
    (folder / "extract.json").write_bytes(b"")


def _slip_of_something_else(folder: Path) -> None:
    (folder / "extract.json").write_text('{"name": "渡邊 太郎"}', encoding="utf-8")


def _residents_away(folder: Path) -> None:
    (folder / "residents.csv").unlink()


def _residents_a_folder(folder: Path) -> None:
    (folder / "residents.csv").unlink()
    (folder / "residents.csv").mkdir()


def _residents_a_pipe(folder: Path) -> None:
    (folder / "residents.csv").unlink()
    os.mkfifo(folder / "residents.csv")


def _residents_empty(folder: Path) -> None:
    (folder / "residents.csv").write_bytes(b"")


def _residents_noise(folder: Path) -> None:
    (folder / "residents.csv").write_bytes(bytes(range(128, 256)) * 64)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_slip_away, "legacy.slip_missing"),
        (_slip_a_folder, "legacy.source_unreadable"),
        (_slip_empty, "legacy.slip_unreadable"),
        (_slip_of_something_else, "legacy.slip_unreadable"),
        (_residents_away, "legacy.file_missing"),
        (_residents_a_folder, "legacy.source_unreadable"),
        (_residents_a_pipe, "legacy.source_unreadable"),
        (_residents_empty, "legacy.empty_file"),
        (_residents_noise, "legacy.wrong_encoding"),
    ],
)
def test_an_extract_that_cannot_be_read_is_one_message_with_the_next_step(
    settings: Config,
    extracts: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    code: str,
) -> None:
    """R-1-2.6-MIG-01: what happened, file and remedy on three lines, exit code 1, nobody's data; a pipe is not waited for."""
    folder = tmp_path / "extract"
    shutil.copytree(extracts[HIRONO], folder)
    damage(folder)
    assert main(_import("--source", str(folder), "--dry-run")) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"juki: {text_of(code)}"
    assert code in told[1]
    assert told[2].startswith("      -> ")
    assert len(told) == 3
    assert "渡邊" not in "".join(told)
