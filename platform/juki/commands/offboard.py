"""`juki offboard`: a municipality asks to leave, takes its data along, is erased step by step and gets a certificate.

Persons act as themselves: `--as LOGIN --terminal FILE`, password and one-time code as two lines on standard input. After
the erasure their accounts are gone; the code of their appointment, in a file with name and title, stands for them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec

from juki import audit, offboarding
from juki.access import Caller
from juki.audit import Login, Operation
from juki.commands import Commands
from juki.commands.access import read_secret, read_terminal
from juki.config import Config, load
from juki.offboarding.model import Step
from juki.problem import JukiError, Misconfigured
from juki.tenancy import Fleet, backup, digest, kms_of, system_clock
from juki.tenancy.local import LocalServer
from juki.vault import Kms, box

Answer: TypeAlias = dict[str, Any]
Deed: TypeAlias = Callable[[Fleet, Caller, argparse.Namespace], Awaitable[Answer]]
Plain: TypeAlias = Callable[[Config, Kms, argparse.Namespace], Answer]

_ADMIN: Final = "JUKI_ADMIN_DSN"
_PURPOSE: Final = "利用終了"


def register(commands: Commands) -> None:
    """Add the noun `offboard`."""
    noun = commands.add_parser("offboard", help="a municipality leaves: request, export, erase, certificate")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    ask = _by_person(verbs, "request", "ask to leave, naming the key to which the export is sealed", _request)
    ask.add_argument("--public-key", required=True, type=Path, metavar="FILE", help="public key, PEM")
    approve = _by_person(verbs, "approve", "approve as another person; the counter closes", _approve)
    approve.add_argument("--fingerprint", required=True, help="SHA-256 of the public key, as its owner told you")
    _by_person(verbs, "withdraw", "take the request back before the erasure begins", _withdraw)
    appoint = _by_person(verbs, "appoint", "take the duty to verify or to validate the erasure", _appoint)
    appoint.add_argument("--duty", required=True, choices=["verified", "validated"])
    appoint.add_argument("--out", required=True, type=Path, metavar="FILE", help="new file (0600) for the code")
    export = _by_person(verbs, "export", "write everything, sealed to the municipality's key", _export)
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder for the export")
    _erase_verb(verbs)
    _papers(verbs)


def _erase_verb(verbs: Commands) -> None:
    erase = _verb(verbs, "erase", "erase for good; cut anywhere, run it again (then without --as)")
    erase.add_argument("--as", dest="login_as", metavar="LOGIN", help="who starts the erasure")
    erase.add_argument("--terminal", type=Path, metavar="FILE", help="file with the terminal's token")
    erase.add_argument("--person", type=Path, metavar="FILE", help="name, title... of whoever starts it (TOML)")
    erase.add_argument("--grace", type=int, choices=[0], help="0: do not wait, where the settings allow it")
    erase.set_defaults(run=_erase)


def _papers(verbs: Commands) -> None:
    for name, duty, text in (
        ("verify", "verified", "look again at everything and sign what was found"),
        ("validate", "validated", "accept or reject the erasure"),
    ):
        verb = _plain(verbs, name, text, _sign)
        verb.add_argument("--person", required=True, type=Path, metavar="FILE", help="code, name, title... (TOML)")
        verb.add_argument("--reject", action="store_true", help="not accepted: the erasure is done again")
        verb.add_argument("--remarks", default="", help="what should stand in the record; no personal data")
        verb.set_defaults(duty=duty)
        if name == "verify":
            verb.add_argument(
                "--dump", type=Path, metavar="FILE", help="a backup from before, to be restored and tried"
            )
    _plain(verbs, "certificate", "issue the certificate of sanitisation (JSON and PDF, signed)", _certificate)
    _plain(verbs, "status", "where the case stands", _status)
    _plain(verbs, "digest", "digest over every row of a municipality, to show that it is untouched", _digest)
    dump = _plain(verbs, "backup", "take a backup as a backup program would", _backup)
    dump.add_argument("--out", required=True, type=Path, metavar="FILE")
    opened = verbs.add_parser("open", help="the municipality's side: open an export with its private key")
    opened.add_argument("--export", required=True, type=Path, metavar="DIR")
    opened.add_argument("--key", required=True, type=Path, metavar="FILE", help="private key, PEM")
    opened.add_argument("--out", required=True, type=Path, metavar="DIR", help="new folder for the opened files")
    opened.add_argument("--json", action="store_true", help="print JSON")
    opened.set_defaults(run=_open)
    compare = _plain(verbs, "compare", "import an opened export into a scratch municipality and compare", _compare)
    compare.add_argument("--opened", required=True, type=Path, metavar="DIR", help="folder of `juki offboard open`")


def _verb(verbs: Commands, name: str, text: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text)
    verb.add_argument("--tenant", required=True, metavar="CODE", help="municipality code, 6 digits")
    verb.add_argument("--json", action="store_true", help="print JSON")
    return verb


def _by_person(verbs: Commands, name: str, text: str, deed: Deed) -> argparse.ArgumentParser:
    verb = _verb(verbs, name, text)
    verb.add_argument("--as", dest="login_as", required=True, metavar="LOGIN", help="who acts")
    verb.add_argument("--terminal", required=True, type=Path, metavar="FILE", help="file with the terminal's token")
    verb.set_defaults(run=_act, deed=deed)
    return verb


def _plain(verbs: Commands, name: str, text: str, plain: Plain) -> argparse.ArgumentParser:
    verb = _verb(verbs, name, text)
    verb.set_defaults(run=_run_plain, plain=plain)
    return verb


def _settings() -> Config:
    """Settings; the administrator's DSN is no setting of a service and only `verify` looks at it."""
    return load({name: value for name, value in os.environ.items() if name != _ADMIN})


