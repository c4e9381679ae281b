"""世帯: 続柄 up to four generations, the order of members, one 世帯主, and the head's name on every member's record.

Source: 住民記録システム標準仕様書 1.1 (続柄, 世帯員の並び順).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from juki.registry.change import Finding, Position
from juki.registry.resident import Basic, Record, Status

HEAD: Final = "世帯主"
SPOUSES: Final = ("夫", "妻", "夫（未届）", "妻（未届）")
CHILDREN: Final = ("子", "子（子の夫）", "子（子の妻）")
TERMS: Final = frozenset((*SPOUSES, *CHILDREN, "父", "母", "兄", "姉", "弟", "妹"))
OUTSIDERS: Final = ("縁故者", "同居人")
GENERATIONS: Final = 4
_PARENTHESES: Final = str.maketrans("()", "（）")


def relationship_key(text: str) -> str:
    """続柄 as compared: both widths of parentheses are one."""
    return text.strip().translate(_PARENTHESES)


def chain(text: str) -> tuple[str, ...] | None:
    """続柄 cut at の into its terms, None where it is not a 続柄: 子の妻の母 has three, 祖父 is none."""
    key = relationship_key(text)
    if key == HEAD or key in OUTSIDERS:
        return (key,)
    terms: list[str] = []
    rest = key
    while rest:
        term = next((t for t in sorted(TERMS, key=len, reverse=True) if rest.startswith(t)), None)
        if term is None:
            return None
        terms.append(term)
        rest = rest[len(term) :]
        if rest and not (rest.startswith("の") and len(rest) > 1):
            return None
        rest = rest[1:]
    return tuple(terms) if 0 < len(terms) <= GENERATIONS else None


def is_relationship(text: str) -> bool:
    """True for a 続柄 of the specification; anything further off is 縁故者 or 同居人."""
    return chain(text) is not None


def _rank(terms: tuple[str, ...]) -> tuple[int, int]:
    """(block, depth): head, spouse, children, families of children, then parents, siblings, others."""
    first = terms[0]
    if first == HEAD:
        return (0, 0)
    if first in OUTSIDERS:
        return (9, OUTSIDERS.index(first))
    if len(terms) == 1:
        blocks = {"父": 4, "母": 4, "兄": 5, "姉": 5, "弟": 5, "妹": 5}
        return (1 if first in SPOUSES else 2 if first in CHILDREN else blocks[first], 0)
    if first in CHILDREN:
        return (3, len(terms))
    return (6 if first in ("父", "母") else 7 if first not in SPOUSES else 8, len(terms))


def stays_right(member: Record, new_head: Record | None) -> bool:
    """True where the 続柄 of a member reads the same to the new 世帯主, who is given as before the change."""
    terms = chain(member.basic.relationship) if member.basic else None
    if terms is None or terms[0] in OUTSIDERS:
        return True
    spouse = new_head is not None and new_head.basic is not None and new_head.basic.relationship in SPOUSES
    return spouse and terms == ("子",)


def order(members: Iterable[Record]) -> tuple[Record, ...]:
    """世帯員の並び順: by 続柄, then by birth, ties by 宛名番号. An unknown 続柄 comes last."""

    def key(member: Record) -> tuple[tuple[int, int], dt.date, str]:
        basic = member.basic
        terms = chain(basic.relationship) if basic else None
        return (_rank(terms) if terms else (10, 0), basic.birth.sort_date() if basic else dt.date.max, member.atena_no)

    return tuple(sorted(members, key=key))


def place(members: Mapping[str, Record], positions: Iterable[Position]) -> dict[str, Record]:
    """The members with the 続柄 given; names nobody outside `members`."""
    placed = dict(members)
    for position in positions:
        member = placed.get(position.atena_no)
        if member is not None and member.basic is not None:
            basic = msgspec.structs.replace(member.basic, relationship=relationship_key(position.relationship))
            placed[position.atena_no] = msgspec.structs.replace(member, basic=basic)
    return placed


def settle(members: Iterable[Record]) -> tuple[Record, ...]:
    """Members of one household in order, head flag and member order set, the head's name on each.

    Exactly one person left becomes 世帯主 by 職権. Where no one or several claim to be head nothing is guessed: `faults`
    finds it.
    """
    living = [m for m in members if m.status is Status.RESIDENT]
    if len(living) == 1:
        living = [_with_relationship(living[0], HEAD)]
    ordered = order(living)
    heads = [m for m in ordered if m.basic is not None and m.basic.relationship == HEAD]
    head_name = heads[0].basic.name if len(heads) == 1 and heads[0].basic else ""
    return tuple(_seated(member, number, head_name) for number, member in enumerate(ordered, start=1))


def _with_relationship(member: Record, relationship: str) -> Record:
    if member.basic is None or member.basic.relationship == relationship:
        return member
    return msgspec.structs.replace(member, basic=msgspec.structs.replace(member.basic, relationship=relationship))


def _seated(member: Record, number: int, head_name: str) -> Record:
    basic: Basic | None = member.basic
    is_head = basic is not None and basic.relationship == HEAD
    if basic is not None and head_name and basic.head_name != head_name:
        basic = msgspec.structs.replace(basic, head_name=head_name)
    return msgspec.structs.replace(member, basic=basic, member_order=number, is_head=is_head)


def faults(members: Sequence[Record]) -> tuple[Finding, ...]:
    """What keeps a household from being whole: no head, two heads, an unknown 続柄, two addresses."""
    living = [m for m in members if m.status is Status.RESIDENT]
    if not living:
        return ()
    found: list[Finding] = []
    heads = sum(1 for m in living if m.basic is not None and m.basic.relationship == HEAD)
    if heads != 1:
        found.append(Finding(code="registry.no_head" if heads == 0 else "registry.two_heads", field="positions"))
    if any(m.basic is None or not is_relationship(m.basic.relationship) for m in living):
        found.append(Finding(code="registry.relationship_unknown", field="positions"))
    addresses = {(m.address.address.text, m.address.address.building) for m in living if m.address is not None}
    if len(addresses) > 1:
        found.append(Finding(code="registry.two_addresses", field="address"))
    return tuple(found)
