"""控え: who may read a dump while it is being written, and what stands in its way."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from juki.config import Config
from juki.problem import Invalid, Unavailable
from juki.tenancy import backup


def test_nobody_else_reads_a_dump_from_its_first_byte_on(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-1-3.3-MED-01: the mode is right before the first row is written, so a killed dump is nobody's either."""
    run = backup._run
    modes: list[int] = []

    def watched(program: str, dsn: str, arguments: list[str]) -> None:
        modes.extend(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())
        run(program, dsn, arguments)

    monkeypatch.setattr(backup, "_run", watched)
    target = tmp_path / "072044.dump"
    assert backup.take(config, "072044", target) == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert modes
    assert {*modes, *(path.stat().st_mode & 0o777 for path in tmp_path.iterdir())} == {0o600}


def test_a_dump_that_failed_is_not_left_to_be_taken_for_one(config: Config, tmp_path: Path) -> None:
    """Half a dump in its place would be found only when it is needed."""
    away = msgspec.structs.replace(config, dsn_deploy=f"{config.dsn_deploy} port=1")
    with pytest.raises(Unavailable):
        backup.take(away, "072044", tmp_path / "072044.dump")
    assert not list(tmp_path.iterdir())


def test_a_dump_replaces_no_file(config: Config, tmp_path: Path) -> None:
    """backup.exists, for the dump and for the part of the directory beside it."""
    for name in ("072044.dump", "072044.dump.control"):
        (tmp_path / name).write_text("somebody's", encoding="utf-8")
        with pytest.raises(Invalid) as caught:
            backup.take(config, "072044", tmp_path / "072044.dump")
        assert caught.value.code == "backup.exists"
        assert (tmp_path / name).read_text(encoding="utf-8") == "somebody's"
        (tmp_path / name).unlink()
    assert not list(tmp_path.iterdir())
