"""住民票の保管: SQL and sealing of versions, events and the two index slots. Nothing here decides anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, LiteralString

import msgspec

from juki.audit import Operation
from juki.dates import RegistryDate, today_in_japan
from juki.problem import Conflict
from juki.registry.index import by_row, number_columns, search_columns
from juki.registry.resident import GROUPS, Kind, Record, Status
from juki.registry.timeline import Event, EventDetail
from juki.tenancy import TenantSession
from juki.tenancy.session import qualified
from juki.vault import TenantRing

TABLE: Final = "resident_version"

_HELD: Final[LiteralString] = (
    "s.process = 'inquiry' AND s.level = 'error' "
    "AND (s.starts_on <= %(today)s OR s.starts_on <= (s.set_at AT TIME ZONE 'Asia/Tokyo')::date) AND NOT EXISTS ("
    "SELECT 1 FROM {t}.suppression_release r WHERE r.suppression_no = s.suppression_no "
    "AND (r.until IS NULL OR (r.released_at <= %(now)s AND r.until > %(now)s)))"
)
"""抑止 of 照会 in force: begun, also by a clock that was put back since, and not released."""

_PLAIN: Final[LiteralString] = (
    "v.atena_no, v.version_no, v.event_no, v.setai_no, v.member_order, v.is_head, v.status, v.kind, v.valid_from, "
    "v.known_from, v.corrects_version, v.cancels_version"
)
_SEALED: Final[LiteralString] = (
    "v.basic_sealed, v.address_sealed, v.domicile_sealed, v.my_number_sealed, v.resident_code_sealed, "
    "v.foreigner_sealed, v.entitlements_sealed, v.removal_sealed, v.notes_sealed"
)
VERSION_COLUMNS: Final[LiteralString] = (
    "atena_no, version_no, event_no, setai_no, member_order, is_head, status, kind, valid_from, known_from, "
    "corrects_version, cancels_version, basic_sealed, address_sealed, domicile_sealed, my_number_sealed, "
    "resident_code_sealed, foreigner_sealed, entitlements_sealed, removal_sealed, notes_sealed"
)
VERSION_TYPES: Final = (
    *("text", "int4", "int8", "text", "int4", "bool", "text", "text", "date", "timestamptz", "int4", "int4"),
    *("bytea",) * 9,
)
_GROUP_NAMES: Final = tuple(GROUPS)
_PLAIN_COLUMNS: Final = len(VERSION_TYPES) - len(GROUPS)
_EVENT_NO: Final = 2
_groups_of: Final[Callable[[Record], tuple[Any, ...]]] = attrgetter(*_GROUP_NAMES)
_encode: Final = msgspec.msgpack.Encoder().encode


def in_slot(sql: LiteralString, slot: str) -> LiteralString:
    """A statement with `{slot}` set to one of the two index slots."""
    return sql.replace("{slot}", "b") if slot == "b" else sql.replace("{slot}", "a")


def pack_records(records: Sequence[Record]) -> list[tuple[bytes | None, ...]]:
    """Every group of each version as it lies under its seal, in the order of GROUPS; a missing group is None."""
    columns = zip(*map(_groups_of, records), strict=True)
    return list(
        zip(*[[None if group is None else _encode(group) for group in column] for column in columns], strict=True)
    )


def seal_record(ring: TenantRing, record: Record) -> tuple[object, ...]:
    """One row of resident_version, columns as VERSION_COLUMNS; a missing group is NULL."""
    if record.known_from is None:
        raise ValueError("a version is stamped with its instant before it is kept")
    (groups,) = pack_records((record,))
    return (*plain_row(record), *ring.seal_groups(TABLE, _GROUP_NAMES, record.atena_no, record.version_no, groups))


def seal_records(
    ring: TenantRing,
    records: Sequence[Record],
    event_nos: Sequence[int],
    packed: Sequence[tuple[bytes | None, ...]],
) -> list[Sequence[object]]:
    """Columns of resident_version for many versions, as VERSION_COLUMNS; `event_nos` are the changes that made them."""
    if not records:
        return []
    if any(record.known_from is None for record in records):
        raise ValueError("a version is stamped with its instant before it is kept")
    plain: list[Sequence[object]] = list(zip(*map(plain_row, records), strict=True))
    plain[_EVENT_NO] = event_nos
    places = [ring.place(record.atena_no, record.version_no) for record in records]
    groups = zip(_GROUP_NAMES, zip(*packed, strict=True), strict=True)
    return plain + [ring.seal_column(TABLE, name, places, column) for name, column in groups]


def open_columns(ring: TenantRing, columns: Sequence[Sequence[Any]]) -> list[list[bytes | None]]:
    """What `pack_records` made of many stored versions, by group; columns as VERSION_COLUMNS. Raises VaultError as
    `open_record`."""
    places = list(map(ring.place, columns[0], columns[1]))
    sealed = columns[_PLAIN_COLUMNS : _PLAIN_COLUMNS + len(GROUPS)]
    return [ring.open_column(TABLE, name, places, column) for name, column in zip(_GROUP_NAMES, sealed, strict=True)]


def plain_row(record: Record) -> tuple[object, ...]:
    """The unsealed columns of a version, in order."""
    return (
        record.atena_no,
        record.version_no,
        record.event_no,
        record.setai_no,
        record.member_order,
        record.is_head,
        record.status.value,
        record.kind.value,
        record.valid_from,
        record.known_from,
        record.corrects_version,
        record.cancels_version,
    )


def open_record(ring: TenantRing, row: Sequence[Any], groups: Iterable[str]) -> Record:
    """A version with the groups named opened and the others left shut. Raises VaultError where a seal does not hold."""
    atena_no, version_no = row[0], row[1]
    opened: dict[str, Any] = {}
    for name in groups:
        sealed = row[12 + _GROUP_NAMES.index(name)]
        if sealed is not None:
            opened[name] = ring.open(TABLE, name, atena_no, version_no, sealed, GROUPS[name])
    return Record(
        atena_no=atena_no,
        version_no=version_no,
        event_no=row[2],
        setai_no=row[3],
        member_order=row[4],
        is_head=row[5],
        status=Status(row[6]),
        kind=Kind(row[7]),
        valid_from=row[8],
        known_from=row[9],
        corrects_version=row[10],
        cancels_version=row[11],
        **opened,
    )


async def rows_of(session: TenantSession, atena_nos: Sequence[str]) -> list[tuple[Any, ...]]:
    """Every version of the residents named, still sealed, oldest first."""
    return await session.fetch(
        "SELECT " + _PLAIN + ", " + _SEALED + " FROM {t}.resident_version v WHERE v.atena_no = ANY(%(atena_nos)s) "
        "ORDER BY v.atena_no, v.version_no",
        {"atena_nos": list(atena_nos)},
    )


async def rows_to_show(op: Operation, atena_nos: Sequence[str]) -> list[tuple[Any, ...]]:
    """As `rows_of`, each row with one column more: 宛名番号 of those, of everyone who ever shared a household with the
    residents named, whose 照会 is held back today (抑止, level error).
    """
    return await op.session.fetch(
        "SELECT " + _PLAIN + ", " + _SEALED + ", ARRAY(SELECT DISTINCT s.atena_no FROM {t}.suppression s "
        "WHERE s.atena_no IN (SELECT m.atena_no FROM {t}.resident_version m WHERE m.setai_no IN "
        "(SELECT o.setai_no FROM {t}.resident_version o WHERE o.atena_no = ANY(%(atena_nos)s))) "
        "AND "
        + _HELD
        + ") FROM {t}.resident_version v WHERE v.atena_no = ANY(%(atena_nos)s) ORDER BY v.atena_no, v.version_no",
        {"atena_nos": list(atena_nos), "today": today_in_japan(op.now), "now": op.now},
    )


async def held_from_inquiry(op: Operation, atena_nos: Sequence[str]) -> frozenset[str]:
    """Of the residents named, those whose 照会 is held back today (抑止, level error) and not released."""
    rows = await op.session.fetch(
        "SELECT DISTINCT s.atena_no FROM {t}.suppression s WHERE s.atena_no = ANY(%(atena_nos)s) AND " + _HELD,
        {"atena_nos": list(atena_nos), "today": today_in_japan(op.now), "now": op.now},
    )
    return frozenset(row[0] for row in rows)


async def rows_around(
    session: TenantSession, atena_nos: Sequence[str], setai_nos: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Every version of everyone who ever shared a household with those named, still sealed, in one round trip."""
    return await session.fetch(AROUND, {"setai_nos": list(setai_nos), "atena_nos": list(atena_nos)})


