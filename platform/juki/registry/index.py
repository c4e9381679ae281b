"""検索用索引: what of a record goes into the blind indexes. The values themselves never leave this module unkeyed."""

from __future__ import annotations

from typing import Final, Protocol

from juki import letters
from juki.registry.query import kanas_of, names_of, parts_of
from juki.registry.resident import Record, Status

_FULL_MARK: Final = 1 << 16
"""Keeps buckets of full names apart from buckets of family names where both lie in one array."""

INDEX_COLUMNS: Final = (
    "atena_no",
    "version_no",
    "family_fp",
    "full_fp",
    "other_fp",
    "kana_fp",
    "birth_fp",
    "address_fp",
)
INDEX_TYPES: Final = ("text", "int4", "int8", "int8", "int8[]", "int4[]", "int4[]", "int4[]")
NUMBER_COLUMNS: Final = ("kind", "number_fp", "atena_no")
NUMBER_TYPES: Final = ("text", "bytea", "text")


class BlindIndex(Protocol):
    """The part of an indexer that a row needs."""

    def unique(self, index: str, value: str) -> bytes: ...
    def name_tag(self, field: str, folded: str, spread: str) -> int: ...
    def name_tags(self, field: str, folded: str) -> list[int]: ...
    def kana_tokens(self, family: str, given: str, spread: str, person: str = "") -> list[int]: ...
    def birth_tokens(self, iso: str, spread: str) -> list[int]: ...
    def address_tokens(self, folded: str, spread: str) -> list[int]: ...


def searchable(record: Record) -> tuple[object, ...]:
    """What a search can find a version by; versions alike in this share one index row."""
    basic, address = record.basic, record.address
    if basic is None:
        return ()
    place = address.address if address is not None else None
    return (names_of(basic), kanas_of(basic), basic.birth.iso(), place and (place.text, place.building))


def index_row(indexer: BlindIndex, record: Record) -> tuple[object, ...] | None:
    """One row of `resident_index`, columns as INDEX_COLUMNS; None where the record has no basic group."""
    basic = record.basic
    if basic is None or record.status is Status.VOID:
        return None
    spread = record.setai_no
    family, given = map(letters.fold, parts_of(basic.name))  # parts come again and again, whole names hardly do
    kana: list[int] = []
    for reading in kanas_of(basic):
        parts = [letters.kana_key(part) for part in parts_of(reading)]
        kana += indexer.kana_tokens(parts[0], parts[1], spread, record.atena_no)
    text = letters.fold_address(record.address.address.text) if record.address is not None else ""
    return (
        record.atena_no,
        record.version_no,
        indexer.name_tag("family", family, spread),
        indexer.name_tag("full", family + given, record.atena_no),
        _other_tags(indexer, record, spread),
        list(dict.fromkeys(kana)) or None,
        indexer.birth_tokens(basic.birth.iso(), record.atena_no) if basic.birth.year > 0 else None,
        indexer.address_tokens(text, spread) if text else None,
    )


def _other_tags(indexer: BlindIndex, record: Record, spread: str) -> list[int] | None:
    """Tags of the names beside the first: 通称, 漢字, ローマ字, 旧氏. Given names alone are found by kana only: their
    frequencies are too telling for a tag that expects full names."""
    if record.basic is None:
        return None
    tags: dict[int, None] = {}
    for position, name in enumerate(names_of(record.basic)):
        if position:
            family, _ = parts_of(name)
            tags[indexer.name_tag("family", letters.fold(family), spread)] = None
            tags[indexer.name_tag("full", letters.fold(name), record.atena_no) | _FULL_MARK] = None
    return list(tags) or None


def other_query(indexer: BlindIndex, folded: str) -> list[int]:
    """Tags that `other_fp` may hold for a name asked for."""
    return [
        *indexer.name_tags("family", folded),
        *(tag | _FULL_MARK for tag in indexer.name_tags("full", folded)),
    ]


def numbers_of(record: Record) -> tuple[tuple[str, str], ...]:
    """(kind, number) of each number only one person can hold."""
    held = (
        ("my_number", record.my_number.my_number if record.my_number is not None else ""),
        ("resident_code", record.resident_code.resident_code if record.resident_code is not None else ""),
        ("card", record.foreigner.card_number if record.foreigner is not None else ""),
    )
    return tuple((kind, number) for kind, number in held if number)


def number_rows(indexer: BlindIndex, record: Record) -> list[tuple[str, bytes, str]]:
    """Rows of `resident_number`, columns as NUMBER_COLUMNS."""
    return [(kind, indexer.unique(kind, number), record.atena_no) for kind, number in numbers_of(record)]
