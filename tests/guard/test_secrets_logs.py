"""Nothing personal and no key in what the system says to its operators: logs, messages of faults, representations, output."""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from juki import registry
from juki.access.model import Caller
from juki.audit import operation
from juki.commands.rotate import SEALED
from juki.config import Config
from juki.problem import JukiError
from juki.registry import Query
from juki.tenancy import Fleet, connect, rotate_root
from juki.tenancy.keys import tenant_keys
from juki.vault import open_kms, unwrap

from ..registry.conftest import Desk, three

PLANTED = (
    "渡邊",
    "一郎",
    "花子",
    "三郎",
    "ワタナベ",
    "イチロウ",
    "梅本",
    "国分町",
    "1984",
    "1986",
    "昭和59",
    "届出　太郎",
)


class Heard:
    """Everything that was said, and everything that must not have been."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.secrets: set[str] = set(PLANTED)

    async def failing(self, work: Awaitable[Any]) -> None:
        """Keep what a fault says of itself, as a log would."""
        try:
            await work
        except JukiError as error:
            self.told += [str(error), repr(error), repr(error.facts), "".join(traceback.format_exception_only(error))]
            self.told.append(repr(getattr(error, "fields", "")))
        else:
            raise AssertionError("this was meant to fail")

    def found(self, text: str) -> list[str]:
        """Secrets that stand in a text."""
        return sorted(secret for secret in self.secrets if secret and secret in text)


async def story(desk: Desk, heard: Heard) -> None:
    """Entry, mismatched confirmation, confirmation, search, reading, refusals and a lost key."""
    change = three("渡邊")
    for person in change.persons:
        heard.secrets |= {person.my_number, person.resident_code}
    case_no = await desk.enter(change)
    await heard.failing(desk.confirm(case_no, change, persons__0__birth="1999-01-01"))
    made = await desk.confirm(case_no, change)
    heard.told += [repr(change), repr(made), repr(change.persons[0])]
    for query in (Query(name="渡邊一郎"), Query(kana="ワタナベ"), Query(my_number=change.persons[0].my_number)):
        heard.told.append(repr(query))
        async with operation(desk.fleet, desk.clerk, "registry.search", purpose="試験") as op:
            heard.told.append(repr(await registry.search(op, query)))
    record = await desk.read(made.atena_nos[0])
    heard.told += [repr(record), str(record), f"{record!r:>10}", repr(record.basic), repr(record.address)]
    await heard.failing(desk.enter(three("渡邊", address=record.address.address if record.address else None)))
    await heard.failing(desk.read("9999999999"))
    stranger = desk.fleet, Caller(tenant=desk.tenant, actor_id="op-none")
    await heard.failing(_search_without_right(*stranger))


async def _search_without_right(fleet: Fleet, caller: Caller) -> None:
    async with operation(fleet, caller, "registry.search", purpose="試験", right="resident.search"):
        raise AssertionError("not allowed in")


async def test_no_log_message_or_representation_holds_personal_data_or_a_key(
    fresh_fleet: Fleet,
    fresh_config: Config,
    caller: Callable[..., Caller],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """R-A-3.3-CPY-02: a clerk's day with mistakes in it, every logger at its most talkative, and nothing slips out."""
    import datetime as dt

    from juki.dates import JST

    fresh_fleet.clock = lambda: dt.datetime(2026, 11, 20, 10, 0, tzinfo=JST)
    caplog.set_level(logging.DEBUG)
    heard = Heard()
    heard.secrets |= keys_of(fresh_config)
    desk = Desk(fresh_fleet, caller, "072044")
    await story(desk, heard)
    kms = open_kms(fresh_config.kms_spec)
    await asyncio.to_thread(
        rotate_root, fresh_config, kms, "072044", actor="test", sealed=SEALED, tell=lambda p: heard.told.append(repr(p))
    )
    heard.secrets |= keys_of(fresh_config)
    kms.disable((await fresh_fleet.tenant("072044")).key_id)
    fresh_fleet.purge("072044")
    await heard.failing(fresh_fleet.keyring.get("072044"))
    heard.told += [repr(fresh_fleet), repr(fresh_config), repr(desk.clerk)]
    output = capfd.readouterr()
    said = "\n".join([caplog.text, output.out, output.err, *heard.told])
    assert len(heard.told) > 20
    assert any(record.name.startswith("juki") for record in caplog.records)
    assert heard.found(said) == []


def keys_of(config: Config) -> set[str]:
    """Every root and every password of this test, in the spellings in which they would be printed."""
    kms = open_kms(config.kms_spec)
    spelled: set[str] = set()
    with connect(config, "registry") as connection:
        for wrapped in tenant_keys(connection, "072044").roots:
            root = bytes(unwrap(kms, wrapped))
            spelled |= {root.hex(), base64.b64encode(root).decode(), repr(root)[2:-1]}
    for name in ("dsn_registry", "dsn_rekey", "dsn_deploy", "dsn_control"):
        dsn: str = getattr(config, name)
        spelled |= {part.partition("=")[2] for part in dsn.split() if part.startswith("password=")}
    return spelled


def test_the_guard_would_notice(caplog: pytest.LogCaptureFixture) -> None:
    """A guard that cannot fail guards nothing."""
    heard = Heard()
    logging.getLogger("juki.test").warning("the resident is %s", "渡邊　一郎")
    assert heard.found(caplog.text) == ["一郎", "渡邊"]
