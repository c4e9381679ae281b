"""Data in bulk: what COPY brings in is what a page, an export and a search read back; the town in memory is the judge."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.town import Town

from juki import letters, registry
from juki.access.model import Caller
from juki.audit import operation
from juki.dates import JST
from juki.problem import JukiError, NotFound
from juki.registry.index import by_row
from juki.registry.model import GROUPS, Query, Record, as_of, timeline
from juki.registry.query import parts_of
from juki.tenancy import Fleet, bulk
from juki.vault import DoesNotOpen

ALL = tuple(GROUPS)


def play(seed: int, steps: int) -> Town:
    """A town after some random changes."""
    town = Town(seed)
    for _ in range(steps):
        town.today += dt.timedelta(days=town.random.randint(0, 4))
        proposed = town.propose()
        if proposed is None:
            continue
        change, scene, allowed = town.judge(proposed)
        if allowed:
            town.commit(change, scene)
    return town


def copy_town(connection: psycopg.Connection[Any], ring: Any, code: str, town: Town) -> None:
    """Every version of the town by binary COPY, ledger included."""
    tables: dict[str, list[Any]] = {"event": [registry.event_row(ring, e) for e in town.events.values()]}
    for versions in town.records.values():
        indexed = set(registry.to_index(versions))
        for version in versions:
            for table, rows in registry.copy_rows(ring, version, indexed=version in indexed).items():
                tables.setdefault(table, []).extend(rows)
    for table, rows in tables.items():
        unique = list(dict.fromkeys(rows)) if table.startswith("resident_number") else rows
        columns = ", ".join(registry.COPY_COLUMNS[table])
        with connection.cursor().copy(f"COPY t{code}.{table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(registry.COPY_TYPES[table])
            for row in unique:
                copy.write_row(row)
    connection.commit()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_register_answers_as_the_town_in_memory_on_both_axes(
    fresh_fleet: Fleet, caller: Callable[..., Caller], seed: int
) -> None:
    """F-S1-01: as-of on valid time and on known time, for everyone, against the plain model."""
    town = play(seed, 60)
    ring = await fresh_fleet.keyring.get("072044")
    with bulk(fresh_fleet, "072044") as connection:
        copy_town(connection, ring, "072044", town)
    fresh_fleet.clock = lambda: dt.datetime.combine(town.today, dt.time(9), JST)
    clerk = caller("resident.read", "resident.my_number", "resident.code", "resident.search")
    days = [town.today, town.today - dt.timedelta(days=40), town.today + dt.timedelta(days=30)]
    instants = [None, *(town.events[n].known_from for n in sorted(town.events)[:: max(1, len(town.events) // 4)])]
    async with operation(fresh_fleet, clerk, "test", purpose="試験", write=False) as op:
        for atena_no, versions in town.records.items():
            for day in days:
                for known_at in instants:
                    expected = as_of(timeline(versions, known_at), day)
                    assert await _read(op, atena_no, day, known_at) == expected
            history = await registry.history(op, atena_no, groups=ALL)
            assert tuple(v.record for v in history) == versions
            assert all(v.event == town.events[v.record.event_no] for v in history)


async def _read(op: Any, atena_no: str, day: dt.date, known_at: dt.datetime | None) -> Record | None:
    try:
        return await registry.record(op, atena_no, groups=ALL, as_of=day, known_at=known_at)
    except NotFound:
        return None


async def test_an_export_in_pages_gives_every_version_of_everyone_once(
    fresh_fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """F-S1-01: keyset pages, in the session and on a connection of its own, from any key on."""
    town = play(7, 80)
    ring = await fresh_fleet.keyring.get("072044")
    with bulk(fresh_fleet, "072044") as connection:
        copy_town(connection, ring, "072044", town)
        expected = [town.records[a] for a in sorted(town.records)]
        assert list(registry.iter_records_sync(connection, "t072044", ring, batch=3)) == expected
        middle = sorted(town.records)[len(town.records) // 2]
        rest = list(registry.iter_records_sync(connection, "t072044", ring, batch=1000, after=middle))
        assert [v[0].atena_no for v in rest] == [a for a in sorted(town.records) if a > middle]
        bare = next(registry.iter_records_sync(connection, "t072044", ring, groups=("basic",)))
        assert all(v.my_number is None for v in bare)
    async with operation(fresh_fleet, caller("resident.read"), "test", purpose="試験", write=False) as op:
        found = [versions async for versions in registry.iter_records(op, batch=4)]
        assert found == expected
        assert set(op.subjects) == set(town.records)
        assert all(op.subjects.values())
        events = [event async for event in registry.iter_events(op, batch=5)]
    assert events == list(town.events.values())


async def test_what_was_copied_in_is_found_like_what_was_entered(
    fresh_fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """P-4-1: every resident of the town is found by name, by number and by birth, and nobody else is."""
    town = play(11, 40)
    ring = await fresh_fleet.keyring.get("072044")
    with bulk(fresh_fleet, "072044") as connection:
        copy_town(connection, ring, "072044", town)
    fresh_fleet.clock = lambda: dt.datetime.combine(town.today, dt.time(9), JST)
    clerk = caller("resident.search", "resident.my_number")
    async with operation(fresh_fleet, clerk, "test", purpose="試験", write=False) as op:
        for atena_no, resident in town.residents().items():
            assert resident.basic is not None
            same = {
                a
                for a, versions in town.records.items()
                for v in versions
                if v.basic is not None
                and v.basic.name == resident.basic.name
                and v.status.value != "void"
                and (held := as_of(timeline(versions), town.today)) is not None
                and held.status.value != "void"
            }
            found = await registry.search(op, Query(name=resident.basic.name))
            assert {h.atena_no for h in found.hits} == same
            if resident.my_number is not None:
                found = await registry.search(op, Query(my_number=resident.my_number.my_number))
                assert [h.atena_no for h in found.hits] == [atena_no]


async def test_a_sealed_group_moved_to_another_row_version_or_municipality_does_not_open(fresh_fleet: Fleet) -> None:
    """security: associated data bind a group to tenant, table, group, row and version."""
    town = play(5, 10)
    ring, other = await fresh_fleet.keyring.get("072044"), await fresh_fleet.keyring.get("075418")
    version = next(iter(town.records.values()))[0]
    sealed = registry.copy_rows(ring, version)["resident_version"][0][12]
    assert isinstance(sealed, bytes)
    seat = ("resident_version", "basic", version.atena_no, version.version_no)
    assert ring.open(*seat, sealed, GROUPS["basic"]) == version.basic
    moves = [
        (ring, ("resident_version", "basic", "0000000000", 1)),
        (ring, ("resident_version", "basic", version.atena_no, 2)),
        (ring, ("resident_version", "address", version.atena_no, 1)),
        (ring, ("event", "basic", version.atena_no, 1)),
        (other, seat),
    ]
    for opener, place in moves:
        with pytest.raises(JukiError) as caught:
            opener.open(*place, sealed, GROUPS["basic"])
        assert isinstance(caught.value, DoesNotOpen)


def test_rows_of_an_unstamped_version_are_refused(fresh_fleet: Fleet) -> None:
    """A version without its instant has no place on the second axis."""
    town = play(5, 10)
    version = next(iter(town.records.values()))[0]
    ring = fresh_fleet.keyring.get_sync("072044")
    unstamped = Record(**{f: getattr(version, f) for f in Record.__struct_fields__} | {"known_from": None})
    with pytest.raises(ValueError, match="stamped"):
        registry.copy_rows(ring, unstamped)


async def test_whole_columns_hold_what_single_rows_hold(fresh_fleet: Fleet) -> None:
    """The two roads into the register differ in speed only: everything plain and every index is equal, every seal opens to
    the same; numbers and index rows that a person has had before are left out of both."""
    town = play(13, 60)
    ring = await fresh_fleet.keyring.get("072044")
    persons = list(town.records.values())
    records = [version for versions in persons for version in versions]
    assert any(len(versions) > 2 for versions in persons)
    packed = registry.pack_records(records)
    columns = registry.version_columns(ring, records, [v.event_no for v in records], packed)
    rows = list(zip(*columns, strict=True))
    assert len(rows) == len(records)
    for version, row in zip(records, rows, strict=True):
        (single,) = registry.copy_rows(ring, version)["resident_version"]
        assert row[:12] == single[:12]
        for (name, type_), value in zip(GROUPS.items(), row[12:], strict=True):
            group = getattr(version, name)
            assert (value is None) is (group is None)
            if group is not None:
                assert ring.open("resident_version", name, version.atena_no, version.version_no, value, type_) == group
    for slot, indexer in ring.write_indexes().items():
        found = registry.index_columns(indexer, slot, records)
        expected: dict[str, list[Any]] = {table: [] for table in found}
        for versions in persons:
            indexed = set(registry.to_index(versions))
            for version in versions:
                single = registry.copy_rows(ring, version, indexed=version in indexed, slots=(slot,))
                for table, rows in expected.items():
                    rows += [row for row in single[table] if row not in rows]
        for table, rows in expected.items():
            assert rows
            assert sorted(by_row(found[table]), key=repr) == sorted(rows, key=repr)


async def test_columns_take_the_number_of_the_change_they_are_told(fresh_fleet: Fleet) -> None:
    """An import numbers its changes when it writes; the record does not know the number yet."""
    town = play(5, 10)
    ring = await fresh_fleet.keyring.get("072044")
    versions = next(iter(town.records.values()))
    events = [town.events[version.event_no] for version in versions]
    numbers = [900 + n for n in range(len(versions))]
    packed = registry.pack_records(versions)
    assert list(registry.version_columns(ring, versions, numbers, packed)[2]) == numbers
    columns = registry.event_columns(ring, events, numbers, [registry.pack_event(event) for event in events])
    for number, event, row in zip(numbers, events, zip(*columns, strict=True), strict=True):
        single = registry.event_row(ring, event)
        assert row[0] == number
        assert row[1:11] == single[1:11]
        assert ring.open("event", "event", str(number), 1, row[11], bytes) == registry.pack_event(event)


async def test_a_page_read_back_is_what_was_packed(fresh_fleet: Fleet) -> None:
    """F-S1-01: stored versions in order, page by page, opened but not decoded; one flipped bit anywhere stops the reading."""
    town = play(7, 60)
    ring = await fresh_fleet.keyring.get("072044")
    with bulk(fresh_fleet, "072044") as connection:
        copy_town(connection, ring, "072044", town)
        last = max(town.events) + 1
        everyone = sorted(
            (v for versions in town.records.values() for v in versions), key=lambda v: (v.atena_no, v.version_no)
        )
        for batch in (2, 1000):
            read = registry.stored_sync(connection, "t072044", ring, first_event=0, last_event=last, batch=batch)
            pages = list(read)
            assert len(pages) > 1 or batch == 1000
            seen = [(page, row) for page in pages for row in range(len(page.columns[0]))]
            seen.sort(key=lambda at: (at[0].columns[0][at[1]], at[0].columns[1][at[1]]))
            assert [page.groups[row] for page, row in seen] == registry.pack_records(everyone)
            assert [page.details[row] for page, row in seen] == [
                registry.pack_event(town.events[version.event_no]) for version in everyone
            ]
            assert [registry.open_stored(ring, page, row) for page, row in seen] == everyone
            assert sum(page.birth_years() for page in pages) == sum(v.basic.birth.year for v in everyone if v.basic)
            assert sum(page.my_numbers() for page in pages) == sum(
                int(v.my_number.my_number or 0) for v in everyone if v.my_number
            )
        newest = Counter((line[-1].status, line[-1].kind) for line in town.records.values())
        found = registry.newest_sync(connection, "t072044", first_event=0, last_event=last)
        assert {(status, kind): persons for status, kind, persons in found} == newest
        half = registry.stored_sync(connection, "t072044", ring, first_event=0, last_event=0, batch=10)
        assert list(half) == []


@given(st.text(st.sampled_from("髙橋渡邉斎 　-ー・ﾀｶヶEé\U000e0100が"), max_size=12))
def test_a_name_folded_in_parts_is_the_name_folded_as_a_whole(name: str) -> None:
    """P-4-1: the index takes the parts, a search the whole; they meet only where folding knows no neighbours."""
    assert "".join(letters.fold(part) for part in parts_of(name)) == letters.fold(name)
