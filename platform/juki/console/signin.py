"""ログイン・端末の登録・ログアウト: before anybody is in, a page knows the municipality and nothing more."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get, post

from juki import audit
from juki.access import Caller
from juki.audit import Login, Opened
from juki.console import resume
from juki.console.form import Field, Form
from juki.console.page import environment, frame, go, render
from juki.problem import JukiError
from juki.tenancy import Fleet
from juki.web import AnyRequest, Pace, entrance, form_of, public, route, text_of, token_of
from juki.web.admission import SELF

_LOGIN: Final = (
    Field(name="login", label="ログイン名", required=True, max=32, autofocus=True, autocomplete="username"),
    Field(name="password", label="パスワード", kind="password", required=True, max=128, autocomplete="current-password"),
    Field(
        name="otp", label="ワンタイムコード", kind="number", required=True, width="s", max=6,
        hint="認証アプリの6桁の数字", autocomplete="one-time-code",
    ),
    Field(name="accepts_rules", label="パスワードの取扱いの定めを守ります（年に1回、確かめます）", kind="check"),
)  # fmt: skip
_ENROL: Final = (
    Field(name="enrol_code", label="端末の登録コード", required=True, width="s", max=20, autofocus=True, hint="例: ABCD-EFGH-JKMN"),
)  # fmt: skip


@get("/{code:str}/login", opt=public("log-in page"), include_in_schema=False)
async def login_page(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """The form; says first where the terminal itself is not known."""
    return await _login_page(request, code, fleet, Form(_LOGIN))


@post("/{code:str}/login/again", opt=public("log-in page"), include_in_schema=False, status_code=200)
async def login_again(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """The same form, carrying what was typed when the session ended."""
    return await _login_page(request, code, fleet, Form(_LOGIN), resume.of_login(form_of(request), code))


@post("/{code:str}/login", opt=public("log-in"), include_in_schema=False)
async def login(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """Open the session, or say that it did not open and no more (R-A-3.3-AUT-01)."""
    form = Form(_LOGIN, form_of(request))
    kept = resume.of_login(form_of(request), code)
    await fleet.tenant(code)
    pace: Pace = request.app.state.pace
    keys = (f"{code} {form.text('login')}", f"{code} at {_address(request)}")
    for key in keys:
        pace.try_once(key)
    if not form.check():
        return await _login_page(request, code, fleet, form, kept)
    typed = Login(
        login_name=form.text("login"),
        password=form.text("password"),
        otp=form.text("otp"),
        accepts_rules=bool(form.text("accepts_rules")),
    )
    try:
        opened = await audit.sign_in(fleet, code, typed, entrance.terminal_token(request, fleet.config))
    except JukiError as error:
        if error.status >= 500:
            raise
        form.wrong("form", text_of(error.code, error.status))
        form.replace("otp", [])  # a code is good once, so the next one is asked for
        return await _login_page(request, code, fleet, form, kept)
    for key in keys:
        pace.forget(key)
    names: entrance.Names = request.app.state.names
    names.put(opened.caller.session_id, opened.name)
    if kept and not opened.caller.password_due:
        answer = await _resume_page(request, code, fleet, opened, kept)
    else:
        answer = go(f"/{code}/account/password" if opened.caller.password_due else f"/{code}/")
    entrance.put_session(answer, fleet.config, opened.token)
    return answer


@get("/{code:str}/terminal", opt=public("terminal enrolment page"), include_in_schema=False)
async def terminal_page(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """The form for the one-time code that the administrator handed out."""
    return await _terminal_page(request, code, fleet, Form(_ENROL))


@post("/{code:str}/terminal", opt=public("terminal enrolment"), include_in_schema=False)
async def enrol(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """Make this browser a registered terminal (R-1-3.3-USE-02)."""
    form = Form(_ENROL, form_of(request))
    await fleet.tenant(code)
    pace: Pace = request.app.state.pace
    key = f"{code} enrol {_address(request)}"
    pace.try_once(key)
    if not form.check():
        return await _terminal_page(request, code, fleet, form)
    try:
        token, _ = await audit.enrol_terminal(fleet, code, form.text("enrol_code"))
    except JukiError as error:
        if error.status >= 500:
            raise
        form.wrong("enrol_code", text_of(error.code, error.status))
        return await _terminal_page(request, code, fleet, form)
    pace.forget(key)
    answer = go(f"/{code}/login", done="enrolled")
    entrance.put_terminal(answer, fleet.config, token)
    return answer


@post("/{code:str}/logout", opt=route("session.logout", SELF, "ログアウト"), include_in_schema=False)
async def logout(code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """End the session here and in the register of sessions."""
    await audit.sign_out(fleet, caller)
    answer = go(f"/{code}/login", done="signed_out")
    entrance.put_session(answer, fleet.config, "")
    return answer


async def _resume_page(
    request: AnyRequest, code: str, fleet: Fleet, opened: Opened, kept: resume.Pairs
) -> Response[bytes]:
    """The form typed before the session ended, under the new session, sent only when the clerk says so."""
    action, hidden = resume.unwrapped(kept)
    page = msgspec.structs.replace(
        frame(request, await fleet.tenant(code), "入力の続き"),
        clerk=opened.name,
        duty=opened.caller.duty,
        terminal=opened.caller.terminal_id,
        token=token_of(opened.token),
    )
    text = environment().get_template("resume.html").render(page=page, action=action, hidden=hidden)
    return Response(text.encode(), status_code=200, media_type="text/html; charset=utf-8")


async def _login_page(
    request: AnyRequest, code: str, fleet: Fleet, form: Form, kept: resume.Pairs = ()
) -> Response[bytes]:
    tenant = await fleet.tenant(code)
    known = await audit.terminal_id(fleet, code, entrance.terminal_token(request, fleet.config))
    context = {"form": form, "enrolled": known is not None, "hidden": kept}
    return render(request, "login.html", "ログイン", context, tenant=tenant, status=422 if form.errors else 200)


async def _terminal_page(request: AnyRequest, code: str, fleet: Fleet, form: Form) -> Response[bytes]:
    context = {
        "form": form,
        "lead": ["管理者から受け取った登録コードを入れてください。コードは一度だけ使えます。"],
        "action": f"/{code}/terminal",
        "hidden": [],
        "button": "この端末を登録する",
        "back": f"/{code}/login",
    }
    tenant = await fleet.tenant(code)
    status = 422 if form.errors else 200
    return render(request, "simple.html", "端末の登録", context, tenant=tenant, status=status)


def _address(request: AnyRequest) -> str:
    return request.client.host if request.client else ""


routes: Final = [login_page, login_again, login, terminal_page, enrol, logout]
