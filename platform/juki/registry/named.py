"""JSON の形: records and forms with every item under its name, dates as text; the sealed form is an array and stays inside.

A date travels as `YYYY-MM-DD` (00 for unknown parts) where that says it all, else as an object with `date`, `era`, `note`.
"""

from __future__ import annotations

import datetime as dt
import types
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from juki import dates
from juki.dates import RegistryDate
from juki.problem import Invalid

T = TypeVar("T")
_DEPTH_MAX: Final = 12
_AS_IT_IS: Final = frozenset({str, int, bool, float, type(None)})


@cache
def _hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(struct)


def to_named(value: Any) -> Any:
    """Builtins for JSON from a Struct, with field names all the way down."""
    if value.__class__ in _AS_IT_IS:  # nearly every item of a record, so it is asked first
        return value
    if isinstance(value, RegistryDate):
        if value.era or value.note:
            return {"date": value.iso(), "era": value.era, "note": value.note}
        return value.iso()
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        head = {str(value.__struct_config__.tag_field): tag} if tag is not None else {}
        return head | {name: to_named(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [to_named(item) for item in cast("tuple[Any, ...]", value)]
    if isinstance(value, dict):
        return {str(key): to_named(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def from_named(kind: type[T], raw: Any, *, path: str = "") -> T:
    """A Struct (or a union of tagged ones) from JSON builtins.

    Raises Invalid `registry.form_unreadable`; `fields` names the path, and an unknown field is refused like a wrong one.
    """
    return cast("T", _read(kind, raw, path, 0))


def _read(kind: Any, raw: Any, path: str, depth: int) -> Any:
    if depth > _DEPTH_MAX:
        raise _unreadable(path)
    origin = get_origin(kind)
    if origin in (types.UnionType, Union):
        return _read_union(get_args(kind), raw, path, depth)
    if origin is tuple and isinstance(raw, list):
        of = get_args(kind)[0]
        return tuple(_read(of, item, f"{path}.{i}", depth + 1) for i, item in enumerate(cast("list[Any]", raw)))
    if kind is RegistryDate:
        return _read_date(raw, path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _read_struct(kind, raw, path, depth)
    plain: Any = cast("Any", kind)
    try:
        return msgspec.convert(raw, plain)
    except msgspec.ValidationError:
        raise _unreadable(path) from None


def _read_union(kinds: tuple[Any, ...], raw: Any, path: str, depth: int) -> Any:
    if raw is None and type(None) in kinds:
        return None
    structs = [k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct) and k is not RegistryDate]
    if len(structs) > 1:
        for struct in structs:
            config = struct.__struct_config__
            if isinstance(raw, dict) and cast("dict[str, Any]", raw).get(str(config.tag_field)) == config.tag:
                return _read_struct(struct, raw, path, depth)
        raise _unreadable(f"{path}.form".lstrip("."))
    rest = [k for k in kinds if k is not type(None)]
    if len(rest) == 1:
        return _read(rest[0], raw, path, depth)
    try:
        return msgspec.convert(raw, Union[tuple(rest)])  # noqa: UP007 - built at run time
    except msgspec.ValidationError:
        raise _unreadable(path) from None


def _read_struct(kind: type[msgspec.Struct], raw: Any, path: str, depth: int) -> Any:
    if not isinstance(raw, dict):
        raise _unreadable(path)
    given = cast("dict[str, Any]", raw)
    config = kind.__struct_config__
    names = {k for k in given if config.tag is None or k != config.tag_field}
    unknown = sorted(names - set(kind.__struct_fields__))
    if unknown:
        raise Invalid(
            "registry.form_unreadable",
            "a field outside the form",
            fields={f"{path}.{name}".lstrip("."): "registry.field_not_of_form" for name in unknown[:20]},
        )
    hints = _hints(kind)
    values = {name: _read(hints[name], given[name], f"{path}.{name}".lstrip("."), depth + 1) for name in names}
    try:
        return kind(**values)
    except TypeError:
        missing = [f for f in kind.__struct_fields__ if f not in values][:20]
        raise Invalid(
            "registry.form_unreadable",
            "a required field is missing",
            fields={f"{path}.{name}".lstrip("."): "registry.required" for name in _required(kind, missing)},
        ) from None


def _required(kind: type[msgspec.Struct], names: list[str]) -> list[str]:
    needed = {f.name for f in msgspec.structs.fields(kind) if f.required}
    return [name for name in names if name in needed]


def _read_date(raw: Any, path: str) -> RegistryDate:
    try:
        if isinstance(raw, str):
            return dates.parse(raw, unknown_allowed=True)
        if isinstance(raw, dict) and set(cast("dict[str, Any]", raw)) <= {"date", "era", "note"}:
            given = cast("dict[str, Any]", raw)
            known = dates.parse_iso(str(given.get("date", "")))
            era, note = given.get("era", ""), given.get("note", "")
            if isinstance(era, str) and era in ("", *dates.BY_LETTER) and isinstance(note, str) and len(note) <= 72:
                found = RegistryDate(known.year, known.month, known.day, era, note)
                if era and found.day:
                    dates.check_era(found)
                return found
    except Invalid as fault:
        raise Invalid("registry.form_unreadable", "not a date", fields={path: fault.code}) from None
    raise _unreadable(path)


def _unreadable(path: str) -> Invalid:
    return Invalid("registry.form_unreadable", "not a value of this field", fields={path: "registry.item_unreadable"})