AROUND: Final[LiteralString] = (
    "SELECT " + _PLAIN + ", " + _SEALED + " FROM {t}.resident_version v WHERE v.atena_no IN ("
    # one list of households: with OR between the two ways into it, every change read the whole register
    "SELECT m.atena_no FROM {t}.resident_version m WHERE m.setai_no IN (SELECT unnest(%(setai_nos)s::text[]) UNION "
    "SELECT o.setai_no FROM {t}.resident_version o WHERE o.atena_no = ANY(%(atena_nos)s))) "
    "ORDER BY v.atena_no, v.version_no"
)


async def others_of(session: TenantSession, setai_nos: Iterable[str], known: Iterable[str]) -> list[str]:
    """宛名番号 of everyone who was ever in one of the households, but for those known."""
    rows = await session.fetch(
        "SELECT DISTINCT m.atena_no FROM {t}.resident_version m WHERE m.setai_no = ANY(%(setai_nos)s) "
        "AND m.atena_no <> ALL(%(known)s) ORDER BY 1",
        {"setai_nos": list(setai_nos), "known": list(known)},
    )
    return [row[0] for row in rows]


async def housemates(session: TenantSession, atena_nos: Sequence[str]) -> list[str]:
    """宛名番号 of everyone who was ever in a household with those named, themselves included."""
    rows = await session.fetch(
        "SELECT DISTINCT m.atena_no FROM {t}.resident_version m WHERE m.setai_no IN "
        "(SELECT o.setai_no FROM {t}.resident_version o WHERE o.atena_no = ANY(%(atena_nos)s)) ORDER BY 1",
        {"atena_nos": list(atena_nos)},
    )
    return [row[0] for row in rows]


