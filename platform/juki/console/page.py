"""One page: the top bar that is always in sight, and the template under it. Undefined names stop the page."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from litestar import Response

from juki.access import Caller
from juki.console import menu, words
from juki.dates import JST
from juki.tenancy import Fleet, Tenant
from juki.web import AnyRequest, form_token, purpose_of

_PATH_SAFE: Final = "/%?=&;:@!$'()*+,~"
STATIC: Final = Path(__file__).parent / "static"
DONE: Final = {
    "entered": "仮登録しました。仮登録番号は {no} です。照合待ちに入りました。別の職員が届出書と照合すると本登録されます。",
    "confirmed": "本登録しました。異動番号は {no} です。",
    "handed_back": "入力者に差し戻しました。仮登録番号は {no} です。",
    "withdrawn": "仮登録を取り下げました。仮登録番号は {no} です。",
    "issued": "証明書を交付しました。",
    "protected": "支援措置を登録しました。支援措置番号は {no} です。",
    "suppressed": "抑止を設定しました。",
    "renewed": "支援措置 {no} を1年延長しました。",
    "amended": "支援措置 {no} の内容を変更しました。",
    "end_asked": "支援措置の終了を申請しました。申請番号は {no} です。ほかの職員が承認するまで、支援措置は続きます。",
    "narrow_asked": "支援を減らす変更を申請しました。申請番号は {no} です。ほかの職員が承認するまで、減らす部分は変わりません。増やした部分があれば、今から有効です。",
    "release_asked": "抑止の解除を申請しました。申請番号は {no} です。ほかの職員が承認するまで、抑止は続きます。",
    "loosening_approved": "申請 {no} を承認しました。",
    "loosening_declined": "申請 {no} を却下しました。支援措置・抑止は、これまでどおり続きます。",
    "loosening_withdrawn": "申請 {no} を取り下げました。支援措置・抑止は、これまでどおり続きます。",
    "released": "抑止を一時解除しました。時間が過ぎると抑止に戻ります。",
    "reviewed": "作業一覧の行を処理済みにしました。番号は {no} です。",
    "password": "パスワードを変更しました。次のログインから新しいパスワードを使ってください。",
    "totp": "ワンタイムコードの登録を更新しました。",
    "handed_over": "証明書を渡した記録を付けました。",
    "disposed": "書損として記録しました。",
    "duty_requested": "権限を申請しました。申請番号は {no} です。別の人の承認を待ちます。",
    "duty_granted": "申請 {no} を承認しました。",
    "duty_refused": "申請 {no} を却下しました。",
    "stopped": "操作者を停止しました。",
    "reopened": "操作者の停止を解除しました。",
    "signed_out": "ログアウトしました。",
    "timed_out": "ログインの有効時間が過ぎました。もう一度ログインしてください。",
    "enrolled": "この端末を登録しました。続けてログインしてください。",
    "measure_confirmed": "仮支援措置 {no} を支援措置にしました。",
}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What every template may ask of the frame around it."""

    title: str
    town: str = ""
    base: str = ""
    live: bool = True
    clerk: str = ""
    duty: str = ""
    terminal: str = ""
    purpose: str = ""
    today: str = ""
    clock: str = ""
    menu: Sequence[menu.Entry] = ()
    here: str = ""
    token: str = ""
    assets: str = ""
    done: str = ""
    lost: bool = False  # what was typed here before is no longer kept


@cache
def environment() -> Environment:
    """Templates that escape everything and stop on a name they were not given."""
    env = Environment(
        loader=PackageLoader("juki.console", "templates"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(day=words.day, instant=words.instant, calendar=words.calendar)
    return env


@cache
def asset_version() -> str:
    """Digest of the style sheet and script, so that a browser may keep them until they change."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def frame(request: AnyRequest, tenant: Tenant | None, title: str, *, here: str = "") -> Page:
    """The top bar for this request; without a caller it shows the municipality and the clock only."""
    fleet: Fleet = request.app.state.fleet
    now = fleet.clock()
    caller = cast("Caller | None", dict(request.scope).get("user"))
    known = Page(
        title=title,
        town=f"{tenant.prefecture}{tenant.name}" if tenant else "住民記録システム",
        base=f"/{tenant.code}" if tenant else "",
        live=fleet.config.environment == "live",
        today=words.today(now),
        clock=f"{now.astimezone(JST):%H:%M}",
        assets=asset_version(),
        done=_done(request),
        lost=bool(getattr(request.state, "lost", False)),
        here=here,
    )
    if caller is None or caller.actor_kind != "operator":
        return known
    purpose = purpose_of(request)
    return msgspec.structs.replace(
        known,
        clerk=str(getattr(request.state, "clerk", "") or caller.actor_id),
        duty=caller.duty,
        terminal=caller.terminal_id,
        purpose=words.PURPOSE_NAMES.get(purpose, "").partition("（")[0],
        menu=menu.entries(caller),
        token=form_token(request),
    )


def render(
    request: AnyRequest,
    template: str,
    title: str,
    context: Mapping[str, Any] | None = None,
    *,
    tenant: Tenant | None,
    here: str = "",
    status: int = 200,
) -> Response[bytes]:
    """A whole page as bytes."""
    page = frame(request, tenant, title, here=here)
    text = environment().get_template(template).render(page=page, **(context or {}))
    return Response(text.encode(), status_code=status, media_type="text/html; charset=utf-8")


def go(path: str, *, done: str = "", no: str | int = "", new: str = "") -> Response[bytes]:
    """303 to the next page, so that reloading it sends nothing twice. `done` and `no` say what happened, `new` to whom.

    A header carries ASCII only, so whatever else stands in the path is percent-coded; what was coded already stays.
    """
    query = (f"?done={done}" + (f"&no={no}" if no else "") + (f"&new={new}" if new else "")) if done else ""
    return Response(b"", status_code=303, headers={"Location": quote(path, safe=_PATH_SAFE) + query})


def _done(request: AnyRequest) -> str:
    text = DONE.get(request.query_params.get("done", ""), "")
    number = request.query_params.get("no", "")
    return text.format(no=number if number.isdecimal() else "") if text else ""


def moment(tenant_now: dt.datetime) -> dt.date:
    """Today's business day in Japan."""
    return tenant_now.astimezone(JST).date()
