"""大量の出し入れ: rows for COPY when an incumbent's data comes in, records in order of 宛名番号 when data goes out.

No rule is checked here: an import checks before it comes, an export takes what is there. Nothing in this file opens a
connection of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from juki.audit import Operation
from juki.dates import RegistryDate
from juki.personal import Personal
from juki.registry import store
from juki.registry.index import (
    INDEX_COLUMNS,
    INDEX_TYPES,
    NUMBER_COLUMNS,
    NUMBER_TYPES,
    BlindIndex,
    by_row,
    number_columns,
    search_columns,
    searchable,
)
from juki.registry.measures import SupportMeasure
from juki.registry.protection_store import SUBJECT, subjects
from juki.registry.resident import GROUPS, MyNumber, Record
from juki.registry.timeline import Event
from juki.tenancy import Connection, TenantSession
from juki.vault import TenantRing

_VERSION = tuple(name.strip() for name in store.VERSION_COLUMNS.split(","))
_atena_no: Final = attrgetter("atena_no")
_EVENT = tuple(name.strip() for name in store.EVENT_COLUMNS.split(","))

COPY_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "resident_version": _VERSION,
    "event": _EVENT,
    "resident_index_a": INDEX_COLUMNS,
    "resident_index_b": INDEX_COLUMNS,
    "resident_number_a": NUMBER_COLUMNS,
    "resident_number_b": NUMBER_COLUMNS,
}
"""Table -> columns in the order in which `copy_rows` gives them."""

COPY_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "resident_version": store.VERSION_TYPES,
    "event": store.EVENT_TYPES,
    "resident_index_a": INDEX_TYPES,
    "resident_index_b": INDEX_TYPES,
    "resident_number_a": NUMBER_TYPES,
    "resident_number_b": NUMBER_TYPES,
}
"""Table -> PostgreSQL types for a binary COPY."""


def copy_rows(
    ring: TenantRing,
    record: Record,
    *,
    slots: Iterable[str] | None = None,
    indexed: bool = True,
) -> dict[str, list[tuple[object, ...]]]:
    """Table -> rows of one version, sealed and indexed. `indexed` False where an earlier version already has the same names,
    birth and address (see `searchable`).
    Raises ValueError for a version without `known_from`.
    """
    rows: dict[str, list[tuple[object, ...]]] = {"resident_version": [store.seal_record(ring, record)]}
    indexers = ring.write_indexes()
    for slot in slots if slots is not None else tuple(indexers):
        rows[f"resident_index_{slot}"] = by_row(search_columns(indexers[slot], [record] if indexed else []))
        rows[f"resident_number_{slot}"] = by_row(number_columns(indexers[slot], [record]))
    return rows


def subject_rows(indexer: BlindIndex, measure_no: int, content: SupportMeasure) -> list[tuple[bytes, int]]:
    """Rows of `support_subject` (subject_fp, measure_no) of one version of a measure."""
    return [(fingerprint, measure_no) for fingerprint in indexer.uniques(SUBJECT, subjects(content))]


def version_columns(
    ring: TenantRing,
    records: Sequence[Record],
    event_nos: Sequence[int],
    packed: Sequence[tuple[bytes | None, ...]],
) -> list[Sequence[object]]:
    """Columns of `resident_version` for COPY, sealed group by group; `packed` as of `pack_records`. The number of the change
    that made a version is taken from `event_nos`, not from the record. Raises ValueError as `copy_rows`."""
    return store.seal_records(ring, records, event_nos, packed)


def event_columns(
    ring: TenantRing, events: Sequence[Event], event_nos: Sequence[int], packed: Sequence[bytes]
) -> list[Sequence[object]]:
    """Columns of `event` for COPY, numbered by `event_nos`; `packed` as of `pack_event`."""
    return store.event_columns(ring, events, event_nos, packed)


def index_columns(indexer: BlindIndex, slot: str, records: Sequence[Record]) -> dict[str, list[Sequence[object]]]:
    """Table -> columns of one slot for whole residents, whose versions stand together, oldest first: an index row where
    something to search by is new, every number once."""
    fresh: list[Record] = []
    for _, versions in groupby(records, key=_atena_no):
        person = list(versions)
        fresh += person if len(person) == 1 else to_index(person)
    return {
        f"resident_index_{slot}": search_columns(indexer, fresh),
        f"resident_number_{slot}": number_columns(indexer, records),
    }


def event_row(ring: TenantRing, event: Event) -> tuple[object, ...]:
    """One row of `event` for COPY."""
    return store.event_row(ring, event)


def pack_records(records: Sequence[Record]) -> list[tuple[bytes | None, ...]]:
    """Every group of each version as it lies under its seal, in the order of GROUPS; what a read-back compares with."""
    return store.pack_records(records)


def pack_event(event: Event) -> bytes:
    """異動日 and 留意事項 of a change as they lie under their seal."""
    return store.pack_event(event)


class Stored(NamedTuple):
    """A page of stored versions with their changes: columns as they came, sealed values opened but not decoded."""

    columns: Sequence[Sequence[Any]]  # as VERSION_COLUMNS, sealed; then reason, notified_on, processed_on, known_from
    groups: list[tuple[bytes | None, ...]]
    details: list[bytes]

    def birth_years(self) -> int:
        """Sum of the years of birth, 0 where one is unknown or nobody's."""
        return sum(_born(groups[_BASIC]).birth.year for groups in self.groups if groups[_BASIC] is not None)

    def my_numbers(self) -> int:
        """Sum of the 個人番号 as numbers."""
        return sum(
            int(_numbered(groups[_MY_NUMBER]).my_number or 0)
            for groups in self.groups
            if groups[_MY_NUMBER] is not None
        )