async def rows_of_household(session: TenantSession, setai_no: str) -> list[tuple[Any, ...]]:
    """Every version of everyone who was ever in the household, still sealed."""
    return await session.fetch(
        "SELECT " + _PLAIN + ", " + _SEALED + " FROM {t}.resident_version v WHERE v.atena_no IN "
        "(SELECT m.atena_no FROM {t}.resident_version m WHERE m.setai_no = %(setai_no)s) "
        "ORDER BY v.atena_no, v.version_no",
        {"setai_no": setai_no},
    )


async def setai_nos_of(session: TenantSession, atena_nos: Sequence[str]) -> list[str]:
    """Households that the residents named were ever in."""
    rows = await session.fetch(
        "SELECT DISTINCT setai_no FROM {t}.resident_version WHERE atena_no = ANY(%(atena_nos)s)",
        {"atena_nos": list(atena_nos)},
    )
    return [row[0] for row in rows]


async def lock(session: TenantSession, kind: LiteralString, keys: Iterable[str]) -> None:
    """Hold residents, households or numbers until the transaction ends; always in one order, so nobody waits in a ring."""
    wanted = sorted({f"{session.tenant.schema} {kind} {key}" for key in keys})
    if wanted:
        await session.fetch(
            "SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) FROM "
            "(SELECT k FROM unnest(%(keys)s::text[]) AS k ORDER BY k OFFSET 0) AS held",
            {"keys": wanted},
        )


async def versions_of_event(session: TenantSession, event_no: int) -> dict[str, tuple[int, ...]]:
    """宛名番号 -> versions that a change made."""
    rows = await session.fetch(
        "SELECT atena_no, version_no FROM {t}.resident_version WHERE event_no = %(event_no)s ORDER BY 1, 2",
        {"event_no": event_no},
    )
    found: dict[str, tuple[int, ...]] = {}
    for atena_no, version_no in rows:
        found[atena_no] = (*found.get(atena_no, ()), version_no)
    return found


async def events(session: TenantSession, ring: TenantRing, event_nos: Iterable[int]) -> dict[int, Event]:
    """Changes by number, the sealed detail opened."""
    rows = await session.fetch(
        "SELECT event_no, reason, occurred_on, notified_on, processed_on, known_from, case_no, cancels_event, "
        "entered_by, confirmed_by, terminal, detail_sealed FROM {t}.event WHERE event_no = ANY(%(event_nos)s)",
        {"event_nos": sorted(set(event_nos))},
    )
    return {row[0]: open_event(ring, row) for row in rows}