def _act(options: argparse.Namespace) -> int:
    """Sign in, do one thing, sign out."""
    typed = Login(login_name=options.login_as, password=read_secret("password: "), otp=read_secret("one-time code: "))
    return _say(options, asyncio.run(_as_person(options, typed, options.deed)))


async def _as_person(options: argparse.Namespace, typed: Login, deed: Deed) -> Answer:
    fleet = await Fleet.open(_settings())
    states = offboarding.STATES
    try:
        token = read_terminal(options.terminal)
        opened = await audit.sign_in(fleet, options.tenant, typed, token, states=states)
        try:
            return await deed(fleet, opened.caller, options)
        finally:
            await audit.sign_out(fleet, opened.caller, states=states)
    finally:
        await fleet.close()


async def _operate(
    fleet: Fleet, caller: Caller, action: str, right: str | None, act: Callable[[Operation], Awaitable[Any]]
) -> Any:
    async with audit.operation(
        fleet, caller, f"offboard.{action}", purpose=_PURPOSE, right=right, states=offboarding.STATES
    ) as op:
        return await act(op)


async def _request(fleet: Fleet, caller: Caller, options: argparse.Namespace) -> Answer:
    pem = _read(options.public_key).decode("ascii", errors="replace")
    wish = await _operate(fleet, caller, "request", offboarding.REQUEST_RIGHT, lambda op: offboarding.request(op, pem))
    return {"request": wish.request_no, "fingerprint": box.fingerprint(pem.encode())}


async def _approve(fleet: Fleet, caller: Caller, options: argparse.Namespace) -> Answer:
    wish = await _operate(
        fleet, caller, "approve", offboarding.APPROVE_RIGHT,
        lambda op: offboarding.approve(op, options.fingerprint),
    )  # fmt: skip
    case = await asyncio.to_thread(offboarding.begin, fleet.config, options.tenant, wish)
    return {"case": case.case_no, "state": str(case.state)}


async def _withdraw(fleet: Fleet, caller: Caller, options: argparse.Namespace) -> Answer:
    right = offboarding.REQUEST_RIGHT if caller.may(offboarding.REQUEST_RIGHT) else offboarding.APPROVE_RIGHT
    wish = await _operate(fleet, caller, "withdraw", right, lambda op: offboarding.withdraw(op, fleet.config))
    await asyncio.to_thread(offboarding.give_back, fleet.config, options.tenant, wish)
    return {"request": wish.request_no, "state": "withdrawn"}


async def _appoint(fleet: Fleet, caller: Caller, options: argparse.Namespace) -> Answer:
    with _new_file(options.out) as file:  # before anybody is appointed: a code is drawn once and said nowhere else
        code = await _operate(
            fleet, caller, "appoint", None, lambda op: offboarding.appoint(op, fleet.config, options.duty)
        )
        file.write(f"{code}\n".encode())
    return {"duty": options.duty, "out": str(options.out)}


async def _export(fleet: Fleet, caller: Caller, options: argparse.Namespace) -> Answer:
    return msgspec.to_builtins(await offboarding.export(fleet, caller, options.out))


def _erase(options: argparse.Namespace) -> int:
    return _say(options, asyncio.run(_run_erase(options)))