class _Born(Personal, frozen=True, kw_only=True, array_like=True):
    """The head of a sealed Basic, as far as the birth."""

    name: msgspec.Raw
    birth: RegistryDate


_BASIC: Final = tuple(GROUPS).index("basic")
_MY_NUMBER: Final = tuple(GROUPS).index("my_number")
_born: Final[Callable[[Any], _Born]] = msgspec.msgpack.Decoder(_Born).decode
_numbered: Final[Callable[[Any], MyNumber]] = msgspec.msgpack.Decoder(MyNumber).decode


_STORED: Final = (
    "SELECT v.atena_no, v.version_no, v.event_no, v.setai_no, v.member_order, v.is_head, v.status, v.kind, "
    "v.valid_from, v.known_from, v.corrects_version, v.cancels_version, v.basic_sealed, v.address_sealed, "
    "v.domicile_sealed, v.my_number_sealed, v.resident_code_sealed, v.foreigner_sealed, v.entitlements_sealed, "
    "v.removal_sealed, v.notes_sealed, e.reason, e.notified_on, e.processed_on, e.known_from, e.detail_sealed "
    # a range of numbers on both sides: right after an import the database knows nothing yet of how many rows there are, and
    # whatever it takes them for, it reads no more of either table than the page
    "FROM {t}.resident_version v LEFT JOIN {t}.event e ON e.event_no = v.event_no AND e.event_no >= %(first)s "
    "AND e.event_no < %(last)s WHERE v.event_no >= %(first)s AND v.event_no < %(last)s"
)
_NEWEST: Final = (
    "SELECT n.status, n.kind, count(*) FROM (SELECT DISTINCT ON (v.atena_no) v.status, v.kind FROM {t}.resident_version v "
    "WHERE v.event_no >= %(first)s AND v.event_no < %(last)s ORDER BY v.atena_no, v.version_no DESC) AS n GROUP BY 1, 2"
)


def stored_sync(
    connection: Connection, schema: str, ring: TenantRing, *, first_event: int, last_event: int, batch: int
) -> Iterator[Stored]:
    """Versions that changes `first_event` <= n < `last_event` made, in pages of `batch` changes, in no order within one.

    The next page is on its way while one is worked on; the connection is in use until the last page was taken.
    """
    query = store.page_query(_STORED, schema)

    def page(first: int) -> list[tuple[Any, ...]]:
        asked = {"first": first, "last": min(first + batch, last_event)}
        return connection.execute(query, asked, binary=True).fetchall()

    with ThreadPoolExecutor(1) as reader:
        firsts = range(first_event, last_event, batch)
        coming = reader.submit(page, firsts[0]) if firsts else None
        for following in (*firsts[1:], None):
            if coming is None:
                return
            rows = coming.result()
            coming = reader.submit(page, following) if following is not None else None
            if not rows:
                continue
            columns = list(zip(*rows, strict=True))
            groups = list(zip(*store.open_columns(ring, columns), strict=True))
            changes = [ring.place(str(event_no), 1) for event_no in columns[2]]
            details = ring.open_column("event", "event", changes, columns[-1])
            yield Stored(columns[:-1], groups, [detail or b"" for detail in details])