def open_event(ring: TenantRing, row: Sequence[Any]) -> Event:
    """A change of the ledger, columns as EVENT_COLUMNS, its sealed detail opened."""
    day: dt.date = row[2]
    detail = EventDetail(occurred_on=RegistryDate(day.year, day.month, day.day))
    if row[11] is not None:
        detail = ring.open("event", "event", str(row[0]), 1, row[11], EventDetail)
    return Event(
        event_no=row[0],
        reason=row[1],
        occurred_on=detail.occurred_on,
        notified_on=row[3],
        processed_on=row[4],
        known_from=row[5],
        case_no=row[6],
        cancels_event=row[7],
        entered_by=row[8],
        confirmed_by=row[9],
        terminal=row[10],
        remarks=detail.remarks,
    )


EVENT_COLUMNS: Final[LiteralString] = (
    "event_no, reason, occurred_on, notified_on, processed_on, known_from, case_no, cancels_event, entered_by, "
    "confirmed_by, terminal, detail_sealed"
)
EVENT_TYPES: Final = (
    *("int8", "text", "date", "date", "date", "timestamptz", "int8", "int8", "text", "text", "text"),
    "bytea",
)


def pack_event(event: Event) -> bytes:
    """The detail of a change as it lies under its seal."""
    return _encode(EventDetail(occurred_on=event.occurred_on, remarks=event.remarks))


def event_row(ring: TenantRing, event: Event) -> tuple[object, ...]:
    """One row of event, columns as EVENT_COLUMNS."""
    return (
        event.event_no,
        event.reason,
        event.occurred_on.sort_date(),
        event.notified_on,
        event.processed_on,
        event.known_from,
        event.case_no,
        event.cancels_event,
        event.entered_by,
        event.confirmed_by,
        event.terminal,
        ring.seal("event", "event", str(event.event_no), 1, pack_event(event)),
    )


def event_columns(
    ring: TenantRing, events: Sequence[Event], event_nos: Sequence[int], packed: Sequence[bytes]
) -> list[Sequence[object]]:
    """Columns of event for many changes, as EVENT_COLUMNS, numbered anew; `packed` as of `pack_event`."""
    if not events:
        return []
    sealed = ring.seal_column("event", "event", [ring.place(str(number), 1) for number in event_nos], packed)
    return [
        event_nos,
        [e.reason for e in events],
        [e.occurred_on.sort_date() for e in events],
        [e.notified_on for e in events],
        [e.processed_on for e in events],
        [e.known_from for e in events],
        [e.case_no for e in events],
        [e.cancels_event for e in events],
        [e.entered_by for e in events],
        [e.confirmed_by for e in events],
        [e.terminal for e in events],
        sealed,
    ]


async def add_event(op: Operation, event: Event) -> None:
    """Write one change into the ledger."""
    values = event_row(op.ring, event)
    names = [name.strip() for name in EVENT_COLUMNS.split(",")]
    await op.session.execute(
        "INSERT INTO {t}.event (" + EVENT_COLUMNS + ") VALUES (%(event_no)s, %(reason)s, %(occurred_on)s, "
        "%(notified_on)s, %(processed_on)s, %(known_from)s, %(case_no)s, %(cancels_event)s, %(entered_by)s, "
        "%(confirmed_by)s, %(terminal)s, %(detail_sealed)s)",
        dict(zip(names, values, strict=True)),
    )


async def add_versions(op: Operation, fresh: Sequence[Record], reindex: Iterable[Record]) -> None:
    """Write new versions, and index rows in every slot for those whose searchable items are new.

    Raises Conflict `registry.stale` where someone wrote the same version number first.
    """
    names = [name.strip() for name in VERSION_COLUMNS.split(",")]
    try:
        await op.session.execute_many(
            "INSERT INTO {t}.resident_version (" + VERSION_COLUMNS + ") VALUES (%(atena_no)s, %(version_no)s, "
            "%(event_no)s, %(setai_no)s, %(member_order)s, %(is_head)s, %(status)s, %(kind)s, %(valid_from)s, "
            "%(known_from)s, %(corrects_version)s, %(cancels_version)s, %(basic_sealed)s, %(address_sealed)s, "
            "%(domicile_sealed)s, %(my_number_sealed)s, %(resident_code_sealed)s, %(foreigner_sealed)s, "
            "%(entitlements_sealed)s, %(removal_sealed)s, %(notes_sealed)s)",
            [dict(zip(names, seal_record(op.ring, record), strict=True)) for record in fresh],
        )
    except Conflict:
        raise Conflict("registry.stale", "somebody changed this record first", remedy="open it again") from None
    wanted = list(reindex)
    for slot, indexer in op.ring.write_indexes().items():
        keys = ("atena_no", "version_no", "family_fp", "full_fp", "other_fp", "kana_fp", "birth_fp", "address_fp")
        await op.session.execute_many(
            in_slot(
                "INSERT INTO {t}.resident_index_{slot} (atena_no, version_no, family_fp, full_fp, other_fp, kana_fp, "
                "birth_fp, address_fp) VALUES (%(atena_no)s, %(version_no)s, %(family_fp)s, %(full_fp)s, "
                "%(other_fp)s::bigint[], %(kana_fp)s::integer[], %(birth_fp)s::integer[], %(address_fp)s::integer[])",
                slot,
            ),
            [dict(zip(keys, row, strict=True)) for row in by_row(search_columns(indexer, wanted))],
        )
        numbers = by_row(number_columns(indexer, fresh))
        await op.session.execute_many(
            in_slot(
                "INSERT INTO {t}.resident_number_{slot} (kind, number_fp, atena_no) "
                "VALUES (%(kind)s, %(number_fp)s, %(atena_no)s) ON CONFLICT DO NOTHING",
                slot,
            ),
            [{"kind": kind, "number_fp": fp, "atena_no": atena_no} for kind, fp, atena_no in sorted(numbers)],
        )


