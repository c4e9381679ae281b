"""`juki db start | stop | status | prepare`: the embedded server, and the logins on any server."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from juki.commands import Commands
from juki.config import LOGINS, Login, load
from juki.problem import Misconfigured, Unavailable
from juki.tenancy import connect, prepare_control
from juki.tenancy.local import LocalServer, write_secret
from juki.tenancy.logins import is_of, prepare

DATABASE: Final = "juki"
_ADMIN: Final = "JUKI_ADMIN_DSN"
_HEADING: Final = "# written by `juki db`; holds passwords, keep it to yourself"


def register(commands: Commands) -> None:
    """Add the noun `db`."""
    noun = commands.add_parser("db", help="the embedded PostgreSQL, and the service logins of any PostgreSQL")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, run, help_text in (
        ("start", _start, "start the embedded server, make logins and directory, write HOME/juki.toml"),
        ("stop", _stop, "stop the embedded server"),
        ("status", _status, "whether the embedded server runs"),
        ("prepare", _prepare, f"make logins and directory on the server of {_ADMIN}, write HOME/juki.toml"),
    ):
        verb = verbs.add_parser(name, help=help_text, description=help_text)
        verb.add_argument("--home", type=Path, help="state folder (JUKI_HOME)")
        verb.add_argument("--json", action="store_true", help="print JSON")
        if name == "prepare":
            verb.add_argument("--database", default=DATABASE)
        verb.set_defaults(run=run)


def _home(options: argparse.Namespace) -> Path:
    return options.home or Path(os.environ.get("JUKI_HOME", ".juki"))


def _start(options: argparse.Namespace) -> int:
    home = _home(options)
    server = LocalServer(home)
    server.start()
    _logins(home, server.admin_dsn, DATABASE)
    return _say(options, running=True, home=home)


def _prepare(options: argparse.Namespace) -> int:
    admin = os.environ.get(_ADMIN)
    if not admin:
        raise Misconfigured(
            "config.missing", f"{_ADMIN} is not set", remedy="an administrator's DSN, for this run only"
        )
    _logins(_home(options), admin, options.database)
    home = _home(options)
    state = {"database": options.database, "home": str(home), "config": str(home / "juki.toml")}
    text = f"データベース {options.database} を準備しました。接続の設定は {home / 'juki.toml'} にあります。"
    print(json.dumps(state) if options.json else text)
    return 0


def _stop(options: argparse.Namespace) -> int:
    LocalServer(_home(options)).stop()
    return _say(options, running=False, home=_home(options))


def _status(options: argparse.Namespace) -> int:
    running = LocalServer(_home(options)).running()
    _say(options, running=running, home=_home(options))
    return 0 if running else 1


def _logins(home: Path, admin_dsn: str, database: str) -> None:
    """Passwords are made once and kept in HOME/juki.toml (0600); the administrator's is not written there."""
    path = home / "juki.toml"
    if not path.exists() or not _let_in(home, path, admin_dsn, database):
        home.mkdir(parents=True, exist_ok=True)
        _write(path, prepare(admin_dsn, database))
    with connect(load({"JUKI_HOME": str(home)}, path, require=LOGINS), "deploy") as deploy:
        prepare_control(deploy)


def _let_in(home: Path, path: Path, admin_dsn: str, database: str) -> bool:
    """Whether what was written earlier leads to this server and still opens it: the cluster may be a new one."""
    try:
        config = load({"JUKI_HOME": str(home)}, path, require=LOGINS)
        if not is_of(config.dsn("deploy"), admin_dsn, database):
            return False
        connect(config, "deploy").close()
    except (Unavailable, Misconfigured):
        return False
    return True


def _write(path: Path, dsns: Mapping[Login, str]) -> None:
    """The four addresses; other settings that somebody wrote into the file stay."""
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else [_HEADING]
    kept = [line for line in before if not line.startswith("dsn_")]
    write_secret(path, "\n".join([*kept, *(f"dsn_{login} = {json.dumps(dsns[login])}" for login in LOGINS), ""]))


def _say(options: argparse.Namespace, *, running: bool, home: Path) -> int:
    state = {"running": running, "home": str(home), "config": str(home / "juki.toml")}
    text = f"{home} のPostgreSQLは{'動いています' if running else '止まっています'}。"
    print(json.dumps(state) if options.json else text)
    return 0
