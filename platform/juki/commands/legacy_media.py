"""`juki legacy medium add | list | return | destroy`: the media on which extracts come."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from juki import legacy
from juki.access.model import Caller
from juki.audit import Operation, operation
from juki.legacy.model import MEDIUM_KINDS, Medium
from juki.tenancy import Fleet

Run = Callable[[str, Callable[[Fleet, Caller], Awaitable[Any]]], Any]
Print = Callable[[argparse.Namespace, Any, str], None]

_PURPOSE: Final = "移行媒体の管理"


def register(verbs: Any, run: Run, show: Print) -> None:
    """Add the verb `medium` with its own four."""
    noun = verbs.add_parser("medium", help="media that extracts come on: register, list, give back, destroy")
    under = noun.add_subparsers(title="verbs", metavar="VERB", required=True)
    add = _verb(under, "add", _add, run, show, "register a medium that was received")
    add.add_argument("medium", metavar="ID")
    add.add_argument("--kind", required=True, choices=MEDIUM_KINDS)
    add.add_argument(
        "--encryption", required=True, metavar="TEXT", help="how it is encrypted; an open one is not taken"
    )
    add.add_argument("--received-on", required=True, type=dt.date.fromisoformat, metavar="DATE")
    add.add_argument("--from", dest="person", required=True, metavar="WHO", help="who handed it over")
    _verb(under, "list", _list, run, show, "every medium and where it is")
    for name, work, option, text in (
        ("return", _return, "--to", "note that a medium went back"),
        ("destroy", _destroy, "--by", "note that a medium was destroyed"),
    ):
        verb = _verb(under, name, work, run, show, text)
        verb.add_argument("medium", metavar="ID")
        verb.add_argument("--on", required=True, type=dt.date.fromisoformat, metavar="DATE")
        verb.add_argument(option, dest="person", required=True, metavar="WHO")


def _verb(
    verbs: Any, name: str, work: Callable[[argparse.Namespace, Run, Print], int], run: Run, show: Print, text: str
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    verb.add_argument("--tenant", required=True, metavar="CODE", help="six digits of the municipality")
    verb.add_argument("--json", action="store_true", help="print JSON")

    def bound(options: argparse.Namespace) -> int:
        return work(options, run, show)

    verb.set_defaults(run=bound)
    return verb


def _within(
    options: argparse.Namespace, run: Run, action: str, act: Callable[[Operation], Awaitable[Any]], right: str
) -> Any:
    async def work(fleet: Fleet, caller: Caller) -> Any:
        async with operation(fleet, caller, f"legacy.{action}", purpose=_PURPOSE, right=right) as op:
            return await act(op)

    return run(options.tenant, work)


def _add(options: argparse.Namespace, run: Run, show: Print) -> int:
    async def act(op: Operation) -> None:
        await legacy.add_medium(
            op,
            options.medium,
            kind=options.kind,
            encryption=options.encryption,
            received_on=options.received_on,
            received_from=options.person,
        )

    _within(options, run, "medium_add", act, "import.run")
    show(options, {"medium": options.medium, "state": "in"}, f"{options.medium}: 受領を登録しました。")
    return 0


def _return(options: argparse.Namespace, run: Run, show: Print) -> int:
    async def act(op: Operation) -> None:
        await legacy.return_medium(op, options.medium, on=options.on, to=options.person)

    _within(options, run, "medium_return", act, "import.run")
    show(options, {"medium": options.medium, "state": "returned"}, f"{options.medium}: 返却を登録しました。")
    return 0


def _destroy(options: argparse.Namespace, run: Run, show: Print) -> int:
    async def act(op: Operation) -> None:
        await legacy.destroy_medium(op, options.medium, on=options.on, by=options.person)

    _within(options, run, "medium_destroy", act, "import.run")
    show(options, {"medium": options.medium, "state": "destroyed"}, f"{options.medium}: 廃棄を登録しました。")
    return 0


def _list(options: argparse.Namespace, run: Run, show: Print) -> int:
    found: list[Medium] = _within(options, run, "medium_list", legacy.media, "import.review")
    lines = [
        f"{m.medium_no}  {m.kind}  {m.encryption}  "
        + ", ".join(f"{s.state.value} {s.on_day.isoformat()} {s.person}" for s in m.steps)
        for m in found
    ]
    show(options, [msgspec.to_builtins(m) for m in found], "\n".join(lines) or "no medium is registered")
    return 0
