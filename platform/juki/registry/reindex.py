"""検索索引の詰め替え: the rows of one index slot made anew from the sealed records, for a rotation of the index root.

The slot that answers searches says which versions are indexed; the other slot gets the same versions under the new
root. Writers fill both slots meanwhile, so the same row may come from either side and the second one is dropped.
"""

from __future__ import annotations

from typing import Final, LiteralString

from juki.registry import store
from juki.registry.index import by_row, number_columns, search_columns
from juki.registry.measures import SupportMeasure
from juki.registry.protection_store import SUBJECT, subjects
from juki.tenancy import Connection, Tenant
from juki.vault import TenantRing

SLOTS: Final = ("resident_index", "resident_number", "support_subject")
"""Slot tables without their suffix."""

_INDEXED_GROUPS: Final = ("basic", "address", "foreigner", "my_number", "resident_code")
_PART: Final[LiteralString] = (
    " v.ctid >= format('(%%s,0)', %(first)s::bigint)::tid AND v.ctid < format('(%%s,0)', %(last)s::bigint)::tid"
)
_VERSIONS: Final[LiteralString] = (
    "SELECT v.atena_no, v.version_no, v.event_no, v.setai_no, v.member_order, v.is_head, v.status, v.kind, v.valid_from, "
    "v.known_from, v.corrects_version, v.cancels_version, v.basic_sealed, v.address_sealed, v.domicile_sealed, "
    "v.my_number_sealed, v.resident_code_sealed, v.foreigner_sealed, v.entitlements_sealed, v.removal_sealed, "
    "v.notes_sealed, EXISTS (SELECT FROM {t}.resident_index_{slot} o WHERE o.atena_no = v.atena_no "
    "AND o.version_no = v.version_no) FROM {t}.resident_version v WHERE" + _PART
)


def refill_residents(connection: Connection, tenant: Tenant, ring: TenantRing, slot: str, first: int, last: int) -> int:
    """Index the residents' versions in blocks [first, last) of `resident_version` into `slot`; rows written."""
    indexer = ring.write_indexes()[slot]
    other = "a" if slot == "b" else "b"
    found = connection.execute(_qualified(_VERSIONS, other, tenant), {"first": first, "last": last}).fetchall()
    records = [store.open_record(ring, row, _INDEXED_GROUPS) for row in found]
    names = by_row(search_columns(indexer, [record for record, row in zip(records, found, strict=True) if row[-1]]))
    numbers = by_row(number_columns(indexer, records))
    cursor = connection.cursor()
    cursor.executemany(
        _qualified(
            "INSERT INTO {t}.resident_index_{slot} (atena_no, version_no, family_fp, full_fp, other_fp, kana_fp, birth_fp,"
            " address_fp) VALUES (%s, %s, %s, %s, %s::bigint[], %s::integer[], %s::integer[], %s::integer[])"
            " ON CONFLICT DO NOTHING",
            slot,
            tenant,
        ),
        names,
    )
    cursor.executemany(
        _qualified(
            "INSERT INTO {t}.resident_number_{slot} (kind, number_fp, atena_no) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            slot,
            tenant,
        ),
        sorted(numbers),
    )
    return len(names) + len(numbers)


def refill_measures(connection: Connection, tenant: Tenant, ring: TenantRing, slot: str, first: int, last: int) -> int:
    """Index whom the support measures in blocks [first, last) of `support_measure` protect into `slot`; rows written."""
    indexer = ring.write_indexes()[slot]
    found = connection.execute(
        _qualified(
            "SELECT v.measure_no, v.version_no, v.measure_sealed FROM {t}.support_measure v WHERE" + _PART, slot, tenant
        ),
        {"first": first, "last": last},
    ).fetchall()
    rows: set[tuple[bytes, int]] = set()
    for measure_no, version_no, sealed in found:
        content = ring.open("support_measure", "support", str(measure_no), version_no, bytes(sealed), SupportMeasure)
        rows |= {(indexer.unique(SUBJECT, atena_no), measure_no) for atena_no in subjects(content)}
    connection.cursor().executemany(
        _qualified(
            "INSERT INTO {t}.support_subject_{slot} (subject_fp, measure_no) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            slot,
            tenant,
        ),
        sorted(rows),
    )
    return len(rows)


REFILLS: Final = (("resident_version", refill_residents), ("support_measure", refill_measures))
"""Walked table -> what fills the slot from it."""


def _qualified(sql: LiteralString, slot: str, tenant: Tenant) -> bytes:
    return store.page_query(store.in_slot(sql, slot), tenant.schema)
