"""`scripts/setup` and `scripts/demo` where a machine lacks something: what is missing comes, or one message says how."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "fonts-ipamj-mincho"


def _font_step(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The font step of set-up on a machine without any font, unless `settings` say otherwise."""
    (tmp_path / "scratch").mkdir()
    given = {
        "JUKI_FONT_DIR": str(tmp_path / "fonts"),
        "JUKI_SYSTEM_FONTS": str(tmp_path / "no-such-folder"),
        "TMPDIR": str(tmp_path / "scratch"),
    }
    return subprocess.run(
        [ROOT / "scripts" / "setup", "--font"],
        env=os.environ | given | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _path_without(program: str, folder: Path) -> str:
    """A PATH on which everything but `program` is found."""
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for found in Path(place).glob("*"):
            link = folder / found.name
            link.unlink(missing_ok=True)
            if found.name != program:
                link.symlink_to(found)
    return str(folder)


def _package_known() -> bool:
    if shutil.which("apt-get") is None or shutil.which("apt-cache") is None:
        return False
    return subprocess.run(["apt-cache", "show", PACKAGE], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(
    not _package_known(), reason=f"no apt-get here, or its lists do not know {PACKAGE} (apt-get update)"
)
def test_the_font_is_fetched_on_a_machine_that_has_none(tmp_path: Path) -> None:
    """Without this font no name of a resident could be printed as it is registered."""
    done = _font_step(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "setup: ready"
    font = (tmp_path / "fonts" / "ipamjm.ttf").read_bytes()
    assert font[:4] in (b"\x00\x01\x00\x00", b"true", b"OTTO", b"ttcf")
    assert len(font) > 1_000_000
    assert "License: IPA" in (tmp_path / "fonts" / "ipamjm.copyright").read_text(encoding="utf-8")
    assert not list((tmp_path / "scratch").iterdir())  # nothing stays behind in the folder for temporary files


def test_a_font_of_the_system_is_copied_and_a_half_copied_one_is_not_taken_for_it(tmp_path: Path) -> None:
    """A set-up that was ended in the middle leaves a name of its own and perhaps the licence, never the font's name."""
    system, fonts = tmp_path / "system" / "truetype", tmp_path / "fonts"
    system.mkdir(parents=True)
    fonts.mkdir()
    (system / "ipamjm.ttf").write_bytes(b"the font")
    (fonts / "ipamjm.copyright").write_text("the licence")
    (fonts / ".new").write_bytes(b"the f")
    done = _font_step(tmp_path, JUKI_SYSTEM_FONTS=str(tmp_path / "system"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (fonts / "ipamjm.ttf").read_bytes() == b"the font"
    assert not (fonts / ".new").exists()


def test_a_machine_that_cannot_fetch_the_font_is_told_where_to_put_it(tmp_path: Path) -> None:
    done = _font_step(tmp_path, PATH=_path_without("apt-get", tmp_path / "bin"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "setup: the font IPAmj Mincho is missing",
        f"       -> put ipamjm.ttf into {tmp_path / 'fonts'}",
    ]


def test_set_up_never_ends_without_a_word(tmp_path: Path) -> None:
    """What no message foresees names at least its line: here the copying of a font that cannot be read."""
    (tmp_path / "system" / "ipamjm.ttf").mkdir(parents=True)
    done = _font_step(tmp_path, JUKI_SYSTEM_FONTS=str(tmp_path / "system"))
    assert done.returncode == 1
    assert "setup: stopped at line " in done.stderr
    assert not (tmp_path / "fonts" / "ipamjm.ttf").exists()


def test_help_needs_no_environment(tmp_path: Path) -> None:
    """Whoever has just cloned the repository may ask first."""
    scripts = tmp_path / "checkout" / "scripts"
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("demo", "setup", "test", "otp", "on-system-postgres", "on-container-postgres"):
        done = subprocess.run([scripts / name, "--help"], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), name
        assert done.stdout.strip(), name


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The demonstration's program, with a folder of its own instead of the checkout's."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from story import telling

    monkeypatch.setattr(telling, "REPOSITORY", tmp_path)
    return telling


def _options(tmp_path: Path, *, port: int = 8000) -> argparse.Namespace:
    return argparse.Namespace(check=False, residents=50, out=tmp_path / "out", port=port)


def test_a_second_demo_leaves_the_first_alone(
    telling: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would stop the database under the console of the first and remove its folder."""
    home = tmp_path / ".juki" / "demo"
    with telling._alone(home):
        assert telling.run(_options(tmp_path)) == 3
    told = capsys.readouterr().err
    assert str(home) in told
    assert "Ctrl-C" in told


def test_a_demo_whose_port_is_taken_says_which_one_it_uses(
    telling: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world = telling._world(_options(tmp_path, port=port), tmp_path / ".juki" / "demo")
    assert world.port != port
    told = capsys.readouterr().out
    assert f"ポート {port} " in told
    assert f"、{world.port} " in told
    assert "--port" in told


def test_ctrl_c_in_the_middle_of_the_story_stops_what_it_started(
    telling: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, the shell's exit code, and a report of the steps that were told; a second Ctrl-C changes nothing."""

    def pressed(_: object) -> dict[str, object]:
        raise KeyboardInterrupt

    stopped: list[object] = []

    def stop_all(_: object) -> None:
        stopped.append(signal.getsignal(signal.SIGINT))

    monkeypatch.setattr(telling, "STEPS", (("first", "初め", lambda _: {}), ("second", "次", pressed)))
    monkeypatch.setattr(telling.World, "stop_all", stop_all)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert telling.run(_options(tmp_path)) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped == [signal.SIG_IGN]
    assert "1/2 steps" in capsys.readouterr().out
