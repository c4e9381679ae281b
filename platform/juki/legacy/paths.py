"""Item paths a layout may name, with the types of field each takes; derived from the record itself, so none is missing."""

from __future__ import annotations

import datetime as dt
import types
from enum import StrEnum
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from juki.dates import RegistryDate
from juki.registry.model import GROUPS, MIGRATION, REASONS, Kind, Notes, Sex, Status, SupportMeasure

FieldType = Literal["text", "memo", "kana", "half", "digits", "number", "flag", "code", "chain", "relationship", "date"]

_TEXT: Final[frozenset[str]] = frozenset({"text", "memo", "kana", "half", "digits", "code", "chain", "relationship"})
_DATE: Final[frozenset[str]] = frozenset({"date"})
_FLAG: Final[frozenset[str]] = frozenset({"flag"})
_CODE: Final[frozenset[str]] = frozenset({"code"})
_KEY: Final[frozenset[str]] = frozenset({"digits", "half"})


def _types_of(hint: Any) -> frozenset[str]:
    if get_origin(hint) in {Union, types.UnionType}:
        hint = next(a for a in get_args(hint) if a is not type(None))
    if hint is bool:
        return _FLAG
    if hint in {RegistryDate, dt.date}:
        return _DATE
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _CODE
    return _TEXT if hint is str else frozenset()


def _struct_paths(prefix: str, struct: type[msgspec.Struct]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for name, hint in get_type_hints(struct).items():
        path = f"{prefix}{name}"
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint is not RegistryDate:
            found |= _struct_paths(f"{path}.", hint)
        elif kinds := _types_of(hint):
            found[path] = kinds
    return found


def _record_paths() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {
        "atena_no": _KEY,
        "version_no": frozenset({"number"}),
        "setai_no": _KEY,
        "member_order": frozenset({"number"}),
        "is_head": _FLAG,
        "status": _CODE,
        "kind": _CODE,
        "event.reason": _CODE,
        "event.occurred_on": _DATE,
        "event.occurred_on.note": frozenset({"text"}),
        "event.notified_on": _DATE,
        "event.processed_on": _DATE,
        "event.remarks": frozenset({"text", "memo"}),
        "basic.birth.note": frozenset({"text"}),
    }
    for group, struct in GROUPS.items():
        found |= _struct_paths(f"{group}.", struct)
    return found


PATHS_OF: Final[dict[str, dict[str, frozenset[str]]]] = {
    "resident": _record_paths(),
    "household": {"setai_no": _KEY, "head_atena_no": _KEY, "members": frozenset({"number"})},
    "support": _struct_paths("", SupportMeasure) | {"measure_serial": _KEY},
    "notes": {
        "atena_no": _KEY,
        "version_no": frozenset({"number"}),
        "note_kind": _CODE,
        "note": frozenset({"text", "memo"}),
    },
    "stock": {"resident_code": _KEY},
    "gaiji": {"code": frozenset({"half"}), "text": frozenset({"half"}), "mj": frozenset({"half"})},
}
"""Kind of file -> item path -> types of field that fit it."""

WORDS_OF: Final[dict[str, frozenset[str]]] = {
    "status": frozenset(Status),
    "kind": frozenset(Kind),
    "basic.sex": frozenset(Sex),
    "sex": frozenset(Sex),
    "event.reason": frozenset({*REASONS, MIGRATION.code}),
    "basic.name_priority": frozenset({"", "name", "alias"}),
    "note_kind": frozenset(Notes.__struct_fields__),
}
"""Item path -> the words it knows, where a code table may lead to no other."""
