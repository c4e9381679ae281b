"""A command line that was not understood: its own usage, what was probably meant, exit code 2."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from juki import __main__ as juki
from juki.commands.arguments import moment


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int | str | None, str]:
    with pytest.raises(SystemExit) as ended:
        juki.main(list(words))
    told = capsys.readouterr()
    return ended.value.code, told.out + told.err


@pytest.mark.parametrize(
    ("words", "usage", "named"),
    [
        (["tennant"], "usage: juki ", "did you mean `tenant`?"),
        (["tenant"], "usage: juki tenant ", "one of: add, list, show"),
        (["tenant", "lst"], "usage: juki tenant ", "did you mean `list`?"),
        (["tenant", "xyz"], "usage: juki tenant ", "one of: add, list, show"),
        (["tenant", "list", "--jason"], "usage: juki tenant list ", "did you mean `--json`?"),
        (["tenant", "add"], "usage: juki tenant add ", "`juki tenant add --help` says more"),
        (["--jsn"], "usage: juki ", "`juki --help` says more"),
        (["migrate", "--workers", "many"], "usage: juki migrate ", "--workers: expected a whole number, found 'many'"),
        (
            ["audit", "analyse", "--tenant", "072044", "--since", "soon"],
            "usage: juki audit analyse ",
            "expected a date or time",
        ),
    ],
)
def test_a_slip_of_the_hand_is_named_where_it_happened_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], words: list[str], usage: str, named: str
) -> None:
    """Usage of the very verb, one error, one hint, exit code 2."""
    code, told = _told(capsys, *words)
    assert code == 2
    assert told.startswith(usage)
    assert named in told
    assert told.count("-> ") == 1


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`juki --version` answers and ends well."""
    code, told = _told(capsys, "--version")
    assert code == 0
    assert told.startswith("juki ")
    assert told.split()[1][0].isdigit()


def test_without_a_word_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever types `juki` alone wants to know what there is."""
    assert juki.main([]) == 0
    told = capsys.readouterr().out
    assert all(name.replace("_", "-") in told for name in juki.COMMANDS)


@pytest.mark.parametrize(
    ("typed", "utc"),
    [
        ("2026-11-24", "2026-11-23T15:00:00+00:00"),
        ("2026-11-24T06:00", "2026-11-23T21:00:00+00:00"),
        ("2026-11-24T06:00Z", "2026-11-24T06:00:00+00:00"),
    ],
)
def test_a_day_on_the_command_line_is_a_day_in_japan_whatever_zone_the_machine_is_in(
    monkeypatch: pytest.MonkeyPatch, typed: str, utc: str
) -> None:
    """R-A-3.3-LOG-02: on a server that runs in UTC an analysis left out the first nine hours: the night it is made for."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert moment(typed).astimezone(dt.UTC).isoformat() == utc
    finally:
        monkeypatch.undo()
        time.tzset()
