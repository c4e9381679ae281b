"""合言葉: the cookies of a session and a terminal, the bearer token of a machine, and whose they are."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from litestar import Response

from juki import audit
from juki.access import Caller, accounts
from juki.config import Config
from juki.tenancy import Fleet
from juki.web.problems import AnyRequest

_BEARER: Final = "bearer "
_MAX_TOKEN: Final = 200
_TERMINAL_SECONDS: Final = 400 * 24 * 3600
_NAMES_MAX: Final = 5_000


def session_cookie(config: Config) -> str:
    """Name of the session cookie; the browser itself guards a `__Host-` one where the page is served over TLS."""
    return "__Host-juki" if config.cookie_secure else "juki"


def terminal_cookie(config: Config) -> str:
    """Name of the cookie that a terminal keeps from its enrolment on."""
    return "__Host-juki-terminal" if config.cookie_secure else "juki-terminal"


def put_session(response: Response[Any], config: Config, token: str) -> None:
    """Give the browser its session, for as long as the browser lives; an empty token takes it away."""
    _put(response, config, session_cookie(config), token, None if token else 0)


def put_terminal(response: Response[Any], config: Config, token: str) -> None:
    """Make this browser the enrolled terminal."""
    _put(response, config, terminal_cookie(config), token, _TERMINAL_SECONDS)


def terminal_token(request: AnyRequest, config: Config) -> str:
    """What this terminal was enrolled with, or nothing."""
    return request.cookies.get(terminal_cookie(config), "")[:_MAX_TOKEN]


async def caller_of(request: AnyRequest, fleet: Fleet) -> Caller | None:
    """Who calls, found in the municipality that their token names; None where there is no token at all.

    Raises NotSignedIn with a refused row in that municipality's log for a token that is forged, over, or presented from
    a terminal it was not given to.
    """
    given = request.headers.get("authorization", "")
    if given:
        token = given[len(_BEARER) :].strip() if given[: len(_BEARER)].lower() == _BEARER else ""
        return await audit.machine_caller(fleet, _home(request, token), token[:_MAX_TOKEN])
    token = request.cookies.get(session_cookie(fleet.config), "")[:_MAX_TOKEN]
    if not token:
        return None
    return await audit.resume(fleet, _home(request, token), token, terminal_token(request, fleet.config))


def _home(request: AnyRequest, token: str) -> str:
    """The municipality in front of the token's dot; a shapeless token is judged where the request is going."""
    head, dot, _ = token.partition(".")
    return head if dot and len(head) == 6 and head.isdecimal() else str(request.path_params.get("code", ""))


class Names:
    """Names of the clerks who are in, by session: read once a session, so that every page can show who works."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()

    async def of(self, fleet: Fleet, caller: Caller) -> str:
        """氏名 of the clerk behind a session; reading it is an operation like any other."""
        known = self._names.get(caller.session_id)
        if known is None:
            async with audit.operation(
                fleet, caller, "account.show", purpose="画面への操作者名の表示", write=False
            ) as op:
                known = (await accounts.find(op.work, caller.actor_id)).profile.name
            self.put(caller.session_id, known)
        return known

    def put(self, session_id: str, name: str) -> None:
        """Remember a name, the oldest are forgotten."""
        self._names[session_id] = name
        while len(self._names) > _NAMES_MAX:
            self._names.popitem(last=False)


def _put(response: Response[Any], config: Config, name: str, value: str, seconds: int | None) -> None:
    response.set_cookie(
        key=name,
        value=value,
        max_age=seconds,
        path="/",
        secure=config.cookie_secure,
        httponly=True,
        samesite="strict",
    )