async def _run_erase(options: argparse.Namespace) -> Answer:
    if options.login_as:
        if not (options.terminal and options.person):
            raise Misconfigured("offboarding.person_file", "--as needs --terminal and --person")
        await _start(options)
    fleet = await Fleet.open(_settings())
    try:
        case = await offboarding.carry_out(fleet, options.tenant, _teller(as_json=options.json))
        return msgspec.to_builtins(case)
    finally:
        await fleet.close()


async def _start(options: argparse.Namespace) -> None:
    signatory = offboarding.read_signatory(options.person)
    typed = Login(login_name=options.login_as, password=read_secret("password: "), otp=read_secret("one-time code: "))

    async def start(fleet: Fleet, caller: Caller, _: argparse.Namespace) -> Answer:
        await offboarding.start(fleet, caller, signatory, waive_grace=options.grace == 0)
        return {}

    await _as_person(options, typed, start)


def _run_plain(options: argparse.Namespace) -> int:
    config = _settings()
    kms = kms_of(config)
    return _say(options, options.plain(config, kms, options))


def _sign(config: Config, kms: Kms, options: argparse.Namespace) -> Answer:
    checks: dict[str, str] = {}
    if options.duty == "verified":
        dump = _tried(config, kms, options) if options.dump else ""
        seen = offboarding.look(config, kms, options.tenant, dump)
        checks = offboarding.checks_of(seen)
        if not offboarding.is_finished(seen) and not options.reject:
            return {"accepted": False, "checks": checks, "exit": 1}
    finding = offboarding.sign(
        config, options.tenant, options.duty, offboarding.read_signatory(options.person),
        accepted=not options.reject, remarks=options.remarks, checks=checks, now=system_clock(),
    )  # fmt: skip
    return {"accepted": finding.accepted, "kind": finding.kind, "checks": checks}


def _tried(config: Config, kms: Kms, options: argparse.Namespace) -> str:
    admin = os.environ.get(_ADMIN)
    if not admin:
        local = LocalServer(config.home_path)
        if not local.running():
            raise Misconfigured(
                "config.missing", f"{_ADMIN} is not set", remedy="a server on which to restore the dump"
            )
        admin = local.admin_dsn
    return offboarding.try_backup(kms, admin, options.tenant, options.dump)


def _certificate(config: Config, kms: Kms, options: argparse.Namespace) -> Answer:
    return msgspec.to_builtins(offboarding.issue(config, kms, options.tenant, system_clock()))


def _status(config: Config, kms: Kms, options: argparse.Namespace) -> Answer:
    return msgspec.to_builtins(offboarding.status(config, options.tenant))


def _digest(config: Config, kms: Kms, options: argparse.Namespace) -> Answer:
    return {"tenant": options.tenant, "sha256": digest(config, options.tenant)}


def _backup(config: Config, kms: Kms, options: argparse.Namespace) -> Answer:
    return {"bytes": backup.take(config, options.tenant, options.out), "out": str(options.out)}


def _open(options: argparse.Namespace) -> int:
    opened = offboarding.open_export(options.export, _read(options.key), options.out)
    return _say(options, {"files": opened, "out": str(options.out)})


def _compare(config: Config, kms: Kms, options: argparse.Namespace) -> Answer:
    compared = asyncio.run(offboarding.compare(config, kms, options.tenant, options.opened))
    return msgspec.to_builtins(compared) | {"exit": 0 if compared.equal else 1}


def _teller(*, as_json: bool) -> Callable[[Step, str, Any], None]:
    def tell(step: Step, phase: str, facts: Any) -> None:
        if phase != "end":
            return
        shown = json.dumps(dict(facts), ensure_ascii=False)
        line = json.dumps({"step": str(step)}) if as_json else f"  {step}: {shown}"
        print(line, file=sys.stderr, flush=True)

    return tell


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Misconfigured("offboarding.key_file", f"cannot read {path}", remedy="name an existing file") from None


@contextmanager
def _new_file(path: Path) -> Generator[BinaryIO]:
    """A new file for one pair of eyes; gone again where what should be written into it did not come to be."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        raise Misconfigured("offboarding.out", f"cannot write {path}", remedy="name a new file") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except JukiError:
        path.unlink(missing_ok=True)
        raise


def _say(options: argparse.Namespace, answer: Answer) -> int:
    code = int(answer.pop("exit", 0))
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        for name, value in answer.items():
            print(f"{name}: {value}")
    return code
