"""`scripts/bench`: figures beside their peers, one process each, and an honest exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "__main__.py"
GOOD = """
def run(quick):
    return {"T0": {"juki": 1.5, "unit": "us", "peers": {"other": 3.0}, "ratio": 0.5, "versions": {"other": "1"},
                   "holds": True, "note": "quick" if quick else "full"}}
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A folder with the harness and one benchmark."""
    shutil.copy(HARNESS, tmp_path / "__main__.py")
    (tmp_path / "good.py").write_text(GOOD)
    return tmp_path


def run(bench: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The harness over that folder."""
    return subprocess.run([sys.executable, str(bench), *arguments], capture_output=True, text=True, check=False)


def test_each_figure_stands_beside_its_peer_and_in_the_json(bench: Path) -> None:
    """The form that others read is the one that the issue names."""
    done = run(bench, "--quick", "--json", str(bench / "out" / "figures.json"))
    assert done.returncode == 0, done.stderr
    assert "T0   juki 1.5 us | other 3 | ratio 0.5 [holds]" in done.stdout
    figures = json.loads((bench / "out" / "figures.json").read_text())
    assert figures["T0"]["ratio"] == 0.5
    assert figures["T0"]["note"] == "quick"
    assert json.loads(json.dumps(figures)) == figures
    assert "note: full" in run(bench, "--full").stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def run(quick): raise ValueError('no server')", "no server"),
        ("def run(quick): return {}", "one entry per target"),
        (
            "def run(quick): return {'T1': {'juki': 1, 'unit': 'us', 'peers': {}, 'ratio': 1, 'versions': {}}}",
            "no peer",
        ),
        ("def run(quick): return {'T1': {'juki': 1}}", "T1 lacks"),
        ("import os; os._exit(3)", "ended with 3"),
    ],
)
def test_a_failing_benchmark_shows_its_fault_and_spoils_the_exit_code_but_not_the_others(
    bench: Path, text: str, told: str
) -> None:
    """A figure that is missing is missed, not passed over."""
    (bench / "bad.py").write_text(text)
    done = run(bench)
    assert done.returncode == 1
    assert "bad: FAILED" in done.stdout
    assert told in done.stdout
    assert "T0   juki 1.5" in done.stdout


def test_an_unknown_benchmark_is_a_usage_error(bench: Path) -> None:
    """The names there are stand in the message."""
    done = run(bench, "--only", "godd")
    assert done.returncode == 2
    assert "good" in done.stderr