async def holders(op: Operation, numbers: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """宛名番号 of everyone who ever held each (kind, number)."""
    wanted = {(kind, op.ring.index.unique(kind, number)): (kind, number) for kind, number in numbers if number}
    if not wanted:
        return {}
    rows = await op.session.fetch(
        in_slot(
            "SELECT n.kind, n.number_fp, n.atena_no FROM unnest(%(kinds)s::text[], %(fps)s::bytea[]) AS w(kind, fp) "
            "JOIN {t}.resident_number_{slot} n ON n.kind = w.kind AND n.number_fp = w.fp ORDER BY n.atena_no",
            op.ring.index.slot,
        ),
        {"kinds": [kind for kind, _ in wanted], "fps": [fp for _, fp in wanted]},
    )
    found: dict[tuple[str, str], list[str]] = {}
    for kind, fp, atena_no in rows:
        found.setdefault(wanted[kind, bytes(fp)], []).append(atena_no)
    return found


async def everyone(session: TenantSession) -> dict[str, bool]:
    """宛名番号 of everybody on record, in order -> whether a 個人番号 is or was recorded."""
    rows = await session.fetch(
        "SELECT atena_no, bool_or(my_number_sealed IS NOT NULL) FROM {t}.resident_version GROUP BY atena_no ORDER BY atena_no"
    )
    return dict(rows)


async def known_atena_nos(session: TenantSession, numbers: Sequence[str]) -> set[str]:
    """Of some 宛名番号, those that a resident has or had, or that somebody has who waits on the work list of a migration."""
    rows = await session.fetch(
        "SELECT w.number FROM unnest(%(numbers)s::text[]) AS w(number) WHERE EXISTS "
        "(SELECT 1 FROM {t}.resident_version v WHERE v.atena_no = w.number) OR EXISTS "
        "(SELECT 1 FROM {t}.import_reject r WHERE r.atena_no = w.number AND r.atena_no <> '')",
        {"numbers": list(numbers)},
    )
    return {row[0] for row in rows}


async def known_setai_nos(session: TenantSession, numbers: Sequence[str]) -> set[str]:
    """Of some 世帯番号, those that a household has or had, or that one has which waits on the work list of a migration."""
    rows = await session.fetch(
        "SELECT w.number FROM unnest(%(numbers)s::text[]) AS w(number) WHERE EXISTS "
        "(SELECT 1 FROM {t}.resident_version v WHERE v.setai_no = w.number) OR EXISTS "
        "(SELECT 1 FROM {t}.import_reject r WHERE r.setai_no = w.number AND r.setai_no <> '')",
        {"numbers": list(numbers)},
    )
    return {row[0] for row in rows}


async def draw(session: TenantSession, sequence: LiteralString, count: int) -> list[int]:
    """The next numbers of one of the tenant's sequences."""
    rows = await session.fetch(
        "SELECT nextval('{t}." + sequence + "') FROM generate_series(1, %(count)s)", {"count": count}
    )
    return [row[0] for row in rows]


def page_query(sql: LiteralString, schema: str) -> bytes:
    """A statement for a connection outside a session, with the directory's schema name in place of `{t}`."""
    return qualified(sql, schema)
