"""A row of the work list shown item by item: never one item under another's name, and no number to whoever may not see it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from tests.legacy.media import imported

from juki import legacy
from juki.access.model import Caller
from juki.audit import operation
from juki.legacy.cut import HIDDEN, cells_of
from juki.legacy.layout import load
from juki.peers import generate
from juki.tenancy import Fleet

from .extracts import Rows, count_again


async def _opened(fleet: Fleet, who: Caller, reason: str) -> dict[str, str]:
    """The row turned away for a reason, as a clerk without the rights to numbers sees it."""
    clerk = _clerk(who)
    async with operation(fleet, clerk, "legacy.worklist", purpose="確認") as op:
        item = next(i for i in await legacy.worklist(op, limit=500) if i.reason == reason)
        return dict((await legacy.open_row(op, item.entry_no)).cells)


def _clerk(who: Caller) -> Caller:
    """Somebody who reviews the import and may not see 個人番号 or 住民票コード."""
    return Caller(tenant=who.tenant, actor_id="clerk", actor_kind="system", rights=frozenset({"import.review"}))


async def test_columns_in_another_order_are_shown_under_their_own_names(
    fresh_fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path, today: dt.date
) -> None:
    """R-A-2.3-USE-01: a 個人番号 that stands where 氏名 does in the layout is hidden all the same."""
    folder = tmp_path / "extract"
    generate("075418", folder, residents=60, seed=11, as_of=today, faults=False)
    rows = Rows(folder, "utf8-csv", "residents.csv")
    number, name = rows.get(0, "個人番号"), rows.get(0, "氏名")
    rows.set(0, "個人番号", number[:11] + str((int(number[11]) + 1) % 10))
    for row in (rows.head, *rows.rows):
        row.reverse()
    rows.save()
    count_again(folder)
    who = caller("import.run", "import.review", tenant="075418")
    await imported(fresh_fleet, who, folder)
    cells = await _opened(fresh_fleet, who, "my_number.check_digit")
    assert cells["個人番号"] == cells["住民票コード"] == HIDDEN
    assert cells["氏名"] == name


async def test_a_layout_of_staff_under_the_old_name_cuts_its_own_rows(
    fresh_fleet: Fleet, caller: Callable[..., Caller], tmp_path: Path, today: dt.date
) -> None:
    """R-A-2.3-USE-01: the slip asks for the vendor's name of the layout, so a changed copy bears it too."""
    folder = tmp_path / "extract"
    generate("072044", folder, residents=150, seed=11, as_of=today)
    text = (files("juki.legacy") / "layouts" / "cp932-fixed.toml").read_text(encoding="utf-8")
    # 個人番号 and 異動前住所 change places: 80 bytes at 844 and 12 at 924
    mine = text.replace("at = 844, width = 80", "at = 856, width = 80").replace(
        "at = 924, width = 12", "at = 844, width = 12"
    )
    path = tmp_path / "own.toml"
    path.write_text(mine, encoding="utf-8")
    for name in ("JUMIN.DAT", "RIREKI.DAT"):
        lines = (folder / name).read_bytes().split(b"\r\n")
        swapped = [
            line[:843] + line[923:935] + line[843:923] + line[935:] if len(line) == 1746 else line for line in lines
        ]
        (folder / name).write_bytes(b"\r\n".join(swapped))
    count_again(folder)
    who = caller("import.run", "import.review", tenant="072044")
    report = await imported(fresh_fleet, who, folder, layout=str(path))
    assert report.counts.residents > 100
    cells = await _opened(fresh_fleet, who, "my_number.check_digit")
    assert cells["個人番号"] == HIDDEN
    assert not any("99" in text and text.isdigit() and len(text) == 12 for text in cells.values())


@pytest.mark.parametrize(
    ("raw", "file", "layout"),
    [
        (b" " * 900 + b"123456789012" + b" " * 100, "JUMIN.DAT", "cp932-fixed"),
        (b"a,b,123456789012", "residents.csv", "utf8-csv"),
        (b'a,"b,123456789012', "residents.csv", "utf8-csv"),
        (b"123456789012", "GONE.DAT", "cp932-fixed"),
    ],
)
def test_a_row_that_does_not_fit_is_shown_whole_and_without_numbers(raw: bytes, file: str, layout: str) -> None:
    """R-A-2.3-USE-01: where items cannot be told apart, no name is put to any of them."""
    ((title, text),) = cells_of(raw, file, load(layout), hidden={"my_number.my_number"})
    assert title == ""
    assert "123456789012" not in text
    assert HIDDEN in text
    ((_, seen),) = cells_of(raw, file, load(layout))
    assert "123456789012" in seen
