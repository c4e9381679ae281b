"""入口: who is calling, may they, and did the request come from our own page. Runs before any handler reads anything.

Every route declares `right`, `purpose` and `action`; one without them does not start (a guard test holds that too).
Whatever is turned away here leaves a row in the log of the municipality it was aimed at.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from litestar.connection import ASGIConnection
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import BaseRouteHandler

from juki import audit
from juki.access import Caller
from juki.access.model import NotSignedIn
from juki.config import Config
from juki.problem import Invalid, JukiError, NotFound, Refused
from juki.tenancy import Fleet
from juki.web import entrance
from juki.web.limits import Limits, as_mapping, check_json
from juki.web.problems import AnyRequest

PUBLIC: Final = "public"
SELF: Final = "self"  # the caller's own account: any log-in will do
ASKED: Final = "asked"  # the clerk states the purpose, once per case
PURPOSE_COOKIE: Final = "juki-purpose"
PURPOSE_HEADER: Final = "juki-purpose"
_UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ENTER: Final = "access.enter"


def route(action: str, right: str, purpose: str = ASKED) -> dict[str, Any]:
    """`opt` of a route: the name in the log, the right it needs, and why it is used (or `asked`)."""
    return {"action": action, "right": right, "purpose": purpose}


def public(reason: str) -> dict[str, Any]:
    """`opt` of a route that nobody logs in for; the reason stands in the list of exemptions."""
    return {PUBLIC: reason}


async def admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar guard over the whole application."""
    request = cast("AnyRequest", connection)
    limits: Limits = request.app.state.limits
    if request.method == "OPTIONS":
        raise MethodNotAllowedException  # no other site has any business here, so nothing is said to a preflight
    if PUBLIC in handler.opt:
        if request.method in _UNSAFE and _is_page(request):
            await _read_page_form(request, limits)
            check_origin(request)
        return
    try:
        caller = await _identify(request, str(handler.opt["action"]))
    except NotSignedIn:
        await _keep_form(request, limits)
        raise
    request.scope["user"] = caller
    await _keep_to_api(request, caller, str(handler.opt["action"]))
    if caller.actor_kind == "operator" and _is_page(request):
        names: entrance.Names = request.app.state.names
        request.state.clerk = await names.of(request.app.state.fleet, caller)
        tenant = await request.app.state.fleet.tenant(caller.tenant)
        request.state.town = f"{tenant.prefecture}{tenant.name}"
    await _check_right(request, caller, handler.opt)
    if request.method in _UNSAFE:
        await _check_unsafe(request, caller, str(handler.opt["action"]), limits)


async def provide_caller(request: AnyRequest) -> Caller:
    """The caller that `admit` found."""
    return cast("Caller", request.scope["user"])


async def provide_fleet(request: AnyRequest) -> Fleet:
    """The runtime of this process."""
    return cast("Fleet", request.app.state.fleet)


async def provide_purpose(request: AnyRequest) -> str:
    """目的: what the route says, or what the clerk stated; Invalid `web.purpose_missing` where neither does."""
    declared = str(request.route_handler.opt.get("purpose", ASKED))
    stated = purpose_of(request) if declared == ASKED else declared
    if not stated:
        raise Invalid("web.purpose_missing", fields={"purpose": "web.purpose_missing"})
    return stated


def purpose_of(request: AnyRequest) -> str:
    """The purpose stated for this case: a code, never a name or number."""
    given = request.headers.get(PURPOSE_HEADER) or request.cookies.get(PURPOSE_COOKIE, "")
    return given if given.isascii() and given.replace("_", "").isalnum() and len(given) <= 40 else ""


def form_token(request: AnyRequest) -> str:
    """Per-session token of our own forms: only whoever holds the session cookie's page knows it."""
    return token_of(request.cookies.get(entrance.session_cookie(_config(request)), ""))


def token_of(secret: str) -> str:
    """The form token that belongs to a session's secret; none without a session."""
    return hmac.new(secret.encode(), b"juki form", hashlib.sha256).hexdigest() if secret else ""


def form_of(request: AnyRequest) -> Mapping[str, Sequence[str]]:
    """The fields of the page's form, read and checked by `admit`."""
    return cast("Mapping[str, Sequence[str]]", request.state.form)


