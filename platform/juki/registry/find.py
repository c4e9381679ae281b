"""照会: candidates by blind index, each opened and compared, past names marked, at most fifty shown.

A blind index answers with strangers among the right people (that is what hides them), so nothing it says reaches a screen
before the opened record agrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any, Final, LiteralString

import msgspec

from juki import letters
from juki.audit import Operation
from juki.dates import RegistryDate, today_in_japan
from juki.problem import Invalid, Refused
from juki.registry import home, store
from juki.registry.index import other_query
from juki.registry.protection_store import protected_among
from juki.registry.query import HITS_MAX, Hit, Hits, Query, Terms, digits, hit, matches, terms
from juki.registry.resident import Address, Basic, Record, Status
from juki.registry.timeline import as_of as in_force
from juki.registry.timeline import timeline

CANDIDATES_MAX: Final = 20_000
"""Residents that one search may open; a search that names more is capped whatever the comparison says."""

_WHOLE_NAME_MIN: Final = 4
"""Kana from which on a reading typed without a space may be a family name of one or two kana and a given name."""

FIRST_PAGE: Final = 750
"""Index rows looked at first. About one in twelve rows of a known name is right and fifty are shown, so this is nearly
always enough: either fewer rows match, or more than fifty of them are right.
"""


async def search(op: Operation, query: Query) -> Hits:
    """照会: residents and removed residents of the caller's municipality who satisfy every condition.

    The purpose of the look-up stands in the operation. Raises Invalid `registry.query_empty`, `registry.query_address` or a
    date code, Refused `access.right_missing` for a number without its right.
    """
    wanted = terms(query)
    found: list[tuple[Record, bool]] = []
    capped = False
    for limit in (FIRST_PAGE, CANDIDATES_MAX):
        rows = await _candidates(op, query, wanted, limit)
        capped = len(rows) >= limit
        found = await _judge(op, query, wanted, _matching(op, wanted, rows))
        if not capped or len(found) > HITS_MAX:
            break
    capped = capped or len(found) > HITS_MAX
    hits = await _show(op, query, found[:HITS_MAX])
    op.fact(hits=len(hits), capped=int(capped))
    return Hits(hits=hits, capped=capped)


async def _candidates(op: Operation, query: Query, wanted: Terms, limit: int) -> list[tuple[Any, ...]]:
    """(宛名番号, version, basic, address), still sealed, of each version that every index names; address only where asked."""
    conditions: list[LiteralString] = []
    params: dict[str, object] = {"limit": limit, "address": wanted.address != ""}
    _by_key(query, conditions, params)
    _by_number(op, query, conditions, params)
    _by_index(op, wanted, conditions, params)
    table: LiteralString = "resident_version" if _only_keys(query) else "resident_index_{slot}"
    return await op.session.fetch(
        store.in_slot(
            "WITH named AS MATERIALIZED (SELECT i.atena_no, i.version_no FROM {t}." + table + " i "
            "WHERE " + " AND ".join(conditions) + " LIMIT %(limit)s) "
            "SELECT named.atena_no, named.version_no, v.basic_sealed, v.address_sealed FROM named CROSS JOIN LATERAL "
            "(SELECT r.basic_sealed, CASE WHEN %(address)s THEN r.address_sealed END AS address_sealed "
            "FROM {t}.resident_version r WHERE r.atena_no = named.atena_no AND r.version_no = named.version_no OFFSET 0) AS v",
            op.ring.index.slot,
        ),
        params,
    )


def _matching(op: Operation, wanted: Terms, rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """宛名番号 of residents one of whose versions fits; most of what a blind index names are strangers and stop here."""
    by_version = msgspec.structs.replace(wanted, sex=None)  # sex alone makes no index row, so it is compared later
    opened = op.ring.open
    seen: set[str] = set()
    for atena_no, version_no, basic_sealed, address_sealed in rows:
        if atena_no in seen or basic_sealed is None:
            continue
        basic = opened(store.TABLE, "basic", atena_no, version_no, basic_sealed, Basic)
        if not matches(msgspec.structs.replace(by_version, address="") if wanted.address else by_version, basic, None):
            continue
        if wanted.address:
            if address_sealed is None:
                continue
            address = opened(store.TABLE, "address", atena_no, version_no, address_sealed, Address)
            if not matches(by_version, basic, address):
                continue
        seen.add(atena_no)
        yield atena_no


async def _judge(op: Operation, query: Query, wanted: Terms, matching: Iterator[str]) -> list[tuple[Record, bool]]:
    """(version in force, found by the past) of residents who fit, up to one more than are shown."""
    today = today_in_japan(op.now)
    by_place = bool(wanted.address or query.setai_no.strip())
    found: list[tuple[Record, bool]] = []
    while len(found) <= HITS_MAX and (some := list(islice(matching, HITS_MAX + 1 - len(found)))):
        some = await _may_know_of(op, some)
        people = [
            [store.open_record(op.ring, row, ("basic", "address")) for row in group]
            for _, group in groupby(await _versions(op, some), key=lambda row: row[0])
        ]
        kept = await home.kept_homes(op, (version for versions in people for version in versions))
        held_back = await _held_back(op, some) if by_place else frozenset[str]()
        for versions in people:
            line = timeline(versions)
            held = in_force(line, today)
            if held is None or held.status is Status.VOID:
                continue
            if not query.include_removed and held.status is not Status.RESIDENT:
                continue
            shown = home.veiled(held, line, kept, today)
            # a home that is not told is not found by either
            if by_place and (not shown.setai_no or held.atena_no in held_back):
                continue
            now_fits, near = _fits(query, wanted, held), kept.near(versions)
            if now_fits or any(_fits(query, wanted, v) for v in versions if not (by_place and near.shown_by(v))):
                found.append((shown, not now_fits))
    return found


async def _may_know_of(op: Operation, atena_nos: list[str]) -> list[str]:
    """Without those under 支援措置 where a machine asks, so that not even their number shows in how many are left."""
    if op.caller.actor_kind == "operator" or op.caller.may("protection.read"):
        return atena_nos
    under = await protected_among(op, atena_nos)
    return [a for a in atena_nos if a not in under]


async def _versions(op: Operation, atena_nos: Sequence[str]) -> list[tuple[Any, ...]]:
    """Every version of the residents named, with the two groups a search shows, still sealed."""
    return await op.session.fetch(
        "SELECT v.atena_no, v.version_no, v.event_no, v.setai_no, v.member_order, v.is_head, v.status, v.kind, "
        "v.valid_from, v.known_from, v.corrects_version, v.cancels_version, v.basic_sealed, v.address_sealed "
        "FROM unnest(%(atena_nos)s::text[]) AS w(atena_no) CROSS JOIN LATERAL "
        "(SELECT r.atena_no, r.version_no, r.event_no, r.setai_no, r.member_order, r.is_head, r.status, r.kind, "
        "r.valid_from, r.known_from, r.corrects_version, r.cancels_version, r.basic_sealed, r.address_sealed "
        "FROM {t}.resident_version r WHERE r.atena_no = w.atena_no OFFSET 0) AS v "
        "ORDER BY v.atena_no, v.version_no",
        {"atena_nos": list(atena_nos)},
    )


def _only_keys(query: Query) -> bool:
    """True where no blind index of names is needed: 宛名番号 and 世帯番号 stand plainly on every version."""
    return not any((query.kana, query.name, query.birth, query.address, query.my_number, query.resident_code))


def _by_key(query: Query, conditions: list[LiteralString], params: dict[str, object]) -> None:
    if query.atena_no.strip():
        conditions.append("i.atena_no = %(atena_no)s")
        params["atena_no"] = digits(query.atena_no)
    if query.setai_no.strip():
        params["setai_no"] = digits(query.setai_no)
        conditions.append(
            "i.atena_no IN (SELECT m.atena_no FROM {t}.resident_version m WHERE m.setai_no = %(setai_no)s)"
        )


def _by_number(op: Operation, query: Query, conditions: list[LiteralString], params: dict[str, object]) -> None:
    if query.my_number.strip():
        if not op.caller.may("resident.my_number"):
            raise Refused("access.right_missing", "searching by 個人番号 needs its right", right="resident.my_number")
        params["my_number"] = op.ring.index.unique("my_number", digits(query.my_number))
        conditions.append(
            "i.atena_no IN (SELECT n.atena_no FROM {t}.resident_number_{slot} n "
            "WHERE n.kind = 'my_number' AND n.number_fp = %(my_number)s)"
        )
    if query.resident_code.strip():
        if not op.caller.may("resident.code"):
            raise Refused("access.right_missing", "searching by 住民票コード needs its right", right="resident.code")
        params["resident_code"] = op.ring.index.unique("resident_code", digits(query.resident_code))
        conditions.append(
            "i.atena_no IN (SELECT n.atena_no FROM {t}.resident_number_{slot} n "
            "WHERE n.kind = 'resident_code' AND n.number_fp = %(resident_code)s)"
        )


def _by_index(op: Operation, wanted: Terms, conditions: list[LiteralString], params: dict[str, object]) -> None:
    indexer = op.ring.index
    if wanted.name:
        params["family"] = indexer.name_tags("family", wanted.name)
        params["full"] = indexer.name_tags("full", wanted.name)
        params["other"] = other_query(indexer, wanted.name)
        conditions.append(
            "(i.family_fp = ANY(%(family)s::bigint[]) OR i.full_fp = ANY(%(full)s::bigint[]) "
            "OR i.other_fp && %(other)s::bigint[])"
        )
    if wanted.family_kana or wanted.given_kana:
        conditions.append(_by_kana(op, wanted, params))
    if wanted.birth is not None:
        params["birth"] = _birth_tokens(op, wanted.birth)
        conditions.append("i.birth_fp && %(birth)s::integer[]")
    if wanted.address and (tokens := _address_tokens(op, wanted.address, alone=not conditions)):
        params["place"] = tokens
        conditions.append("i.address_fp && %(place)s::integer[]")


def _by_kana(op: Operation, wanted: Terms, params: dict[str, object]) -> LiteralString:
    """The reading: family and given name where a space parts them, else whatever begins like the family or the whole name.

    A family name of one or two kana is shorter than what is indexed of it, so a whole name typed without a space is also
    asked for as such a family name with the rest as given name.
    """
    indexer = op.ring.index
    tokens = indexer.kana_query(wanted.family_kana, wanted.given_kana)
    params["kana_a"] = tokens[0]
    if len(tokens) > 1:
        params["kana_b"] = tokens[1]
        return "i.kana_fp && %(kana_a)s::integer[] AND i.kana_fp && %(kana_b)s::integer[]"
    whole = wanted.family_kana
    if len(whole) < _WHOLE_NAME_MIN:
        return "i.kana_fp && %(kana_a)s::integer[]"
    for length in (1, 2):
        rest = whole[length:]
        heads = (
            (rest, f"ウ{rest[1:]}") if rest.startswith("オ") else (rest,)
        )  # オ may be ウ, were it not for what is before
        params[f"family_{length}"] = indexer.kana_whole_family(whole[:length])
        params[f"given_{length}"] = [token for head in heads for token in indexer.kana_query("", head)[0]]
    return (
        "(i.kana_fp && %(kana_a)s::integer[] "
        "OR (i.kana_fp && %(family_1)s::integer[] AND i.kana_fp && %(given_1)s::integer[]) "
        "OR (i.kana_fp && %(family_2)s::integer[] AND i.kana_fp && %(given_2)s::integer[]))"
    )


def _address_tokens(op: Operation, folded: str, *, alone: bool) -> list[int]:
    """Tokens of an address; one without a number after the 町・字 has none and can only narrow what else was asked."""
    try:
        return op.ring.index.address_query(folded)[0]
    except Invalid:
        if alone:
            code = "registry.query_address"
            raise Invalid(code, "an address alone needs a number", fields={"address": code}) from None
        return []


def _birth_tokens(op: Operation, birth: RegistryDate) -> list[int]:
    if not birth.month:
        return op.ring.index.birth_query(birth.year)[0]
    return op.ring.index.birth_query(birth.year, birth.month, birth.day or None)[0]


def _fits(query: Query, wanted: Terms, version: Record) -> bool:
    if query.setai_no.strip() and version.setai_no != digits(query.setai_no):
        return False
    return matches(wanted, version.basic, version.address)


async def _show(op: Operation, query: Query, found: Sequence[tuple[Record, bool]]) -> tuple[Hit, ...]:
    """Rows of the result, sorted by reading; nobody sees where or with whom one lives whose 照会 is held back."""
    shown = [record.atena_no for record, _ in found]
    under = await protected_among(op, shown)
    held = await _held_back(op, shown)
    hits: list[Hit] = []
    for record, past in found:
        full = home.without_place(record) if record.atena_no in held else record
        op.touch(record.atena_no, my_number=bool(query.my_number))
        row = hit(full, query=query, past=past, protected=record.atena_no in under)
        hits.append(msgspec.structs.replace(row, held=record.atena_no in held))
    return tuple(sorted(hits, key=lambda h: (letters.kana_key(h.name_kana), h.birth.iso(), h.atena_no)))


async def _held_back(op: Operation, atena_nos: Sequence[str]) -> frozenset[str]:
    """Of those named, whoever's 照会 is held back from this caller."""
    if op.caller.may("protection.enter"):
        return frozenset()
    return await store.held_from_inquiry(op, atena_nos)


async def namesakes(op: Operation, name: str, birth: RegistryDate, sex: str) -> tuple[str, ...]:
    """宛名番号 of everyone here, removed or not, with the same name, sex and 生年月日 (再転入 by eye)."""
    if birth.year <= 0 or not name.strip():
        return ()
    wanted = Terms(name=letters.fold(name), birth=birth if not birth.note else None)
    rows = await _candidates(op, Query(name=name), wanted, CANDIDATES_MAX)
    found: list[str] = []
    for atena_no, group in groupby(await _versions(op, list(_matching(op, wanted, rows))), key=lambda row: row[0]):
        held = in_force(timeline(store.open_record(op.ring, row, ("basic",)) for row in group))
        if held is None or held.status is Status.VOID or held.basic is None:
            continue
        same = letters.fold(held.basic.name) == wanted.name and held.basic.birth.iso() == birth.iso()
        if same and held.basic.sex.value == sex:
            found.append(atena_no)
    return tuple(found)
