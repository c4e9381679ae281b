"""`juki serve` and `juki dev`: the registry's web application, alone or with everything it stands on."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from pathlib import Path
from typing import Final

from granian import Granian
from granian.constants import Interfaces

from juki.commands import Commands, db, migrate, tenant
from juki.config import Config, load
from juki.problem import Misconfigured
from juki.tenancy import Mismatch, check_prepared, mismatches, revision_ids

TENANT_FILES: Final = Path("tenants")


def register(commands: Commands) -> None:
    """Add the commands `serve` and `dev`."""
    serve = commands.add_parser("serve", help="serve the staff console and the API")
    dev = commands.add_parser("dev", help="start the embedded database, bring every tenant up to date, and serve")
    for command, run in ((serve, _serve), (dev, _dev)):
        command.add_argument("--host", help="address to listen on (JUKI_HOST, 127.0.0.1)")
        command.add_argument("--port", type=int, help="port to listen on (JUKI_PORT, 8000)")
        command.set_defaults(run=run)
    dev.add_argument("--tenants", type=Path, default=TENANT_FILES, help="folder of tenant files (tenants/)")


def _serve(options: argparse.Namespace) -> int:
    config = load(os.environ, require=("registry",))
    config.need_origin()
    check_prepared(config, "registry")  # a wrong DSN is one clear line here and not a loop of restarts of a worker
    _run(options.host or config.host, options.port or config.port, config)
    return 0


def _dev(options: argparse.Namespace) -> int:
    """Everything on this machine: the same logins and the same walls as anywhere else, cookies over plain loopback."""
    os.environ.setdefault("JUKI_COOKIE_SECURE", "false")
    os.environ.setdefault("JUKI_ENVIRONMENT", "test")
    steps = [["db", "start"]]
    steps += [["tenant", "add", str(file)] for file in sorted(options.tenants.glob("*.toml"))]
    for step in [*steps, ["migrate"]]:
        if code := _command(step):
            return code
    return _serve(options)


def _command(words: list[str]) -> int:
    """One of the other commands, as if it had been typed; its errors are told by whoever started this one."""
    parser = argparse.ArgumentParser(prog="juki")
    nouns = parser.add_subparsers(required=True)
    for noun in (db, migrate, tenant):
        noun.register(nouns)
    options = parser.parse_args(words)
    return int(options.run(options))


def _run(host: str, port: int, config: Config) -> None:
    if not 0 < port < 65536:
        raise Misconfigured("config.wrong", f"JUKI_PORT {port} is not a port", remedy="choose 1 to 65535")
    _check_port(host, port)
    for mismatch in mismatches(config, revision_ids("tenant")):
        print(_told(mismatch), file=sys.stderr)
    print(f"http://{host}:{port}", file=sys.stderr)
    Granian(
        "juki.app:create",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=1,
        backlog=256,
        backpressure=config.requests_max * 2,
        log_access=False,
        websockets=False,
        respawn_failed_workers=True,
    ).serve()


def _told(mismatch: Mismatch) -> str:
    """A release works with the schema before it and the one after it, so this warns and does not stop the others."""
    if mismatch.missing:
        return (
            f"juki: {mismatch.code} のスキーマは古い版です(足りない版 {', '.join(mismatch.missing)})。(migrate.behind)\n"
            "      -> juki migrate を実行してください。それまでこの団体は利用できないことがあります(db.revision)。"
        )
    return (
        f"juki: {mismatch.code} のスキーマはこのプログラムより新しい版です({', '.join(mismatch.unknown)})。(migrate.ahead)\n"
        "      -> 新しいプログラムで起動してください。それまでこの団体は利用できないことがあります(db.revision)。"
    )


def _check_port(host: str, port: int) -> None:
    """The server shares its port with whoever asks the same way, so a second one would quietly take half of the requests."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as e:
        in_use = e.errno == errno.EADDRINUSE
        raise Misconfigured(
            "serve.port_in_use" if in_use else "serve.address",
            f"{host}:{port} is in use by another process"
            if in_use
            else f"cannot listen on {host}:{port}: {e.strerror}",
            remedy="stop the other process, or choose another port with --port or JUKI_PORT"
            if in_use
            else "choose an address of this machine with --host or JUKI_HOST, and a port that this user may open",
        ) from None
