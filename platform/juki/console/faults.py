"""The page for a problem: what happened, what to do, and the code to quote. To the log-in where nobody is logged in."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response

from juki.console import resume
from juki.console.page import Page, environment, frame, go
from juki.web import AnyRequest, Problem

_TIMED_OUT: Final = frozenset({"access.session_ended", "access.session_unknown"})
_HEADINGS: Final = {
    401: "ログインが必要です",
    403: "この操作はできません",
    404: "見つかりません",
    409: "最新の画面を開き直してください",
    422: "入力を確かめてください",
    429: "少し待ってください",
    503: "ただいま使えません",
}


def page_of(request: AnyRequest, problem: Problem) -> Response[Any]:
    """HTML for a person. Says nothing of the municipality in the address, for the caller may not belong there."""
    code = str(request.path_params.get("code", ""))
    if problem.status == 401 and code.isdecimal():
        kept = resume.of_request(request, code)
        if kept:
            return _login_first(request, code, kept)
        return go(f"/{code}/login", done="timed_out" if problem.code in _TIMED_OUT else "")
    if problem.code == "access.password_due":
        return go(f"/{code}/account/password")
    page = frame(request, None, _HEADINGS.get(problem.status, "処理できませんでした"))
    if page.clerk:
        page = _frame_of_caller(request, page)
    context = {"problem": problem, "heading": page.title, "way_on": page.base or _entry(request)}
    text = environment().get_template("problem.html").render(page=page, **context)
    return Response(text.encode(), status_code=problem.status, media_type="text/html; charset=utf-8")


def _login_first(request: AnyRequest, code: str, kept: resume.Pairs) -> Response[Any]:
    """The session ended under a half-filled form: log in first, nothing typed is lost."""
    page = msgspec.structs.replace(frame(request, None, "ログインの有効時間が過ぎました"), base=f"/{code}")
    text = environment().get_template("again.html").render(page=page, hidden=kept)
    return Response(text.encode(), status_code=401, media_type="text/html; charset=utf-8")


def _frame_of_caller(request: AnyRequest, page: Page) -> Page:
    """The caller's own municipality and pages, whatever was in the address."""
    return msgspec.structs.replace(page, base=f"/{request.scope['user'].tenant}", town=str(request.state.town))


def _entry(request: AnyRequest) -> str:
    """The first page under the code in the address, where it has one: what is there says who may come in."""
    code, _, rest = request.url.path.strip("/").partition("/")
    return f"/{code}" if rest and code.isascii() and code.isdecimal() else ""
