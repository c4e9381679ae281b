"""`scripts/bench`: run every benchmark in a process of its own, print each figure beside its peer, write JSON.

--quick (the default) ends in under three minutes on two cores; --full takes the sizes of the performance table.
A benchmark that fails prints its error and the command exits 1; the others still run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
QUICK_SECONDS = 150  # no single benchmark may eat the whole allowance of a quick run
FULL_SECONDS = 3600


def main() -> int:
    """Run what was asked for; 0 when every benchmark gave its figures."""
    options = _arguments()
    sys.path[:] = [
        entry for entry in sys.path if Path(entry).resolve() != HERE
    ]  # a benchmark may be named like a library
    if options.worker is not None:
        return _worker(options.worker, options.json, quick=not options.full)
    names = options.only or modules()
    unknown = sorted(set(names) - set(modules()))
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(modules())}", file=sys.stderr)
        return 2
    if not names:
        print("there is no benchmark in tests/bench", file=sys.stderr)
        return 1
    return _run_all(names, options)


def modules() -> list[str]:
    """The benchmarks, by file name."""
    return sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith(("_", "test_")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, under three minutes (default)")
    size.add_argument("--full", action="store_true", help="the sizes of the performance table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--only", action="append", metavar="NAME", help="one benchmark by file name; may be repeated")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_all(names: list[str], options: argparse.Namespace) -> int:
    began = time.monotonic()
    figures: dict[str, dict[str, Any]] = {}
    failed: list[str] = []
    for name in names:
        print(f"{name} ...", end=" ", flush=True)
        started = time.monotonic()
        answer = _isolated(name, quick=not options.full)
        print(f"{time.monotonic() - started:.0f} s", flush=True)
        if isinstance(answer, str):
            failed.append(name)
            print(f"{name}: FAILED\n{_indented(answer)}", flush=True)
            continue
        figures |= answer
        for target, entry in answer.items():
            print(_line(target, entry), flush=True)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    print(_foot(figures, failed, time.monotonic() - began))
    return 1 if failed else 0


def _isolated(name: str, *, quick: bool) -> dict[str, dict[str, Any]] | str:
    """The figures of one benchmark, or the text of its failure; a process of its own keeps caches and memory apart."""
    limit = QUICK_SECONDS if quick else FULL_SECONDS
    with tempfile.TemporaryDirectory(prefix="juki-bench-") as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, str(HERE), "--worker", name, "--json", str(out)]
        command += [] if quick else ["--full"]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        try:
            done = subprocess.run(
                command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no figure within {limit} seconds"
        if done.returncode != 0 or not out.exists():
            return (done.stderr or done.stdout)[-2000:] or f"ended with {done.returncode}"
        return json.loads(out.read_text())


def _worker(name: str, out: Path, *, quick: bool) -> int:
    path = HERE / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"juki_bench_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    figures = module.run(quick)
    wrong = shape_errors(figures)
    if wrong:
        print(f"{name}: {wrong}", file=sys.stderr)
        return 1
    out.write_text(json.dumps(figures, ensure_ascii=False))
    return 0


def shape_errors(figures: object) -> str:
    """What keeps these figures from being printed beside their peers; empty when nothing does."""
    if not isinstance(figures, dict) or not figures:
        return "a benchmark answers with one entry per target"
    for target, entry in figures.items():
        missing = {"juki", "unit", "peers", "ratio", "versions"} - set(entry)
        if missing:
            return f"{target} lacks {', '.join(sorted(missing))}"
        if not entry["peers"]:
            return f"{target} names no peer"
    return ""


def _line(target: str, entry: dict[str, Any]) -> str:
    peers = ", ".join(f"{name} {_number(value)}" for name, value in entry["peers"].items())
    holds = {True: " [holds]", False: " [MISSED]", None: ""}[entry.get("holds")]
    shown = (
        f"{target:4} juki {_number(entry['juki'])} {entry['unit']} | {peers} | ratio {_number(entry['ratio'])}{holds}"
    )
    if entry.get("target"):
        shown += f"\n     target: {entry['target']}"
    if entry.get("note"):
        shown += f"\n     note: {entry['note']}"
    versions = ", ".join(f"{name} {value}" for name, value in entry["versions"].items())
    return f"{shown}\n     with {versions}"


def _number(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} {_number(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _foot(figures: dict[str, Any], failed: list[str], seconds: float) -> str:
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    tail = f"; failed: {', '.join(failed)}" if failed else ""
    return f"{len(figures)} figures in {seconds:.0f} s on {machine}{tail}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


if __name__ == "__main__":
    sys.exit(main())
