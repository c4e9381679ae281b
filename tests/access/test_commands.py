"""`juki access` and `juki audit` as an operator runs them: exit codes, files, and no secret on screen."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from juki.__main__ import main
from juki.config import Config

IWAKI = "072044"
OTP = Path(__file__).resolve().parents[2] / "scripts" / "otp"

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def juki(fresh_config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command against a clone; exit code, JSON answer and everything printed."""
    for name in ("home", "kms", "dsn_registry", "dsn_deploy", "dsn_control", "dsn_rekey"):
        monkeypatch.setenv(f"JUKI_{name.upper()}", str(getattr(fresh_config, name)))
    monkeypatch.setenv("JUKI_ARGON2_MEMORY_KIB", "64")
    monkeypatch.setenv("JUKI_ARGON2_PASSES", "1")

    def run(*arguments: object, stdin: str = "") -> tuple[int, Any, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main([str(a) for a in arguments])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out.startswith(("{", "[")) else None, printed.out + printed.err

    return run


def otp(secret: str) -> str:
    """The code of now from the small program that ships with the platform."""
    done = subprocess.run([sys.executable, str(OTP)], input=secret, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_first_accounts_then_a_person_acts_at_a_terminal(juki: Run, tmp_path: Path, people_file: Path) -> None:
    """R-A-3.3-AUT-01, R-1-3.3-PRV-01: the list works once; afterwards every command is somebody's, with code and terminal."""
    out = tmp_path / "first.json"
    first = ("access", "bootstrap", "--tenant", IWAKI, "--people", people_file, "--out", out, "--json")
    code, answer, printed = juki(*first)
    assert code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    handed = json.loads(out.read_text(encoding="utf-8"))
    secrets = {s["login"]: s for s in handed["operators"]}
    assert set(secrets) == {"sato.m", "suzuki.k", "kimura.j", "endo.y"}
    assert not any(s["password"] in printed or s["otp_secret"] in printed for s in secrets.values())
    assert juki(*first)[:2] == (0, {"tenant": IWAKI, "operators": [], "terminals": [], "out": None})

    terminal = tmp_path / "terminal"
    terminal.write_text(handed["terminals"][0]["token"], encoding="ascii")
    acting = ("--tenant", IWAKI, "--terminal", terminal, "--json", "--as")
    boss = secrets["endo.y"]
    typed = f"{boss['password']}\n{otp(boss['otp_secret'])}\n"
    code, answer, _ = juki("access", "operator", "list", *acting, "endo.y", stdin=typed)
    assert (code, len(answer)) == (0, 4)
    # the same one-time code again
    code, answer, printed = juki("access", "operator", "list", *acting, "endo.y", stdin=typed)
    assert (code, answer["error"]["code"]) == (1, "access.login_failed")
    # a clerk's duty does not carry the right
    clerk = secrets["sato.m"]
    typed = f"{clerk['password']}\n{otp(clerk['otp_secret'])}\n"
    code, answer, _ = juki("access", "operator", "list", *acting, "sato.m", stdin=typed)
    assert (code, answer["error"]["code"]) == (1, "access.right_missing")


def test_secrets_never_replace_a_file_and_nothing_becomes_valid_without_them(
    juki: Run, tmp_path: Path, people_file: Path
) -> None:
    """R-1-3.3-PRV-05: where the secrets cannot be handed over, no account is opened; the next run opens them all."""
    out = tmp_path / "first.json"
    out.write_text("somebody's", encoding="utf-8")
    first = ("access", "bootstrap", "--tenant", IWAKI, "--people", people_file, "--json", "--out")
    code, answer, _ = juki(*first, out)
    assert (code, answer["error"]["code"]) == (4, "access.out_exists")
    assert out.read_text(encoding="utf-8") == "somebody's"
    code, answer, _ = juki(*first, tmp_path / "other.json")
    assert (code, len(answer["operators"])) == (0, 4)
    code, answer, _ = juki("access", "bootstrap", "--tenant", "999999", *first[4:], tmp_path / "third.json")
    assert (code, answer["error"]["code"]) == (1, "tenant.unknown")


def test_the_log_is_closed_exported_and_verified_by_commands(juki: Run, tmp_path: Path, people_file: Path) -> None:
    """R-A-3.3-LOG-01, R-A-3.3-LOG-02: head, copy, export, verification and review, each with its exit code."""
    juki("access", "bootstrap", "--tenant", IWAKI, "--people", people_file, "--out", tmp_path / "first.json")
    code, answer, _ = juki("audit", "checkpoint", "--json")
    assert code == 0
    assert {made["tenant"]: made["size"] for made in answer} == {IWAKI: 2, "075418": 0}
    assert juki("audit", "sweep", "--tenant", IWAKI, "--json")[1] == [{"tenant": IWAKI, "closed": 0}]
    code, answer, _ = juki("audit", "export", "--tenant", IWAKI, "--out", tmp_path / "export", "--json")
    assert (code, answer["size"]) == (0, 2)
    verify = ("audit", "verify", tmp_path / "export", "--key", answer["key"], "--witness", answer["witness"])
    assert juki(*verify, "--json")[:1] == (0,)
    lines = (tmp_path / "export" / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "export" / "entries.jsonl").write_text(lines[1] + "\n", encoding="utf-8")
    code, answer, _ = juki(*verify, "--json")
    assert (code, [f["kind"] for f in answer["findings"]]) == (1, ["deletion"])
    code, answer, _ = juki("audit", "export", "--tenant", IWAKI, "--out", tmp_path / "export", "--json")
    assert (code, answer["error"]["code"]) == (1, "audit.folder_not_empty")
    code, answer, _ = juki("audit", "analyse", "--tenant", IWAKI, "--json")
    assert (code, answer) == (0, [])


def test_the_one_time_program_says_so_when_the_secret_is_none() -> None:
    """R-A-3.3-AUT-01: a mistyped secret gives no code."""
    done = subprocess.run([sys.executable, str(OTP)], input="1!", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_first_secrets_are_kept_where_nobody_knows_whether_they_became_valid(
    juki: Run, tmp_path: Path, people_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-AUT-01: the list works once, so the only copy of its secrets is not thrown away when an answer is lost."""
    commit = psycopg.AsyncConnection.commit
    out = tmp_path / "first.json"

    async def lost(connection: psycopg.AsyncConnection[Any]) -> None:
        await commit(connection)
        if out.exists():
            monkeypatch.setattr(psycopg.AsyncConnection, "commit", commit)
            await connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.AsyncConnection, "commit", lost)
    first = ("access", "bootstrap", "--tenant", IWAKI, "--people", people_file, "--out", out)
    code, _, printed = juki(*first)
    assert (code, "audit.done_already" in printed) == (1, True)
    assert len(json.loads(out.read_text(encoding="utf-8"))["operators"]) == 4
