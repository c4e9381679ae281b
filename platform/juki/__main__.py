"""The `juki` command: assembles the nouns, turns an error into one clear message and an exit code."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from juki.problem import Invalid, JukiError, Misconfigured, Unavailable

COMMANDS: Final = (
    "access",
    "audit",
    "certificates",
    "config_check",
    "db",
    "legacy",
    "migrate",
    "offboard",
    "rotate",
    "serve",
    "tenant",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed or refused, 2 usage, 3 unavailable (try again), 4 misconfigured."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser(given[0] if given else "").parse_args(given)
    as_json = bool(getattr(options, "json", False))
    # the pool tries again in the background and says so each time; here one message at the end says it all
    if given[:1] != ["serve"]:
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    try:
        return int(options.run(options) or 0)
    except JukiError as e:
        return _tell(e, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing more to say
        return 1
    except OSError as e:
        where = f" ({e.filename})" if e.filename else ""
        fault = JukiError(
            "juki.system", f"{e.strerror or type(e).__name__}{where}", remedy="correct that and run again"
        )
        return _tell(fault, as_json=as_json)
    except KeyboardInterrupt:
        print("interrupted; what was committed stays, the rest was rolled back", file=sys.stderr)
        return 130
    except Exception as e:  # noqa: BLE001  a trace or a foreign message may quote a person's data
        return _tell(_defect(e), as_json=as_json)


def parser(wanted: str = "") -> argparse.ArgumentParser:
    """The command line: of one noun where `wanted` is one, which spares the start of all others; else the whole."""
    top = argparse.ArgumentParser(prog="juki", description="住基: resident registry for many municipalities")
    nouns = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    module = wanted.replace("-", "_")
    for name in [module] if module in COMMANDS else COMMANDS:
        importlib.import_module(f"juki.commands.{name}").register(nouns)
    return top


def _defect(error: Exception) -> JukiError:
    """Where it broke, not what it said."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/juki/" in frame.filename] or frames
    place = f"{ours[-1].filename.rpartition('/juki/')[2]}:{ours[-1].lineno}"
    return JukiError(
        "juki.fault", f"{type(error).__name__} in {place}", remedy="this is a defect: report the line above"
    )


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
