"""戻れる画面: a form that only shows something is kept for the session and shown by a page of its own, so that going back
and reloading send nothing again and the browser asks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from litestar import Response

from juki import audit
from juki.access import Caller
from juki.audit import Kept
from juki.console.form import Field, Form
from juki.console.page import go
from juki.tenancy import Fleet
from juki.web import AnyRequest

_NUMBER: Final = "kept"
_DIGITS_MAX: Final = 15


async def show(
    fleet: Fleet,
    caller: Caller,
    path: str,
    given: Mapping[str, Sequence[str]],
    *,
    wrong: Mapping[str, str] | None = None,
    once: bool = False,
) -> Response[bytes]:
    """To the page at `path` with this form: what was given, and what is wrong beside which field."""
    fields = {name: list(values) for name, values in given.items() if name != "form_token"}
    kept = Kept(page=path, given=fields, wrong=dict(wrong or {}), once=once)
    number = await audit.keep_page(fleet, caller, kept)
    return go(f"{path}?{_NUMBER}={number}")


async def show_again(fleet: Fleet, caller: Caller, path: str, form: Form) -> Response[bytes]:
    """To the page of a form that was refused, as it was filled in."""
    return await show(fleet, caller, path, form.given, wrong=form.errors)


async def form_of(request: AnyRequest, fleet: Fleet, caller: Caller, fields: Sequence[Field] = ()) -> Form | None:
    """The form that was kept for this page, None where none was asked for or it is gone: the page then begins anew."""
    text = request.query_params.get(_NUMBER, "")
    if not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS_MAX:
        return None
    kept = await audit.kept_page(fleet, caller, int(text), request.url.path)
    if kept is None:
        request.state.lost = True
        return None
    form = Form(fields, kept.given)
    form.errors = dict(kept.wrong)
    return form


def here(request: AnyRequest) -> str:
    """This page with its number, for coming back to it."""
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