def check_origin(request: AnyRequest) -> None:
    """Refused `web.forged` unless the browser says that our own page sent this.

    Our pages send no referrer, and a browser then writes `Origin: null`; so Sec-Fetch-Site, which no page can set, counts
    first, and Origin alone must be ours where a browser sends no Sec-Fetch-Site.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = _config(request).origin or f"{request.url.scheme}://{request.headers.get('host', '')}"
    if site is None and origin != ours:
        raise Refused("web.forged", "no word of the browser that our page sent this")
    if site is not None and (site != "same-origin" or origin not in (None, "null", ours)):
        raise Refused("web.forged", "sent by another site")


async def _identify(request: AnyRequest, action: str) -> Caller:
    """The caller of this path's municipality; another municipality's caller learns only that there is nothing."""
    fleet: Fleet = request.app.state.fleet
    code = str(request.path_params.get("code", ""))
    try:
        caller = await entrance.caller_of(request, fleet)
    except NotSignedIn as error:
        request.state.turned_away = error.code
        raise
    if caller is None:
        raise NotSignedIn("access.not_signed_in", "no token")
    if caller.tenant != code:
        await _turn_away(fleet, code, caller, action, "tenant.foreign")
        await _turn_away(fleet, caller.tenant, caller, action, "tenant.foreign")
        raise NotFound
    return caller


async def _keep_to_api(request: AnyRequest, caller: Caller, action: str) -> None:
    """Pages are for staff: what a machine is answered leaves the building, and only its own routes write that down."""
    if caller.actor_kind == "machine" and _is_page(request):
        await _turn_away(request.app.state.fleet, caller.tenant, caller, action, "access.right_missing")
        raise Refused("access.right_missing", "a machine asks through its API")


async def _check_right(request: AnyRequest, caller: Caller, opt: Mapping[str, Any]) -> None:
    right = str(opt["right"])
    action = str(opt["action"])
    if caller.password_due and right != SELF:
        await _turn_away(request.app.state.fleet, caller.tenant, caller, action, "access.password_due")
        raise Refused("access.password_due", "the password must be changed first")
    if right == SELF or any(caller.may(one) for one in right.split("|")):
        return
    await _turn_away(request.app.state.fleet, caller.tenant, caller, action, "access.right_missing")
    raise Refused("access.right_missing", "the duty does not carry this right")


async def _check_unsafe(request: AnyRequest, caller: Caller, action: str, limits: Limits) -> None:
    """A machine shows its token each time; a browser must prove that our page is asking, and its body stays small."""
    try:
        if caller.actor_kind == "operator":
            check_origin(request)
        if _is_page(request):
            form = await _read_page_form(request, limits)
            given = (form.get("form_token") or [""])[0]
            if not hmac.compare_digest(given.encode(), form_token(request).encode()):  # as text it takes ASCII only
                raise Refused("web.forged", "the form's token is not this session's")
        else:
            check_json(await request.body(), limits)
    except Refused as error:
        await _turn_away(request.app.state.fleet, caller.tenant, caller, action, error.code)
        raise


async def _keep_form(request: AnyRequest, limits: Limits) -> None:
    """What our own page sent after its session had ended, so that whoever typed it can log in and go on."""
    if request.method in _UNSAFE and _is_page(request):
        with suppress(JukiError):
            check_origin(request)
            await _read_page_form(request, limits)


async def _read_page_form(request: AnyRequest, limits: Limits) -> Mapping[str, Sequence[str]]:
    kind, _ = request.content_type
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise Invalid("status.415", "pages send plain forms")
    try:
        pairs = parse_qsl(
            (await request.body()).decode(), keep_blank_values=True, max_num_fields=limits.form_fields + 1
        )
    except ValueError:
        raise Invalid("status.400", "not a form") from None
    form = as_mapping(pairs, limits)
    request.state.form = form
    return form


async def _turn_away(fleet: Fleet, code: str, caller: Caller | None, action: str, reason: str) -> None:
    """A row where the addressed municipality exists; an address that nobody has leaves no row anywhere."""
    with suppress(JukiError):
        await audit.refused(fleet, code, caller, action or _ENTER, reason)


def _is_page(request: AnyRequest) -> bool:
    path = request.url.path
    return "/api/" not in path and "/oauth/" not in path


def _config(request: AnyRequest) -> Config:
    return cast("Fleet", request.app.state.fleet).config
