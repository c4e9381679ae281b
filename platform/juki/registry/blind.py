"""照合の前に見せないもの: a 仮登録 as it goes out to the person who has yet to type its dates and numbers from the paper.

Control R-12-3.2-QUA-01: what was entered is compared with what a second person types without seeing it, so it is shown to
that person nowhere before: not in the form, and not in the record that it would make.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, cast

import msgspec

from juki.dates import RegistryDate
from juki.registry.drafting import CaseView
from juki.registry.items import item_type
from juki.registry.named import to_named

_NUMBERS: Final = frozenset({"my_number", "resident_code"})


def to_confirm(view: CaseView) -> dict[str, Any]:
    """仮登録の内容 as JSON for whoever may confirm it: dates and numbers that were entered are None, what stood before is shown."""
    earlier = {record.atena_no: record for record in view.before}
    shown = cast("dict[str, Any]", to_named(view))
    after = [_as_it_stood(earlier.get(record.atena_no), record) for record in view.after]
    return shown | {"change": _entered(view.change), "after": after}


def _entered(value: Any) -> Any:
    """A form, or a part of one, without any date or number."""
    if isinstance(value, RegistryDate | dt.date):
        return None
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        head = {str(value.__struct_config__.tag_field): tag} if tag is not None else {}
        names = value.__struct_fields__
        return head | {name: None if name in _NUMBERS else _entered(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_entered(part) for part in cast("tuple[Any, ...]", value)]
    if isinstance(value, dict):
        typed = cast("dict[str, Any]", value)
        return {path: None if _typed_again(path) else text for path, text in typed.items()}
    return to_named(value)


def _typed_again(path: str) -> bool:
    """True for an item of a correction that is a date or a number."""
    return path.rpartition(".")[2] in _NUMBERS or item_type(path) is RegistryDate


def _as_it_stood(old: Any, new: Any, name: str = "") -> Any:
    """A record as it would be, without the dates and numbers in which it differs from before."""
    if isinstance(new, RegistryDate | dt.date) or (isinstance(new, str) and name in _NUMBERS):
        return to_named(new) if new == old else None
    if isinstance(new, msgspec.Struct):
        return {n: _as_it_stood(getattr(old, n, None), getattr(new, n), n) for n in new.__struct_fields__}
    return to_named(new)
