"""`juki offboard` from the request to the certificate, as persons of 広野町's kind would type it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest

from juki.__main__ import main
from juki.access.model import Caller

from ..registry.conftest import Desk, three
from ..rotation.test_killed import environment
from .conftest import Leaver

PEOPLE = """
approved_by = "asks.a"
change_password_at_first_login = false
[[operator]]
login = "asks.a"
name = "試験　一郎"
staff_no = "1"
office = "総務課"
duties = ["管理者"]
[[operator]]
login = "approves.b"
name = "試験　二郎"
staff_no = "2"
office = "町民税務課"
duties = ["所属長"]
[[operator]]
login = "audits.c"
name = "試験　三郎"
staff_no = "3"
office = "総務課"
duties = ["監査"]
[outside_hours]
hours = 24
reason = "試験"
"""

SIGNATORY = """
name = "{name}"
title = "課長"
organisation = "試験町総務課"
place = "本庁"
contact = "内線100"
code = "{code}"
"""


class Terminal:
    """Somebody's command line: remembers one-time codes, so that none is used twice."""

    def __init__(self, leaver: Leaver, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self.leaver, self.folder = leaver, folder
        self._patch, self._capsys = monkeypatch, capsys
        self._steps: dict[str, int] = {}
        self.secrets: dict[str, Any] = {}

    async def run(self, *arguments: str, typed: str = "", code: int = 0) -> Any:
        """The JSON answer of one command; `code` is the exit code expected."""
        self._patch.setattr(sys, "stdin", io.StringIO(typed))
        done = await asyncio.to_thread(main, [*arguments, "--json"])
        told = self._capsys.readouterr()
        assert done == code, told.out + told.err
        return json.loads(told.out.strip().splitlines()[-1])

    async def offboard(self, verb: str, *arguments: str, who: str = "", code: int = 0) -> Any:
        """One verb of `juki offboard`, by a person where one is named."""
        given = [*arguments, "--tenant", self.leaver.code]
        typed = ""
        if who:
            given += ["--as", who, "--terminal", str(self.folder / "terminal")]
            typed = self._typed(who)
        return await self.run("offboard", verb, *given, typed=typed, code=code)

    def _typed(self, who: str) -> str:
        person = next(p for p in self.secrets["operators"] if p["login"] == who)
        now = int(time.time()) // 30
        step = max(self._steps.get(who, 0) + 1, now - 1)
        self._steps[who] = step
        return f"{person['password']}\n{pyotp.TOTP(person['otp_secret']).at(step * 30)}\n"

    def signatory(self, name: str, code: str = "") -> str:
        """A person's file."""
        path = self.folder / f"{name}.toml"
        path.write_text(SIGNATORY.format(name=name, code=code), encoding="utf-8")
        return str(path)


@pytest.fixture
def terminal(
    leaver: Leaver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """A command line with the test's settings."""
    for name in [n for n in os.environ if n.startswith("JUKI_")]:
        monkeypatch.delenv(name)
    for name, value in environment(leaver.config).items():
        if name.startswith("JUKI_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("JUKI_ADMIN_DSN", leaver.admin_dsn)
    return Terminal(leaver, tmp_path, monkeypatch, capsys)


async def opened_office(terminal: Terminal, caller: Callable[..., Caller]) -> None:
    """Accounts, a terminal and a family."""
    (terminal.folder / "people.toml").write_text(PEOPLE, encoding="utf-8")
    out = terminal.folder / "secrets.json"
    terminal._patch.delenv("JUKI_ADMIN_DSN")
    await terminal.run(
        "access", "bootstrap", "--tenant", terminal.leaver.code,
        "--people", str(terminal.folder / "people.toml"), "--out", str(out),
    )  # fmt: skip
    terminal._patch.setenv("JUKI_ADMIN_DSN", terminal.leaver.admin_dsn)
    terminal.secrets = json.loads(out.read_text())
    place = next(t for t in terminal.secrets["terminals"] if "admin" in t["functions"])
    (terminal.folder / "terminal").write_text(place["token"])
    desk = Desk(terminal.leaver.fleet, caller, terminal.leaver.code)
    await desk.make(three("渡邊"))


async def test_a_municipality_leaves_by_the_command_line_alone(
    terminal: Terminal, leaver: Leaver, caller: Callable[..., Caller]
) -> None:
    """R-1-3.4-OUT-08: asked for, approved, handed over, erased, verified, validated, certified; each by its own person."""
    await opened_office(terminal, caller)
    folder = terminal.folder
    (folder / "public.pem").write_bytes(leaver.public_key)
    (folder / "private.pem").write_bytes(leaver.private_key)
    untouched = (await terminal.run("offboard", "digest", "--tenant", "072044"))["sha256"]

    asked = await terminal.offboard("request", "--public-key", str(folder / "public.pem"), who="asks.a")
    refused = await terminal.offboard("approve", "--fingerprint", asked["fingerprint"], who="asks.a", code=1)
    assert refused["error"]["code"] == "access.right_missing"
    await terminal.offboard("approve", "--fingerprint", asked["fingerprint"], who="approves.b")
    codes: dict[str, str] = {}
    for duty, who in (("verified", "audits.c"), ("validated", "approves.b")):
        await terminal.offboard("appoint", "--duty", duty, "--out", str(folder / duty), who=who)
        codes[duty] = (folder / duty).read_text().strip()
    await terminal.offboard("backup", "--out", str(folder / "before.dump"))
    exported = await terminal.offboard("export", "--out", str(folder / "out"), who="asks.a")
    assert exported["balanced"]
    await terminal.run(
        "offboard", "open", "--export", str(folder / "out"), "--key", str(folder / "private.pem"),
        "--out", str(folder / "opened"),
    )  # fmt: skip
    compared = await terminal.offboard("compare", "--opened", str(folder / "opened"))
    assert compared["equal"]

    # the third code of the person who asked is of the next half minute, so the clock need not be waited for
    terminal._steps["asks.a"] = max(terminal._steps["asks.a"], int(time.time()) // 30 - 1)
    person = terminal.signatory("実施者")
    while terminal._steps["asks.a"] > int(time.time()) // 30:
        await asyncio.sleep(1)
    erased = await terminal.offboard("erase", "--person", person, "--grace", "0", who="asks.a")
    assert erased["state"] == "erased"
    again = await terminal.offboard("erase")
    assert again["state"] == "erased"
    early = await terminal.offboard("certificate", code=1)
    assert early["error"]["code"] == "offboarding.wrong_state"
    await terminal.offboard(
        "verify", "--person", terminal.signatory("検証者", codes["verified"]), "--dump", str(folder / "before.dump")
    )
    await terminal.offboard("validate", "--person", terminal.signatory("確認者", codes["validated"]))
    issued = await terminal.offboard("certificate")
    assert (issued["final"], issued["method"]) == (False, "主張しない")
    status = await terminal.offboard("status")
    assert status["case"]["state"] == "certified"
    assert len(status["steps"]) == 11
    assert (await terminal.run("offboard", "digest", "--tenant", "072044"))["sha256"] == untouched


async def test_a_command_for_nobody_says_what_is_missing(terminal: Terminal) -> None:
    """Bad input: one clear message and the right exit code."""
    unknown = await terminal.run("offboard", "status", "--tenant", "999999", code=1)
    assert unknown["error"]["code"] == "offboarding.no_case"
    missing = await terminal.run(
        "offboard", "open", "--export", "/nowhere", "--key", "/nowhere/key", "--out", str(terminal.folder / "x"), code=4
    )
    assert missing["error"]["code"] == "offboarding.key_file"
