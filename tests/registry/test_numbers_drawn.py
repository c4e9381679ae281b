"""Numbers that the register gives out: never one that somebody has or had."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.registry.conftest import ENTRY, Desk, family, newcomer, resident_code

from juki import registry
from juki.__main__ import main
from juki.access.model import Caller
from juki.config import Config
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.registry.model import Foreigner, Kind, MoveOut, Place
from juki.tenancy import connect


async def test_a_new_household_never_gets_the_number_of_one_that_an_incumbent_brought(
    desk: Desk, config: Config
) -> None:
    """R-1-1.1-DAT-01: migrated 宛名番号 and 世帯番号 may lie where our own counters stand; newcomers get free ones."""
    first = await desk.make(family(*(newcomer(f"先着　{n}", "世帯主" if n == "一" else "子") for n in "一二三四五")))
    taken = await desk.read(first.new_atena_nos[0])
    with connect(config, "deploy") as deploy:  # as after a migration: numbers in use, our counters at their beginning
        deploy.execute("SELECT setval('t072044.atena_seq', 1, false), setval('t072044.setai_seq', 1, false)")
    second = await desk.make(family(newcomer("後着　一", "世帯主"), newcomer("後着　二", "子")))
    assert not set(second.new_atena_nos) & set(first.new_atena_nos)
    arrived = await desk.read(second.new_atena_nos[0])
    assert arrived.setai_no != taken.setai_no
    home = await desk.do(desk.clerk, lambda op: registry.household(op, arrived.setai_no))
    assert [m.atena_no for m in home.members] == list(second.new_atena_nos)


async def test_a_resident_code_is_never_taken_into_the_stock_twice(desk: Desk, caller: Callable[..., Caller]) -> None:
    """R-1-2.3-NUM-01: a batch sent again is refused, so that no two newborns get one 住民票コード."""
    keeper = caller(rights=ENTRY, tenant="072044", actor="op-stock")
    code, other = resident_code(810_001), resident_code(810_002)
    before = await desk.do(keeper, lambda op: registry.add_codes(op, [code]))
    with pytest.raises(Invalid) as caught:
        await desk.do(keeper, lambda op: registry.add_codes(op, [other, code]))
    assert caught.value.code == "registry.stock_twice"
    assert await desk.do(keeper, registry.codes_left) == before


def test_the_stock_of_codes_is_filled_up_by_a_command(
    fresh_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-1-2.3-NUM-01: codes come from the network; a file sent twice, or with a wrong code, adds none."""
    for name in ("home", "kms", "dsn_registry", "dsn_deploy", "dsn_control", "dsn_rekey"):
        monkeypatch.setenv(f"JUKI_{name.upper()}", str(getattr(fresh_config, name)))
    first, wrong, empty = tmp_path / "first.txt", tmp_path / "wrong.txt", tmp_path / "empty.txt"
    first.write_text("".join(f"{resident_code(810_010 + i)}\n" for i in range(3)), encoding="ascii")
    wrong.write_text(f"{resident_code(810_020)}\n1234\n", encoding="ascii")
    empty.write_text("住民票コード\n", encoding="utf-8")

    def run(*file: Path) -> tuple[int, dict[str, Any]]:
        code = main(["tenant", "codes", "072044", *map(str, file), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out)

    assert run() == (0, {"added": 0, "left": 0})
    assert run(first) == (0, {"added": 3, "left": 3})
    for file, why in (
        (first, "registry.stock_twice"),
        (wrong, "registry.resident_code_invalid"),
        (empty, "registry.codes_file"),
        (tmp_path / "none.txt", "juki.system"),
    ):
        code, told = run(file)
        assert (code, told["error"]["code"]) == (1, why)
    assert run() == (0, {"added": 0, "left": 3})


@pytest.mark.parametrize("shared", ["my_number", "resident_code", "card", "returning_atena_no"])
async def test_two_persons_of_one_form_cannot_share_a_number_or_a_record(desk: Desk, shared: str) -> None:
    """R-1-2.3-LNK-01: a number written for two of a family is a mistake, and nobody is lost by going on as one record."""
    people = [newcomer("二重　一", "世帯主"), newcomer("二重　二", "子")]
    if shared == "card":
        card = Foreigner(nationality="米国", category="中長期在留者", card_number="AB12345678CD")
        people = [msgspec.structs.replace(p, kind=Kind.FOREIGN, foreigner=card) for p in people]
    elif shared == "returning_atena_no":
        (atena_no,) = (await desk.make(family(newcomer("二重　旧", "世帯主")))).new_atena_nos
        await desk.make(
            MoveOut(
                occurred_on=RegistryDate(2026, 11, 10), atena_nos=(atena_no,), destination=Place(text="東京都千代田区")
            )
        )
        people = [msgspec.structs.replace(p, returning_atena_no=atena_no) for p in people]
    else:
        people[1] = msgspec.structs.replace(people[1], **{shared: getattr(people[0], shared)})
    with pytest.raises(Invalid) as caught:
        await desk.enter(family(*people, day=dt.date(2026, 11, 15)))
    assert caught.value.fields["persons"] == "registry.number_held"
