"""照会: what a clerk asks for, what is shown of each match, and the comparison that drops a blind index's false matches.

Source: 住民記録システム標準仕様書 2.1 (検索): kana folded, variant characters one, names and addresses of the past found and marked.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from juki import dates, letters
from juki.dates import RegistryDate
from juki.personal import Personal
from juki.problem import Invalid
from juki.registry.resident import Address, Basic, Kind, Record, Sex, Status

HITS_MAX: Final = 50
_SHORT_BIRTH: Final = re.compile(r"^([MTSHRmtshr](?:\d{1,2}|元)|\d{4})(?:[./\-](\d{1,2}))?$")
_SPACES: Final = str.maketrans("", "", " 　-‐‑‒–—―−－ー")


class Query(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """照会の条件, all of which must hold; at least one besides `sex` is needed. Everything as the clerk types it."""

    kana: str = ""  # family, or family and given parted by a space; a leading space asks for the given name alone
    name: str = ""  # full name or family name, in any variant characters
    birth: str = ""  # 和暦 or 西暦; year or month alone will do
    address: str = ""
    sex: Sex | None = None
    my_number: str = ""
    resident_code: str = ""
    atena_no: str = ""
    setai_no: str = ""
    include_removed: bool = True


class Hit(Personal, frozen=True, kw_only=True):
    """照会結果の一行: enough to tell people apart."""

    atena_no: str
    setai_no: str
    name: str
    name_kana: str
    birth: RegistryDate
    sex: Sex
    address: str
    status: Status
    kind: Kind
    is_head: bool
    relationship: str
    alias: str = ""  # 通称 and 旧氏 are found like the name, so they are shown beside it
    former_surname: str = ""
    matched_past: bool = False  # found by a name or address that no longer stands
    variant: bool = False  # found by a variant of a character typed
    protected: bool = False  # 支援措置: shown only to those who may know
    held: bool = False  # 照会の抑止: no address, and the record does not open


class Hits(Personal, frozen=True, kw_only=True):
    """照会結果. `capped`: there are more than are shown, add a condition."""

    hits: tuple[Hit, ...]
    capped: bool = False


class Terms(Personal, frozen=True, kw_only=True):
    """A query as compared: folded once, then held against every candidate."""

    family_kana: str = ""
    given_kana: str = ""
    name: str = ""
    birth: RegistryDate | None = None
    address: str = ""
    sex: Sex | None = None


def digits(typed: str) -> str:
    """A number as typed, without the spaces and hyphens that forms print between groups."""
    return unicodedata.normalize("NFKC", typed).translate(_SPACES)


def terms(query: Query) -> Terms:
    """Fold a query. Raises Invalid `registry.query_empty` or a date code."""
    leads_with_space = query.kana[:1] in (" ", "　")
    parts = query.kana.replace("　", " ").split()
    family = "" if leads_with_space or not parts else parts[0]
    given = " ".join(parts if leads_with_space else parts[1:])
    found = Terms(
        family_kana=letters.kana_key(family),
        given_kana=letters.kana_key(given),
        name=letters.fold(query.name),
        birth=_birth(query.birth) if query.birth.strip() else None,
        address=letters.fold_address(query.address),
        sex=query.sex,
    )
    numbered = tuple(n.strip() for n in (query.my_number, query.resident_code, query.atena_no, query.setai_no))
    if found.birth is not None and found.birth.year <= 0:
        raise Invalid("registry.query_birth", "a search needs a year", fields={"birth": "registry.query_birth"})
    if not any((found.family_kana, found.given_kana, found.name, found.birth, found.address, *numbered)):
        raise Invalid("registry.query_empty", "at least one condition is needed")
    return found


def _birth(typed: str) -> RegistryDate:
    """生年月日 as typed; a bare year (S55, 1980) or year and month (S55.4) stands for all of it."""
    given = unicodedata.normalize("NFKC", typed).strip()
    if short := _SHORT_BIRTH.match(given):
        given = f"{short[1]}年" + (f"{short[2]}月" if short[2] else "")
    try:
        return dates.parse(given, unknown_allowed=True)
    except Invalid as error:
        raise Invalid(error.code, "the date of birth does not read", fields={"birth": error.code}) from None


def matches(wanted: Terms, basic: Basic | None, address: Address | None) -> bool:
    """True where one version's own items satisfy every folded condition."""
    if basic is None:
        return False
    return (
        (not wanted.name or any(name_fits(wanted.name, name) for name in names_of(basic)))
        and (not (wanted.family_kana or wanted.given_kana) or any(_kana_fits(wanted, k) for k in kanas_of(basic)))
        and (wanted.birth is None or _birth_fits(wanted.birth, basic.birth))
        and (wanted.sex is None or basic.sex is wanted.sex)
        and (not wanted.address or (address is not None and wanted.address in address_key(address)))
    )


