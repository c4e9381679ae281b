"""`juki access bootstrap | operator | terminal | client`: accounts, terminals and machines of one municipality.

After the first list every verb acts for a person: `--as LOGIN --terminal FILE`, with the password and the one-time code
as two lines on standard input (or asked for on a terminal). Secrets never stand on the command line.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from juki import audit
from juki.access import NewOperator, Work, accounts, grants, hours, machines, store, terminal_store, terminals
from juki.access.bootstrap import Made, People, bootstrap, read_people
from juki.access.model import system
from juki.audit import Login
from juki.commands import Commands
from juki.commands.arguments import moment
from juki.config import load
from juki.problem import Invalid, JukiError, Misconfigured
from juki.tenancy import Fleet

_PERHAPS_VALID: Final = frozenset({"audit.done_already", "db.outcome_unknown"})
"""The commit may have landed although its answer was lost: then these are the only copies of the secrets."""

Deed: TypeAlias = Callable[[Work, argparse.Namespace], Awaitable[Any]]


def register(commands: Commands) -> None:
    """Add the noun `access`."""
    noun = commands.add_parser("access", help="accounts, duties, terminals and machines of a municipality")
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    first = verbs.add_parser("bootstrap", help="the first accounts of a municipality, from a list")
    first.add_argument("--tenant", required=True, metavar="CODE")
    first.add_argument("--people", required=True, type=Path, metavar="FILE", help="TOML list of persons and duties")
    first.add_argument("--out", required=True, type=Path, metavar="FILE", help="new file (0600) for the first secrets")
    first.add_argument("--json", action="store_true", help="print JSON")
    first.set_defaults(run=_bootstrap)
    _operator(verbs.add_parser("operator", help="personal accounts"))
    _terminal(verbs.add_parser("terminal", help="registered terminals"))
    _client(verbs.add_parser("client", help="machines that call"))


def _operator(noun: argparse.ArgumentParser) -> None:
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    add = _verb(verbs, "add", "open an account for one named person", "account.manage", _operator_add)
    for name in ("login", "name", "staff-no", "office"):
        add.add_argument(f"--{name}", required=True)
    add.add_argument("--contract", default="", help="contract number of a contractor")
    add.add_argument("--pledged-on", type=dt.date.fromisoformat, help="date of a contractor's written pledge")
    _out(add)
    _verb(verbs, "list", "every account", "account.manage", _operator_list)
    suspend = _verb(verbs, "suspend", "stop an account at once", "account.manage", _operator_suspend)
    suspend.add_argument("operator")
    suspend.add_argument("--reason", required=True)
    reset = _verb(verbs, "reset", "new first secrets for an account", "account.manage", _operator_reset)
    reset.add_argument("operator")
    _out(reset)
    grant = _verb(verbs, "grant", "ask for a duty, or approve what was asked for", None, _operator_grant)
    grant.add_argument("operator", nargs="?", help="whose duty; left out when approving")
    grant.add_argument("--duty")
    grant.add_argument("--until", type=dt.date.fromisoformat)
    grant.add_argument("--approve", type=int, metavar="NUMBER", help="approve this request")
    review = _verb(verbs, "review", "report of accounts and rights, overdue first", "account.manage", _operator_review)
    review.add_argument("operator", nargs="?", help="with --decide: whose account")
    review.add_argument("--decide", choices=("keep", "change", "end"))
    leave = _verb(verbs, "leave", "a person retires or is transferred", "account.manage", _operator_leave)
    leave.add_argument("operator")
    leave.add_argument("--kind", required=True, choices=("retired", "transferred"))
    leave.add_argument("--on", required=True, type=dt.date.fromisoformat, metavar="DATE")
    hours_ = _verb(verbs, "hours", "approve use of a terminal outside hours", "account.approve", _operator_hours)
    hours_.add_argument("operator")
    hours_.add_argument("--at", required=True, metavar="TERMINAL")
    hours_.add_argument("--from", dest="from_at", required=True, type=moment, metavar="TIME")
    hours_.add_argument("--until", required=True, type=moment, metavar="TIME")
    hours_.add_argument("--reason", required=True)


def _terminal(noun: argparse.ArgumentParser) -> None:
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    add = _verb(verbs, "add", "register a terminal; prints its one-time code", "account.approve", _terminal_add)
    add.add_argument("terminal_id", metavar="ID")
    add.add_argument("--label", required=True)
    add.add_argument("--office", required=True)
    add.add_argument(
        "--functions", required=True, help="comma separated: counter,confirm,protection,import,audit,admin"
    )
    _verb(verbs, "list", "every terminal", "account.approve", _terminal_list)


def _client(noun: argparse.ArgumentParser) -> None:
    verbs = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    add = _verb(verbs, "add", "register one consuming system", "account.approve", _client_add)
    add.add_argument("--system", required=True)
    add.add_argument("--scopes", required=True, help="comma separated, for example 001:resident:Read")
    add.add_argument("--until", required=True, type=dt.date.fromisoformat)
    _out(add)
    _verb(verbs, "list", "every client", "account.approve", _client_list)


def _verb(verbs: Commands, name: str, text: str, right: str | None, deed: Deed) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text)
    verb.add_argument("--tenant", required=True, metavar="CODE")
    verb.add_argument("--as", dest="login_as", required=True, metavar="LOGIN", help="who acts")
    verb.add_argument("--terminal", required=True, type=Path, metavar="FILE", help="file with the terminal's token")
    verb.add_argument("--json", action="store_true", help="print JSON")
    verb.set_defaults(run=_act, deed=deed, right=right, action=f"access.{verb.prog.split()[-2]}_{name}")
    return verb


def _out(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", required=True, type=Path, metavar="FILE", help="new file (0600) for the secrets")


def _bootstrap(options: argparse.Namespace) -> int:
    people = read_people(options.people)
    made = asyncio.run(_run_bootstrap(options, people))
    logins = [secret.login for secret in made.operators]
    shown = {
        "tenant": options.tenant,
        "operators": [{"login": s.login, "operator_id": s.operator_id} for s in made.operators],
        "terminals": [terminal.id for terminal in made.terminals],
        "out": str(options.out) if made.operators or made.terminals else None,
    }
    text = f"{options.tenant}: 操作者 {len(logins)} 人、端末 {len(made.terminals)} 台"
    told = (
        f"{text}を登録しました。初回の秘密は {options.out} にあります。"
        if shown["out"]
        else f"{text}。変更はありません。"
    )
    _print(options, shown, told)
    return 0


async def _run_bootstrap(options: argparse.Namespace, people: People) -> Made:
    fleet = await Fleet.open(load(os.environ))
    written = False
    try:
        caller = system(options.tenant, "bootstrap", {"account.manage"})
        purpose = "初期登録簿による登録"
        async with audit.operation(fleet, caller, "access.bootstrap", purpose=purpose, right="account.manage") as op:
            made = await bootstrap(op.work, people)
            op.fact(operators=len(made.operators), terminals=len(made.terminals))
            if made.operators or made.terminals:
                # before the commit: a secret that cannot be handed over must not become valid
                _write_secrets(options.out, _handed(options.tenant, people, made))
                written = True
        written = False
        return made
    except JukiError as error:
        written = written and error.code not in _PERHAPS_VALID
        raise
    finally:
        if written:
            options.out.unlink(missing_ok=True)
        await fleet.close()


def _handed(tenant: str, people: People, made: Made) -> dict[str, Any]:
    named = {person.login: person for person in people.operator}
    operators = [
        {
            **msgspec.to_builtins(secret),
            "name": named[secret.login].name,
            "office": named[secret.login].office,
            "duties": list(named[secret.login].duties),
        }
        for secret in made.operators
    ]
    return {"tenant": tenant, "operators": operators, "terminals": msgspec.to_builtins(made.terminals)}


def _act(options: argparse.Namespace) -> int:
    """Sign in, do one thing as one operation, sign out."""
    typed = Login(
        login_name=options.login_as, password=read_secret("パスワード: "), otp=read_secret("ワンタイムコード: ")
    )
    answer = asyncio.run(_run_as(options, typed))
    _print(options, msgspec.to_builtins(answer), _told(answer))
    return 0


async def _run_as(options: argparse.Namespace, typed: Login) -> Any:
    fleet = await Fleet.open(load(os.environ))
    try:
        opened = await audit.sign_in(fleet, options.tenant, typed, read_terminal(options.terminal))
        try:
            async with audit.operation(
                fleet, opened.caller, options.action, purpose="ID・権限の管理", right=options.right
            ) as op:
                return await options.deed(op.work, options)
        finally:
            await audit.sign_out(fleet, opened.caller)
    finally:
        await fleet.close()


def read_terminal(path: Path) -> str:
    """A terminal's token from its file; Misconfigured `access.terminal_file`."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Misconfigured("access.terminal_file", f"cannot read the terminal's token from {path}") from None


