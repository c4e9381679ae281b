"""Every recorded item of a resident has a home, and what is put there comes back: sealed, stored, read, shown as JSON."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from juki import registry
from juki.access.model import Caller
from juki.audit import operation
from juki.dates import JST, RegistryDate
from juki.registry import items, store
from juki.registry.model import GROUPS, ITEMS, SEALED, Kind, Record, Status
from juki.registry.named import from_named, to_named
from juki.tenancy import Fleet

LISTED = {
    int(number): name
    for number, name in tomllib.loads((Path(__file__).parent / "items_of_the_file.toml").read_text(encoding="utf-8"))[
        "resident"
    ].items()
}
TABLES = {31: "certificate_issue", 32: "suppression"}


def filled() -> Record:
    """A record in which every item of every group holds a value that is not its default."""
    record = Record(
        atena_no="9000000008",
        version_no=1,
        setai_no="8000000007",
        member_order=3,
        is_head=True,
        status=Status.DECEASED,
        kind=Kind.FOREIGN,
        event_no=1,
        valid_from=dt.date(2026, 11, 1),
        known_from=dt.datetime(2026, 11, 20, 1, 2, 3, tzinfo=dt.UTC),
    )
    groups: dict[str, Any] = {}
    for name, struct in GROUPS.items():
        groups[name] = _fill(struct, name)
    return msgspec.structs.replace(record, **groups)


def _fill(struct: type[msgspec.Struct], path: str) -> Any:
    values: dict[str, Any] = {}
    for position, field in enumerate(msgspec.structs.fields(struct)):
        where = f"{path}.{field.name}"
        values[field.name] = _value(field.type, where, position)
    return struct(**values)


def _value(kind: Any, path: str, position: int) -> Any:
    text = str(kind)
    if "RegistryDate" in text:
        return RegistryDate(1980 + position, 1 + position % 12, 1 + position % 28)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    if kind is bool:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _fill(kind, path)
    return f"{path} 邉\U000e0101"


@pytest.mark.parametrize("number", sorted(LISTED), ids=[f"{n}-{LISTED[n]}" for n in sorted(LISTED)])
def test_each_item_of_the_list_has_a_home(number: int) -> None:
    """R-A-B2-DAT-01: the 82 items, none missing and none twice where they are not the same thing."""
    paths = ITEMS[number]
    assert paths
    for path in paths:
        if path.startswith("table:"):
            assert path == f"table:{TABLES[number]}"
        elif "." in path:
            assert items.get(filled(), path) not in (None, "", False)
        else:
            assert path in Record.__struct_fields__


def test_the_list_and_the_homes_are_the_same_eighty_two() -> None:
    """別添2(1): 82 items."""
    assert sorted(ITEMS) == sorted(LISTED) == list(range(1, 83))


def test_every_item_of_the_groups_answers_for_a_number_of_the_list() -> None:
    """R-A-3.2-MIN-01: nothing is recorded that is not on the list, but for what the certificate form itself asks."""
    named = {path for paths in ITEMS.values() for path in paths}
    own = {
        "address.moved_within_from",  # 異動前住所: a column of the certificate form
        "removal.settled_address.country",
        "removal.planned_address.country",
    }
    unnamed = [
        leaf
        for leaf in items.leaves()
        if leaf not in named
        and not any(leaf.startswith(f"{path}.") for path in named | own)
        and leaf not in own
        and leaf.rsplit(".", 1)[-1] not in ("building", "country", "postal", "code", "text")
    ]
    assert unnamed == []


async def test_every_item_survives_sealing_storing_reading_and_json(fleet: Fleet, caller: Any) -> None:
    """Import, screen and export all carry what is recorded: the value that went in comes out, letter for letter."""
    fleet.clock = lambda: dt.datetime(2026, 11, 20, 12, 0, tzinfo=JST)
    record = filled()
    clerk: Caller = caller("resident.read", "resident.my_number", "resident.code")
    async with operation(fleet, clerk, "guard.items", purpose="試験") as op:
        await store.add_versions(op, (record,), (record,))
        read = await registry.record(op, record.atena_no, groups=tuple(GROUPS))
    assert read == record
    for leaf in items.leaves():
        assert items.get(read, leaf) == items.get(record, leaf) != None  # noqa: E711 - a chain of three
    shown = json.loads(json.dumps(to_named(read)))
    assert from_named(Record, shown) == record
    for group in GROUPS:
        assert f"{group}." in json.dumps(shown[group], ensure_ascii=False) or "-" in json.dumps(shown[group])


async def test_no_sealed_column_holds_a_value_in_the_clear(fleet: Fleet, caller: Any) -> None:
    """security: every group lies sealed; the row as text shows none of it."""
    async with operation(fleet, caller("resident.read"), "guard.items", purpose="試験", write=False) as op:
        rows = await op.session.fetch("SELECT v::text FROM {t}.resident_version v")
    assert rows
    for (text,) in rows:
        assert "邉" not in text
        assert "邉".encode().hex() not in text


async def test_every_sealed_column_of_the_register_is_listed_for_re_keying(fleet: Fleet, caller: Any) -> None:
    """security: a rotation that forgets a column would lose it with the old root."""
    async with operation(fleet, caller("resident.read"), "guard.items", purpose="試験", write=False) as op:
        rows = await op.session.fetch(
            "SELECT c.table_name, c.column_name FROM information_schema.columns c WHERE c.table_schema = '{t}' "
            "AND c.column_name LIKE '%%\\_sealed' AND c.table_name IN ('event', 'resident_version', 'change_case', "
            "'case_step', 'resident_code_stock', 'support_measure', 'suppression', 'suppression_release', "
            "'loosening', 'loosening_step')"
        )
    assert set(rows) == {(table, column) for table, _, _, _, column in SEALED}
