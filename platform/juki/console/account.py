"""利用者の設定: one's own password, one's own log-ins, and the first page of the day."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, get, post

from juki import audit
from juki.access import Caller, accounts, credentials
from juki.audit import operation
from juki.console import words
from juki.console.form import Field, Form
from juki.console.page import go, render
from juki.problem import Invalid, Refused
from juki.tenancy import Fleet
from juki.web import AnyRequest, form_of, public, route, text_of
from juki.web.admission import SELF

_RIGHTS: Final = {
    "resident.search": "検索",
    "resident.read": "住民票の記録の照会",
    "resident.my_number": "個人番号の照会",
    "resident.code": "住民票コードの照会",
    "change.enter": "異動の入力",
    "change.confirm": "照合・本登録",
    "certificate.issue": "証明書の交付",
    "protection.read": "支援措置の照会",
    "protection.enter": "支援措置の登録",
    "import.run": "データ移行",
    "import.review": "移行の作業一覧",
    "audit.read": "操作の記録の点検",
    "account.manage": "IDと権限の申請",
    "account.approve": "権限の承認",
    "offboard.request": "利用終了の申出",
    "offboard.approve": "利用終了の承認",
    "system.check": "システムの点検",
}
_PASSWORD: Final = (
    Field(name="old", label="今のパスワード", kind="password", required=True, max=128, autofocus=True, autocomplete="current-password"),
    Field(name="password", label="新しいパスワード", kind="password", required=True, max=128, hint="12文字以上。ログイン名や職員番号を含めない", autocomplete="new-password"),
    Field(name="again", label="新しいパスワード（もう一度）", kind="password", required=True, max=128, autocomplete="new-password"),
)  # fmt: skip
_TOTP: Final = (
    Field(name="password", label="今のパスワード", kind="password", required=True, max=128, autocomplete="current-password"),
    Field(name="otp", label="新しいワンタイムコード", kind="number", required=True, width="s", max=6, autocomplete="one-time-code"),
)  # fmt: skip
_WEAK: Final = {
    "too_short": "12文字以上にしてください。",
    "too_long": "128文字以内にしてください。",
    "too_uniform": "同じ文字が多すぎます。5種類以上の文字を使ってください。",
    "contains_own_name": "ログイン名や職員番号を含めないでください。",
    "same": "今のパスワードと同じです。別のパスワードにしてください。",
}


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """One log-in of one's own."""

    at: str
    terminal: str
    result: str
    look: str


@get("/", opt=public("says where to go"), include_in_schema=False, sync_to_thread=False)
def landing(request: AnyRequest) -> Response[bytes]:
    """Nobody's page: the municipality's code is missing from the address."""
    return render(request, "landing.html", "住民記録システム", tenant=None)


@get("/{code:str}", opt=route("account.home", SELF, "業務の選択"), include_in_schema=False)
async def home(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """業務の一覧 of this duty."""
    return render(request, "home.html", "業務の一覧", tenant=await fleet.tenant(code))


@get("/{code:str}/account", opt=route("account.logins", SELF, "自分の設定の確認"), include_in_schema=False)
async def account(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """What one may do, and one's own log-ins, so that a foreign one is noticed."""
    context = {"rights": "、".join(_RIGHTS.get(r, r) for r in sorted(caller.rights, key=list(_RIGHTS).index))}
    context_logins = await _logins(fleet, caller)
    tenant = await fleet.tenant(code)
    return render(
        request, "account.html", "利用者の設定", {**context, "logins": context_logins}, tenant=tenant, here="/account"
    )


@get("/{code:str}/account/password", opt=route("account.password", SELF, "パスワード変更"), include_in_schema=False)
async def password_page(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """The form, with the reason where the change is due."""
    return await _password_page(request, code, fleet, caller, Form(_PASSWORD))


@post("/{code:str}/account/password", opt=route("account.password", SELF, "パスワード変更"), include_in_schema=False)
async def change_password(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """パスワード変更 of the acting person (R-1-3.3-AUT-04)."""
    form = Form(_PASSWORD, form_of(request))
    if form.check() and form.text("password") != form.text("again"):
        form.wrong("again", "新しいパスワードと一致しません。もう一度入力してください。")
    if not form.errors:
        try:
            await audit.change_password(fleet, caller, form.text("old"), form.text("password"))
        except Refused as error:
            form.wrong(
                "old",
                "今のパスワードが違います。入力し直してください。"
                if error.code == "access.login_failed"
                else text_of(error.code, 403),
            )
        except Invalid as error:
            rule = error.fields.get("password", "")
            form.wrong("password", _WEAK.get(rule, text_of(error.code, 422)))
        else:
            return go(f"/{code}/account" if not caller.password_due else f"/{code}", done="password")
    return await _password_page(request, code, fleet, caller, form)


async def _password_page(request: AnyRequest, code: str, fleet: Fleet, caller: Caller, form: Form) -> Response[bytes]:
    due = ["パスワードを変更するまで、ほかの業務は使えません。半年ごと、又は他の人が設定したときに変更します。"]
    context = {
        "form": form,
        "lead": due if caller.password_due else ["半年に一度は変更してください。"],
        "action": f"/{code}/account/password",
        "hidden": [],
        "button": "パスワードを変更する",
        "back": "" if caller.password_due else f"/{code}/account",
    }
    status = 422 if form.errors else 200
    tenant = await fleet.tenant(code)
    return render(request, "simple.html", "パスワードの変更", context, tenant=tenant, status=status)


async def _logins(fleet: Fleet, caller: Caller) -> list[Entered]:
    async with operation(fleet, caller, "account.logins", purpose="自分のログインの確認", write=False) as op:
        found = await accounts.log_ins(op.work)
    return [
        Entered(
            at=words.instant(at),
            terminal=terminal,
            result="失敗" if why else "完了",
            look="stop" if why else "good",
        )
        for at, terminal, why in found
    ]


@get("/{code:str}/account/totp", opt=route("account.otp", SELF, "ワンタイムコードの登録"), include_in_schema=False)
async def totp_page(request: AnyRequest, code: str, fleet: Fleet) -> Response[bytes]:
    """A new secret to put into the clerk's own app."""
    return await _totp_page(request, code, fleet, Form(_TOTP), credentials.new_otp_secret())


@post("/{code:str}/account/totp", opt=route("account.otp", SELF, "ワンタイムコードの登録"), include_in_schema=False)
async def change_totp(request: AnyRequest, code: str, fleet: Fleet, caller: Caller) -> Response[bytes]:
    """Takes the new secret once a code of it was shown."""
    form = Form(_TOTP, form_of(request))
    secret = form.text("otp_secret")
    if form.check():
        try:
            await audit.change_otp(fleet, caller, form.text("password"), secret, form.text("otp"))
        except Refused as error:
            form.wrong("password", text_of(error.code, 403))
        except Invalid as error:
            form.wrong("otp", text_of(error.code, 422))
        else:
            return go(f"/{code}/account", done="totp")
    return await _totp_page(request, code, fleet, form, secret)


async def _totp_page(request: AnyRequest, code: str, fleet: Fleet, form: Form, secret: str) -> Response[bytes]:
    groups = " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
    context = {
        "form": form,
        "secret": groups,
        "action": f"/{code}/account/totp",
        "hidden": [("otp_secret", secret)],
    }
    status = 422 if form.errors else 200
    title = "ワンタイムコードの登録"
    return render(request, "totp.html", title, context, tenant=await fleet.tenant(code), status=status)


routes: Final = [landing, home, account, password_page, change_password, totp_page, change_totp]
