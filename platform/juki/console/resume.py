"""入力の続き: what was typed when the session ended is carried through the log-in and sent again at the clerk's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from juki.web import AnyRequest

PATH: Final = "resume"
_KEPT: Final = "kept:"
_PARTS: Final = ("/changes", "/residents/", "/cases/", "/protection/", "/worklist", "/search", "/audit")
_NEVER: Final = frozenset({"form_token", "password", "old", "again", "otp", "otp_secret"})
Pairs = Sequence[tuple[str, str]]


def of_request(request: AnyRequest, code: str) -> Pairs:
    """The form that came too late, as hidden fields for the log-in page; nothing where there is none to carry."""
    form: Mapping[str, Sequence[str]] = getattr(request.state, "form", None) or {}
    path = request.url.path
    if not form or not _carried(code, path):
        return ()
    kept = [(_KEPT + name, value) for name, values in form.items() if name not in _NEVER for value in values]
    return ((PATH, path), *kept)


def of_login(form: Mapping[str, Sequence[str]], code: str) -> Pairs:
    """The same fields as the log-in page sent them on."""
    path = (form.get(PATH) or [""])[0]
    if not _carried(code, path):
        return ()
    kept = [(name, value) for name, values in form.items() if name.startswith(_KEPT) for value in values]
    return ((PATH, path), *kept)


def unwrapped(kept: Pairs) -> tuple[str, list[tuple[str, str]]]:
    """The address the form belongs to, and its fields under their own names."""
    path = next(value for name, value in kept if name == PATH)
    fields = [(name.removeprefix(_KEPT), value) for name, value in kept if name.startswith(_KEPT)]
    return path, [(name, value) for name, value in fields if name not in _NEVER]


def _carried(code: str, path: str) -> bool:
    """Only pages of work under this municipality; never a page that takes a password."""
    head = f"/{code}"
    plain = path.startswith(head + "/") and "//" not in path and "\\" not in path and path.isprintable()
    return plain and path.removeprefix(head).startswith(_PARTS)
