"""項目: item paths such as `basic.name` or `address.address.text`, read and set as text on the form is typed."""

from __future__ import annotations

import datetime as dt
import types
from enum import Enum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from juki import dates
from juki.dates import RegistryDate
from juki.problem import Invalid
from juki.registry.resident import GROUPS, Record

_UNKNOWN_ALLOWED: Final = frozenset(
    (
        "basic.birth",
        "address.resident_since",
        "address.address_since",
        "foreigner.foreign_resident_since",
        "removal.occurred_on",
    )
)
"""Dates that may be unknown or impossible; every other date is a calendar day (標準仕様書 1.1)."""

_DERIVED: Final = frozenset(("basic.head_name", "basic.relationship"))
"""Items that follow from the household and are changed only by a change of the household."""


@cache
def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(struct)


def _core(hint: Any) -> Any:
    """The type of a field without its `| None`."""
    if get_origin(hint) in (types.UnionType, Union):
        return next(a for a in get_args(hint) if a is not type(None))
    return hint


def _struct(kind: Any) -> type[msgspec.Struct] | None:
    """The type where it is a Struct made of items; a registry date is one item."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not RegistryDate:
        return kind
    return None


@cache
def item_type(path: str) -> Any:
    """Type of the leaf a path leads to. Raises Invalid `registry.item_unknown`."""
    group, *names = path.split(".")
    kind: Any = GROUPS.get(group)
    if kind is None or not names:
        raise Invalid("registry.item_unknown", "no such item", fields={"items": "registry.item_unknown"})
    for name in names:
        struct = _struct(kind)
        if struct is None or name not in _hints(struct):
            raise Invalid("registry.item_unknown", "no such item", fields={"items": "registry.item_unknown"})
        kind = _core(_hints(struct)[name])
    if _struct(kind) is not None:
        raise Invalid("registry.item_unknown", "not a single item", fields={"items": "registry.item_unknown"})
    return kind


@cache
def leaves() -> tuple[str, ...]:
    """Every single item of every group, in the order of the record."""

    def walk(prefix: str, struct: type[msgspec.Struct]) -> list[str]:
        found: list[str] = []
        for name in struct.__struct_fields__:
            nested = _struct(_core(_hints(struct)[name]))
            path = f"{prefix}.{name}"
            found += walk(path, nested) if nested is not None else [path]
        return found

    return tuple(path for group, struct in GROUPS.items() for path in walk(group, struct))


def is_derived(path: str) -> bool:
    """True for 世帯主の氏名 and 続柄."""
    return path in _DERIVED


def read_value(path: str, typed: str | bool) -> Any:
    """The value of an item from what was typed. Raises Invalid naming the item and the rule, never the value."""
    kind = item_type(path)
    try:
        return _read(kind, typed, unknown_allowed=path in _UNKNOWN_ALLOWED)
    except Invalid as fault:
        raise Invalid(fault.code, fault.detail, fields={f"items.{path}": fault.code}) from None
    except ValueError:
        code = "registry.item_unreadable"
        raise Invalid(code, "not a value of this item", fields={f"items.{path}": code}) from None


def _read(kind: Any, typed: str | bool, *, unknown_allowed: bool) -> Any:
    if kind is bool:
        if isinstance(typed, bool):
            return typed
        if typed in ("0", "1"):
            return typed == "1"
        raise ValueError
    if not isinstance(typed, str):
        raise ValueError
    if kind is RegistryDate:
        return dates.parse(typed, unknown_allowed=unknown_allowed) if typed.strip() else None
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(typed)
    if len(typed) > 1000:
        raise ValueError
    return typed


def get(record: Record, path: str) -> Any:
    """The value at a path, None where the group or a part on the way is missing."""
    found: Any = record
    for name in path.split("."):
        if found is None:
            return None
        found = getattr(found, name)
    return found


def set_items(record: Record, typed: dict[str, str | bool]) -> Record:
    """The record with items set; a group that was missing is made where its other items may stay empty.

    Raises Invalid `registry.item_unknown`, `registry.item_unreadable`, `registry.item_missing` or a date code.
    """
    for path, text in typed.items():
        group, *names = path.split(".")
        value = read_value(path, text)
        try:
            struct = getattr(record, group) or GROUPS[group]()
            record = msgspec.structs.replace(record, **{group: _with(struct, names, value)})
        except TypeError:
            code = "registry.item_missing"
            raise Invalid(code, "the group lacks an item that must be there", fields={f"items.{path}": code}) from None
    return record


def _with(struct: Any, names: list[str], value: Any) -> Any:
    name, *rest = names
    if rest:
        value = _with(getattr(struct, name), rest, value)
    elif value is None and type(None) not in get_args(_hints(struct.__class__)[name]):
        raise TypeError("this item may not be blank")
    return msgspec.structs.replace(struct, **{name: value})


def shown(value: Any, *, western: bool = False) -> str:
    """An item as a clerk reads it: dates in 和暦 (西暦 with `western`), flags as 有 and 無."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "有" if value else "無"
    if isinstance(value, RegistryDate):
        return dates.western(value) if western else dates.wareki(value)
    if isinstance(value, dt.date):
        return dates.wareki(dates.from_date(value))
    if isinstance(value, Enum):
        return str(value.value)
    return str(value)


def differences(before: Record | None, after: Record) -> tuple[str, ...]:
    """Paths of the items in which two versions differ; everything filled in where there was none before."""
    return tuple(path for path in leaves() if _differs(before, after, path))


def _differs(before: Record | None, after: Record, path: str) -> bool:
    old = get(before, path) if before is not None else None
    new = get(after, path)
    return old != new and (old or None) != (new or None)
