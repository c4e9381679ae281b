"""照会の目的: stated once per case, kept in a cookie that holds a code and nothing else."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, unquote

from litestar import Response, get, post

from juki.config import Config
from juki.console import words
from juki.console.form import Field, Form
from juki.console.page import go, render
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, purpose_of, route
from juki.web.admission import PURPOSE_COOKIE, SELF

SECONDS: Final = 3600


def field(*, autofocus: bool = False) -> Field:
    """The question, the same on every page."""
    return Field(
        name="purpose",
        label="照会の目的",
        kind="select",
        required=True,
        options=words.PURPOSES,
        width="l",
        autofocus=autofocus,
    )


def keep(response: Response[Any], config: Config, code: str, purpose: str) -> None:
    """Remember the purpose for this case, on this municipality's pages only."""
    response.set_cookie(
        key=PURPOSE_COOKIE,
        value=purpose,
        max_age=SECONDS,
        path=f"/{code}",
        secure=config.cookie_secure,
        httponly=True,
        samesite="strict",
    )


def ask(code: str, path: str) -> Response[bytes]:
    """To the question, and back to `path` afterwards."""
    return go(f"/{code}/purpose?next={quote(path)}")  # whole, or what follows a `?` or `&` in it would be lost


@get("/{code:str}/purpose", opt=route("access.purpose", SELF, "目的の選択"), include_in_schema=False)
async def purpose_page(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """The question on a page of its own."""
    form = Form([field(autofocus=True)])
    form.put("purpose", purpose_of(request))
    return await _page(request, fleet, code, form, request.query_params.get("next", ""))


@post("/{code:str}/purpose", opt=route("access.purpose", SELF, "目的の選択"), include_in_schema=False)
async def choose(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """Keep it and go on."""
    form = Form([field(autofocus=True)], form_of(request))
    there = form.text("next")
    if not form.check():
        return await _page(request, fleet, code, form, there)
    answer = go(there if _ours(code, there) else f"/{code}/search")
    keep(answer, fleet.config, code, form.text("purpose"))
    return answer


async def _page(request: AnyRequest, fleet: Fleet, code: str, form: Form, there: str) -> Response[bytes]:
    context = {
        "form": form,
        "lead": ["住民の記録を見る前に、照会の目的を選んでください。目的は操作の記録に残ります。"],
        "action": f"/{code}/purpose",
        "hidden": [("next", there if _ours(code, there) else "")],
        "button": "この目的で続ける",
        "back": f"/{code}/",
    }
    status = 422 if form.errors else 200
    return render(request, "simple.html", "照会の目的", context, tenant=await fleet.tenant(code), status=status)


def _ours(code: str, path: str) -> bool:
    """Only a plain path under this municipality is gone back to; a browser would take `..`, coded or not, as a way out."""
    plain = path.startswith(f"/{code}/") and "//" not in path and "\\" not in path and path.isprintable()
    return plain and not {".", ".."} & set(unquote(path.partition("?")[0]).split("/"))


routes: Final = [purpose_page, choose]
