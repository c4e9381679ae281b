"""The `juki` command: assembles the nouns, turns an error into one clear message and an exit code."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from typing import Final

from juki.problem import Invalid, JukiError, Misconfigured, Unavailable

COMMANDS: Final = (
    "access",
    "audit",
    "certificates",
    "config_check",
    "db",
    "dev",
    "legacy",
    "migrate",
    "offboard",
    "rotate",
    "serve",
    "tenant",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed or refused, 2 usage, 3 unavailable (try again), 4 misconfigured."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except JukiError as e:
        return _tell(e, as_json=bool(getattr(options, "json", False)))
    except KeyboardInterrupt:
        print("interrupted; what was committed stays, the rest was rolled back", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="juki", description="住基: resident registry for many municipalities")
    nouns = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if importlib.util.find_spec(f"juki.commands.{name}") is None:
            continue
        importlib.import_module(f"juki.commands.{name}").register(nouns)
    return top


def _tell(error: JukiError, *, as_json: bool) -> int:
    if as_json:
        fields = error.fields if isinstance(error, Invalid) else {}
        told = {"code": error.code, "detail": error.detail, "remedy": error.remedy, "fields": fields}
        print(json.dumps({"error": told}, ensure_ascii=False))
    else:
        print(f"juki: {error}", file=sys.stderr)
        if error.remedy:
            print(f"      -> {error.remedy}", file=sys.stderr)
    if isinstance(error, Unavailable):
        return 3
    return 4 if isinstance(error, Misconfigured) else 1


if __name__ == "__main__":
    sys.exit(main())
