"""異動前と異動後: each person's items side by side, the changed ones marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from juki.console import sections
from juki.console.search import Tag
from juki.dates import RegistryDate
from juki.personal import Personal
from juki.registry.model import Record

_ALWAYS: Final = frozenset({"basic.name", "basic.relationship", "address.address", "status"})
_OURS: Final = frozenset({"version_no", "atena_no", "member_order"})  # numbers the register gives itself
_TYPED_AGAIN: Final = frozenset({"my_number.my_number", "resident_code.resident_code"})
HIDDEN: Final = "再入力して照合します"


class Pair(Personal, frozen=True, kw_only=True):
    """One item before and after."""

    label: str
    was: str
    now: str
    changed: bool


class Compared(Personal, frozen=True, kw_only=True):
    """One person before and after."""

    name: str
    tags: list[Tag]
    rows: list[Pair]
    fresh: bool = False  # nothing stood before, so there is nothing to compare with


def side_by_side(before: Sequence[Record], after: Sequence[Record], *, blind: bool = False) -> list[Compared]:
    """The people of a change. `blind` withholds what a second person must type from the paper: dates and numbers."""
    earlier = {record.atena_no: record for record in before}
    return [_compared(earlier.get(record.atena_no), record, blind=blind) for record in after]


def _compared(was: Record | None, now: Record, *, blind: bool) -> Compared:
    name = now.basic.name if now.basic else (was.basic.name if was and was.basic else now.atena_no)
    tags = [Tag("新しく記載", "blue")] if was is None else []
    rows = [
        pair
        for section in sections.SECTIONS
        for item in section.items
        if (pair := _pair(item, was, now, blind=blind)) is not None
    ]
    return Compared(name=name, tags=tags, rows=rows, fresh=was is None)


def _pair(item: sections.Item, was: Record | None, now: Record, *, blind: bool) -> Pair | None:
    old: Any = sections.value_at(was, item.path) if was is not None else None
    new: Any = sections.value_at(now, item.path)
    said_old = sections.read(old, was, item.path) if was is not None else ""
    said_new = sections.read(new, now, item.path)
    changed = said_old != said_new
    if not said_new and not said_old:
        return None
    if not changed and item.path not in _ALWAYS:
        return None
    if item.path in _OURS and (was is None or item.path != "member_order"):
        return None
    if blind and changed and old != new and (item.path in _TYPED_AGAIN or isinstance(new, RegistryDate)):
        return Pair(label=item.label, was=said_old, now=HIDDEN, changed=True)
    return Pair(label=item.label, was=said_old, now=said_new, changed=changed and was is not None)
