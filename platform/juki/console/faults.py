"""The page for a problem: what happened, what to do, and the code to quote. To the log-in where nobody is logged in."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response

from juki.console.page import environment, frame
from juki.web import AnyRequest, Problem

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
        return Response(b"", status_code=303, headers={"Location": f"/{code}/login"})
    if problem.code == "access.password_due":
        return Response(b"", status_code=303, headers={"Location": f"/{code}/account/password"})
    page = frame(request, None, _HEADINGS.get(problem.status, "処理できませんでした"))
    if page.clerk:
        page = frame_of_caller(page, str(request.scope["user"].tenant))
    context = {"problem": problem, "heading": page.title}
    text = environment().get_template("problem.html").render(page=page, **context)
    return Response(text.encode(), status_code=problem.status, media_type="text/html; charset=utf-8")


def frame_of_caller(page: Any, tenant: str) -> Any:
    """The caller's own pages, whatever was in the address."""
    import msgspec

    return msgspec.structs.replace(page, base=f"/{tenant}")