def newest_sync(
    connection: Connection, schema: str, *, first_event: int, last_event: int
) -> list[tuple[str, str, int]]:
    """住民状態, 住民種別 and how many residents have them in the newest of the versions that `stored_sync` reads."""
    query = store.page_query(_NEWEST, schema)
    return connection.execute(query, {"first": first_event, "last": last_event}).fetchall()


def open_stored(ring: TenantRing, stored: Stored, row: int) -> Record:
    """A version of a page with every item."""
    return store.open_record(ring, [column[row] for column in stored.columns], tuple(GROUPS))


async def iter_records(
    op: Operation, *, groups: Collection[str] = tuple(GROUPS), batch: int = 500, after: str = ""
) -> AsyncIterator[tuple[Record, ...]]:
    """Every resident in order of 宛名番号, each with every version, oldest first; `after` goes on behind a key."""
    while True:
        rows = await _page(op.session, after, batch)
        if not rows:
            return
        for atena_no, versions in _opened(op.ring, rows, groups):
            after = atena_no
            op.touch(atena_no, my_number="my_number" in groups)
            yield versions


async def _page(session: TenantSession, after: str, batch: int) -> list[tuple[Any, ...]]:
    return await session.fetch(_PAGE, {"after": after, "batch": batch})


_PAGE: Final = (
    "SELECT v.atena_no, v.version_no, v.event_no, v.setai_no, v.member_order, v.is_head, v.status, v.kind, v.valid_from, "
    "v.known_from, v.corrects_version, v.cancels_version, v.basic_sealed, v.address_sealed, v.domicile_sealed, "
    "v.my_number_sealed, v.resident_code_sealed, v.foreigner_sealed, v.entitlements_sealed, v.removal_sealed, "
    "v.notes_sealed FROM {t}.resident_version v WHERE v.atena_no > %(after)s AND v.atena_no <= coalesce(("
    "SELECT max(k.atena_no) FROM (SELECT p.atena_no FROM {t}.resident_version p WHERE p.atena_no > %(after)s "
    "AND p.version_no = 1 ORDER BY p.atena_no LIMIT %(batch)s) AS k), '') ORDER BY v.atena_no, v.version_no"
)


def iter_records_sync(
    connection: Connection,
    schema: str,
    ring: TenantRing,
    *,
    groups: Collection[str] = tuple(GROUPS),
    batch: int = 500,
    after: str = "",
) -> Iterator[tuple[Record, ...]]:
    """As `iter_records`, on a connection of the caller's own that already has the tenant's role (`tenancy.bulk`)."""
    query = store.page_query(_PAGE, schema)
    while True:
        rows = connection.execute(query, {"after": after, "batch": batch}).fetchall()
        if not rows:
            return
        for atena_no, versions in _opened(ring, rows, groups):
            after = atena_no
            yield versions


def events_sync(connection: Connection, schema: str, ring: TenantRing, event_nos: Collection[int]) -> dict[int, Event]:
    """Changes by number, on a connection of the caller's own as for `iter_records_sync`."""
    query = store.page_query(
        "SELECT event_no, reason, occurred_on, notified_on, processed_on, known_from, case_no, cancels_event, "
        "entered_by, confirmed_by, terminal, detail_sealed FROM {t}.event WHERE event_no = ANY(%(event_nos)s)",
        schema,
    )
    rows = connection.execute(query, {"event_nos": list(event_nos)}).fetchall()
    return {row[0]: store.open_event(ring, row) for row in rows}


def _opened(
    ring: TenantRing, rows: list[tuple[Any, ...]], groups: Collection[str]
) -> Iterator[tuple[str, tuple[Record, ...]]]:
    for atena_no, group in groupby(rows, key=lambda row: row[0]):
        yield atena_no, tuple(store.open_record(ring, row, groups) for row in group)


def to_index(versions: Iterable[Record]) -> Iterator[Record]:
    """Of one resident's versions, those that bring names, birth or address no earlier one had."""
    seen: set[tuple[object, ...]] = set()
    for version in versions:
        key = searchable(version)
        if key not in seen:
            seen.add(key)
            yield version


async def iter_events(op: Operation, *, batch: int = 1000, after: int = 0) -> AsyncIterator[Event]:
    """Every change in the ledger in order of its number."""
    while True:
        rows = await op.session.fetch(
            "SELECT event_no FROM {t}.event WHERE event_no > %(after)s ORDER BY event_no LIMIT %(batch)s",
            {"after": after, "batch": batch},
        )
        if not rows:
            return
        found: Mapping[int, Event] = await store.events(op.session, op.ring, [row[0] for row in rows])
        for (event_no,) in rows:
            after = event_no
            yield found[event_no]
