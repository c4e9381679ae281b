"""`juki config-check`: every setting, where it comes from, whether it holds; values of secrets are not shown."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, get_args

import msgspec

from juki.commands import Commands
from juki.config import LOGINS, PREFIX, Config, Login, load


def register(commands: Commands) -> None:
    """Add the command `config-check`."""
    command = commands.add_parser("config-check", help="check the settings of this machine and list them")
    command.add_argument(
        "--for", dest="login", choices=get_args(Login), action="append", help="a login that must be set"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    config = load(os.environ, require=tuple(options.login or ()))
    rows = [_row(config, field) for field in msgspec.structs.fields(Config)]
    if options.json:
        print(json.dumps({row["name"]: row["value"] for row in rows}, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{row['name']:<32} {row['value']}{'' if row['set'] else '  (default)'}")
    return 0


def _row(config: Config, field: Any) -> dict[str, Any]:
    value = getattr(config, field.name)
    secret = field.name in {f"dsn_{login}" for login in LOGINS}
    shown = ("(set)" if value else "(empty)") if secret else value
    return {"name": f"{PREFIX}{field.name.upper()}", "value": shown, "set": value != field.default}
