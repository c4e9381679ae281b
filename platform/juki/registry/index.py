"""検索用索引: what of a record goes into the blind indexes. The values themselves never leave this module unkeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from juki import letters
from juki.registry.query import kanas_of, names_of, parts_of
from juki.registry.resident import Basic, Record, Status

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
    """The part of an indexer that rows need."""

    def uniques(self, index: str, values: Iterable[str]) -> list[bytes]: ...
    def name_tags(self, field: str, folded: str) -> list[int]: ...
    def name_column(self, field: str, folded: Sequence[str], spreads: Sequence[str]) -> list[int]: ...
    def kana_column(
        self, families: Sequence[str], givens: Sequence[str], spreads: Sequence[str], persons: Sequence[str]
    ) -> list[tuple[int, ...]]: ...
    def birth_column(self, isos: Sequence[str], persons: Sequence[str]) -> list[tuple[int, ...]]: ...
    def address_column(self, folded: Sequence[str], spreads: Sequence[str]) -> list[tuple[int, ...]]: ...


def searchable(record: Record) -> tuple[object, ...]:
    """What a search can find a version by; versions alike in this share one index row."""
    basic, address = record.basic, record.address
    if basic is None:
        return ()
    place = address.address if address is not None else None
    return (names_of(basic), kanas_of(basic), basic.birth.iso(), place and (place.text, place.building))


def search_columns(indexer: BlindIndex, records: Iterable[Record]) -> list[Sequence[Any]]:
    """Columns of `resident_index` as INDEX_COLUMNS; records without a basic group have no row there."""
    shown = [(record, basic) for record in records if (basic := record.basic) and record.status is not Status.VOID]
    if not shown:
        return [()] * len(INDEX_COLUMNS)
    persons = [record.atena_no for record, _ in shown]
    homes = [record.setai_no for record, _ in shown]
    names = [parts_of(basic.name) for _, basic in shown]  # parts come again and again, whole names hardly do
    families = [letters.fold(family) for family, _ in names]
    wholes = [family + letters.fold(given) for family, (_, given) in zip(families, names, strict=True)]
    births = [(at, basic.birth.iso()) for at, (_, basic) in enumerate(shown) if basic.birth.year > 0]
    return [
        persons,
        [record.version_no for record, _ in shown],
        indexer.name_column("family", families, homes),
        indexer.name_column("full", wholes, persons),
        _other_tags(indexer, [basic for _, basic in shown], persons, homes),
        _kana_tokens(indexer, [basic for _, basic in shown], persons, homes),
        _spread_out(
            len(shown),
            [at for at, _ in births],
            indexer.birth_column([iso for _, iso in births], [persons[at] for at, _ in births]),
        ),
        _address_tokens(indexer, [record for record, _ in shown], homes),
    ]


def _spread_out(rows: int, places: Iterable[int], values: Iterable[Any]) -> list[Any]:
    """A column with the values at their places and None elsewhere."""
    column: list[Any] = [None] * rows
    for at, value in zip(places, values, strict=True):
        column[at] = value
    return column


def _kana_tokens(
    indexer: BlindIndex, basics: Sequence[Basic], persons: Sequence[str], homes: Sequence[str]
) -> list[tuple[int, ...] | None]:
    readings = [(at, parts_of(reading)) for at, basic in enumerate(basics) for reading in kanas_of(basic)]
    found = indexer.kana_column(
        [letters.kana_key(family) for _, (family, _) in readings],
        [letters.kana_key(given) for _, (_, given) in readings],
        [homes[at] for at, _ in readings],
        [persons[at] for at, _ in readings],
    )
    column: list[tuple[int, ...] | None] = [None] * len(basics)
    for (at, _), tokens in zip(readings, found, strict=True):
        before = column[at]
        column[at] = tokens if before is None else tuple(dict.fromkeys(before + tokens))
    return column


def _address_tokens(
    indexer: BlindIndex, records: Sequence[Record], homes: Sequence[str]
) -> list[tuple[int, ...] | None]:
    placed = [
        (at, text)
        for at, record in enumerate(records)
        if record.address is not None and (text := letters.fold_address(record.address.address.text))
    ]
    found = indexer.address_column([text for _, text in placed], [homes[at] for at, _ in placed])
    return _spread_out(len(records), [at for at, _ in placed], found)


def _other_tags(
    indexer: BlindIndex, basics: Sequence[Basic], persons: Sequence[str], homes: Sequence[str]
) -> list[tuple[int, ...] | None]:
    """Tags of the names beside the first: 通称, 漢字, ローマ字, 旧氏. Given names alone are found by kana only: their
    frequencies are too telling for a tag that expects full names."""
    others = [(at, name) for at, basic in enumerate(basics) for name in names_of(basic)[1:]]
    families = indexer.name_column(
        "family", [letters.fold(parts_of(name)[0]) for _, name in others], [homes[at] for at, _ in others]
    )
    wholes = indexer.name_column("full", [letters.fold(name) for _, name in others], [persons[at] for at, _ in others])
    column: list[tuple[int, ...] | None] = [None] * len(basics)
    for (at, _), family, whole in zip(others, families, wholes, strict=True):
        column[at] = tuple(dict.fromkeys((*(column[at] or ()), family, whole | _FULL_MARK)))
    return column


def other_query(indexer: BlindIndex, folded: str) -> list[int]:
    """Tags that `other_fp` may hold for a name asked for."""
    return [
        *indexer.name_tags("family", folded),
        *(tag | _FULL_MARK for tag in indexer.name_tags("full", folded)),
    ]


_NUMBERS: Final[dict[str, Callable[[Record], str]]] = {
    "my_number": lambda record: record.my_number.my_number if record.my_number is not None else "",
    "resident_code": lambda record: record.resident_code.resident_code if record.resident_code is not None else "",
    "card": lambda record: record.foreigner.card_number if record.foreigner is not None else "",
}
"""Kind -> the number of this kind that a record holds; only one person can hold it."""


def numbers_of(record: Record) -> tuple[tuple[str, str], ...]:
    """(kind, number) of each number only one person can hold."""
    return tuple((kind, number) for kind, number_of in _NUMBERS.items() if (number := number_of(record)))


def number_columns(indexer: BlindIndex, records: Sequence[Record]) -> list[Sequence[Any]]:
    """Columns of `resident_number` as NUMBER_COLUMNS; what several records of a person hold stands there once."""
    kinds: list[str] = []
    found: list[bytes] = []
    persons: list[str] = []
    for kind, number_of in _NUMBERS.items():
        held = dict.fromkeys((number, record.atena_no) for record in records if (number := number_of(record)))
        kinds += [kind] * len(held)
        found += indexer.uniques(kind, (number for number, _ in held))
        persons += [atena_no for _, atena_no in held]
    return [kinds, found, persons]


def by_row(columns: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows as the driver takes them, to which an array is a list."""
    return [
        tuple(list(cell) if cell.__class__ is tuple else cell for cell in row) for row in zip(*columns, strict=True)
    ]