def read_secret(prompt: str) -> str:
    """One secret, asked for on a terminal, else one line of standard input."""
    return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


async def _operator_add(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    new = NewOperator(
        login=options.login,
        name=options.name,
        staff_no=options.staff_no,
        office=options.office,
        employment="contractor" if options.contract else "official",
        contract_no=options.contract,
        pledged_on=options.pledged_on,
    )
    handed = await accounts.register(work, new)
    _write_secrets(options.out, msgspec.to_builtins(handed))
    return {"operator_id": handed.operator_id, "login": handed.login, "out": str(options.out)}


async def _operator_list(work: Work, options: argparse.Namespace) -> list[dict[str, Any]]:
    return [
        {"operator_id": a.operator_id, "login": a.login_name, "office": a.office, "state": a.state}
        for a in await store.operators(work.session, work.ring)
    ]


async def _operator_suspend(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    await accounts.suspend(work, options.operator, options.reason)
    return {"operator": options.operator, "state": "suspended"}


async def _operator_reset(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    handed = await accounts.reset(work, options.operator)
    _write_secrets(options.out, msgspec.to_builtins(handed))
    return {"operator_id": handed.operator_id, "out": str(options.out)}


async def _operator_grant(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    if options.approve is not None:
        await grants.decide(work, options.approve, approve=True)
        return {"grant_no": options.approve, "state": "granted"}
    if not (options.operator and options.duty and options.until):
        raise Invalid("access.grant_what", "name the operator, --duty and --until, or --approve NUMBER")
    grants.must_manage(work)
    account = await accounts.find(work, options.operator)
    number = await grants.request(work, account.operator_id, options.duty, work.today, options.until)
    return {"grant_no": number, "state": "requested"}


async def _operator_leave(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    await accounts.personnel_event(work, options.operator, options.kind, options.on)
    return {"operator": options.operator, "kind": options.kind, "on": options.on.isoformat()}


async def _operator_hours(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    account = await accounts.find(work, options.operator)
    number = await hours.approve(work, account.operator_id, options.at, options.from_at, options.until, options.reason)
    return {"approval_no": number, "operator": account.operator_id}


async def _operator_review(work: Work, options: argparse.Namespace) -> list[Any]:
    if options.decide:
        await accounts.decide_review(work, options.operator or "", options.decide)
    return [msgspec.to_builtins(line) for line in await accounts.review(work)]


async def _terminal_add(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    functions = options.functions.split(",")
    code = await terminals.register(work, options.terminal_id, options.label, options.office, functions)
    return {"terminal_id": options.terminal_id, "enrol_code": code}


async def _terminal_list(work: Work, options: argparse.Namespace) -> list[Any]:
    return [msgspec.to_builtins(row) for row in await terminal_store.terminals(work.session)]


async def _client_add(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    made = await machines.register(work, options.system, options.scopes.split(","), options.until)
    _write_secrets(options.out, msgspec.to_builtins(made))
    return {"client_id": made.client_id, "out": str(options.out)}


async def _client_list(work: Work, options: argparse.Namespace) -> list[dict[str, Any]]:
    return await machines.listing(work)


def _write_secrets(path: Path, value: Any) -> None:
    """Once, readable by the owner only, never over another file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Misconfigured("access.out_exists", f"{path} exists", remedy="name a new file") from None
    except OSError:
        raise Misconfigured("access.out_unwritable", f"cannot write {path}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.write("\n")


def _told(answer: Any) -> str:
    lines: list[dict[str, Any]] = [answer] if isinstance(answer, dict) else list(answer)
    return "\n".join("  ".join(f"{k}={v}" for k, v in line.items()) for line in lines) or "ありません。"


def _print(options: argparse.Namespace, value: Any, text: str) -> None:
    print(json.dumps(value, ensure_ascii=False) if options.json else text)