def names_of(basic: Basic) -> tuple[str, ...]:
    """Every name a resident may be asked for: 氏名, 漢字, ローマ字, 通称, and 旧氏 with the given name."""
    if not (basic.name_kanji or basic.name_roman or basic.alias or basic.former_surname):  # as most have none
        return (basic.name,) if basic.name else ()
    names = [basic.name, basic.name_kanji, basic.name_roman, basic.alias]
    if basic.former_surname:
        given = basic.name.split("　", 1)[1:]
        names.append("　".join([basic.former_surname, *given]))
    return tuple(dict.fromkeys(n for n in names if n))


def kanas_of(basic: Basic) -> tuple[str, ...]:
    """Every reading a resident may be asked for."""
    if not (basic.alias_kana or basic.name_katakana or basic.former_surname_kana):
        return (basic.name_kana,) if basic.name_kana else ()
    kanas = [basic.name_kana, basic.alias_kana, basic.name_katakana]
    if basic.former_surname_kana:
        given = basic.name_kana.replace(" ", "　").split("　", 1)[1:]
        kanas.append("　".join([basic.former_surname_kana, *given]))
    return tuple(dict.fromkeys(k for k in kanas if k))


def parts_of(name: str) -> tuple[str, str]:
    """(family, rest) of a name parted by a space; a name of one part has no rest."""
    family, _, given = name.replace(" ", "　").partition("　")
    return family, given.replace("　", "")


def address_key(address: Address) -> str:
    """住所 as compared: text and 方書 folded."""
    return letters.fold_address(address.address.text + address.address.building)


def name_fits(wanted: str, name: str) -> bool:
    """True where a folded text is the whole name, its family part or its given part."""
    full = letters.fold(name)
    family, given = (letters.fold(part) for part in parts_of(name))
    return wanted in (full, family, given)


def _kana_fits(wanted: Terms, kana: str) -> bool:
    family, given = (letters.kana_key(part) for part in parts_of(kana))
    if wanted.family_kana and not wanted.given_kana:
        # typed without a space: as one word, for ウ after the オ column reads otherwise inside a word than at its head
        return any(name.startswith(wanted.family_kana) for name in (family + given, letters.kana_key(kana)))
    return family.startswith(wanted.family_kana) and given.startswith(wanted.given_kana)


def _birth_fits(wanted: RegistryDate, birth: RegistryDate) -> bool:
    return wanted.year == birth.year and wanted.month in (0, birth.month) and wanted.day in (0, birth.day)


def is_variant(query: Query, basic: Basic) -> bool:
    """True where the name typed stands in none of the resident's names letter for letter."""
    typed = _letters(query.name)
    return bool(typed) and all(typed not in _letters(name) for name in names_of(basic))


def _letters(name: str) -> str:
    """A name without spaces; a small letter for a capital makes no variant."""
    return name.replace(" ", "").replace("　", "").casefold()


def hit(record: Record, *, query: Query, past: bool, protected: bool) -> Hit:
    """What the table of results shows of a record whose groups `basic` and `address` are open."""
    basic, address = record.basic, record.address
    if basic is None:
        raise Invalid("registry.record_incomplete", "a record without its basic group")
    return Hit(
        atena_no=record.atena_no,
        setai_no=record.setai_no,
        name=basic.name,
        name_kana=basic.name_kana,
        birth=basic.birth,
        sex=basic.sex,
        address="" if address is None else " ".join(p for p in (address.address.text, address.address.building) if p),
        status=record.status,
        kind=record.kind,
        is_head=record.is_head,
        relationship=basic.relationship,
        alias=basic.alias,
        former_surname=basic.former_surname,
        matched_past=past,
        variant=is_variant(query, basic),
        protected=protected,
    )
