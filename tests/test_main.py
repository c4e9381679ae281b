"""The `juki` command: one clear message, the right exit code, and never what a foreign error quotes."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from typing import Any

import psycopg
import pytest

from juki import __main__ as juki
from juki.commands import tenant
from juki.problem import Conflict, Invalid, JukiError, Misconfigured, NotFound, Refused, Unavailable
from juki.texts import text_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("x.y"), 1),
        (Conflict("x.y"), 1),
        (Refused("x.y"), 1),
        (Invalid("x.y", fields={"a": "b"}), 1),
        (Unavailable("x.y"), 3),
        (Misconfigured("x.y"), 4),
        (OSError(28, "No space left on device", "/somewhere/file"), 3),
        (PermissionError(13, "Permission denied", "/somewhere/file"), 1),
        (IsADirectoryError(21, "Is a directory", "/somewhere"), 1),
        (ValueError("渡邉 太郎"), 1),
        (psycopg.errors.UndefinedTable("渡邉 太郎"), 3),
        (psycopg.errors.AdminShutdown("渡邉 太郎"), 3),
        (psycopg.errors.ReadOnlySqlTransaction("渡邉 太郎"), 3),
        (psycopg.errors.InsufficientPrivilege("渡邉 太郎"), 4),
        (psycopg.errors.UniqueViolation("渡邉 太郎"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_failure_has_its_exit_code_and_quotes_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    """R-A-3.3-CPY-02: a foreign message may hold a person's data; only its kind and place are shown."""

    def fail(_: Any) -> int:
        raise error

    monkeypatch.setattr(tenant, "_list", fail)
    assert juki.main(["tenant", "list"]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) <= 3
    assert "渡邉" not in told.err
    if isinstance(error, JukiError):
        assert "x.y" in told.err


def test_an_error_is_json_where_json_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script reads code, detail, remedy and fields."""

    def fail(_: Any) -> int:
        raise Invalid("x.y", "said", remedy="do this", fields={"a": "b"})

    monkeypatch.setattr(tenant, "_list", fail)
    assert juki.main(["tenant", "list", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    message = told["error"].pop("message")
    assert message == text_of("x.y", Invalid.status)
    assert told == {"error": {"code": "x.y", "detail": "said", "remedy": "do this", "fields": {"a": "b"}}}


def test_asking_for_one_noun_starts_no_other() -> None:
    """A command that only reads a log must not depend on the rest."""
    one, whole = juki.parser("config-check"), juki.parser()
    assert one.parse_args(["config-check"]).run
    assert {name for name in juki.COMMANDS if name.replace("_", "-") in whole.format_help()} == set(juki.COMMANDS)
    with pytest.raises(SystemExit):
        one.parse_args(["tenant", "list"])


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("sleeping", ["in a thread's wait", "in an event loop"])
def test_a_command_that_is_ended_cleans_up_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sent: signal.Signals,
    code: int,
    sleeping: str,
) -> None:
    """Ctrl-C and SIGTERM alike: what is open is closed, one line, the shell's exit code."""
    closed: list[str] = []

    async def working() -> None:
        try:
            signal.raise_signal(sent)
            await asyncio.sleep(600)
        finally:
            closed.append("closed")

    def work(_: Any) -> int:
        if sleeping == "in an event loop":
            asyncio.run(working())
        try:
            signal.raise_signal(sent)
            threading.Event().wait(600)
        finally:
            closed.append("closed")
        return 0

    monkeypatch.setattr(tenant, "_list", work)
    before = signal.getsignal(signal.SIGTERM)
    # a shell's background job ignores Ctrl-C, and so would these tests if they were started as one
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert juki.main(["tenant", "list"]) == code
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert closed == ["closed"]
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert signal.getsignal(signal.SIGTERM) is before
