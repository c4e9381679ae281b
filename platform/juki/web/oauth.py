"""OAuth2 for systems: client credentials proved by `client_secret_jwt` (RFC 7523), and introspection (RFC 7662)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Response, post

from juki import audit
from juki.access import Caller
from juki.problem import Invalid, JukiError
from juki.tenancy import Fleet
from juki.web.admission import SELF, public, route
from juki.web.limits import Limits, Pace, as_mapping
from juki.web.problems import AnyRequest, problem_of

_OAUTH_ERRORS: Final = {401: "invalid_client", 422: "invalid_scope", 503: "temporarily_unavailable"}


@post(
    "/{code:str}/oauth/token",
    opt=public("the client proves itself in the body"),
    status_code=200,
    tags=["oauth"],
    security=[],
    summary="Issue an access token",
)
async def tokens(request: AnyRequest, code: str, fleet: Fleet) -> Response[dict[str, Any]]:
    """Grant `client_credentials`; answers and errors as RFC 6749 5.1 and 5.2."""
    form = await _form(request)
    pace: Pace = request.app.state.pace
    key = f"token {code} {request.client.host if request.client else ''}"
    pace.try_once(key)
    if form.get("grant_type") != "client_credentials":
        return _refusal(400, "unsupported_grant_type")
    here = f"{fleet.config.origin or str(request.base_url).rstrip('/')}/{code}/oauth/token"
    try:
        issued = await audit.machine_token(
            fleet,
            code,
            form.get("client_assertion_type", ""),
            form.get("client_assertion", ""),
            form.get("scope", ""),
            (here,),
        )
    except JukiError as error:
        status = problem_of(error).status
        return _refusal(401 if status in (401, 403, 404) else 400 if status == 422 else status, _word(status))
    pace.forget(key)
    body = {
        "access_token": issued.access_token,
        "token_type": issued.token_type,
        "expires_in": issued.expires_in,
        "scope": issued.scope,
    }
    return Response(body, headers={"Cache-Control": "no-store"})


@post(
    "/{code:str}/oauth/introspect",
    opt=route("machine.introspect", SELF, "連携"),
    status_code=200,
    tags=["oauth"],
    summary="Tell whether a token of the caller is live",
)
async def introspect(request: AnyRequest, fleet: Fleet, caller: Caller) -> Response[dict[str, Any]]:
    """Only for machines, and only about their own tokens."""
    form = await _form(request)
    answer = await audit.introspect(fleet, caller, form.get("token", "")[:200])
    return Response(answer, headers={"Cache-Control": "no-store"})


def _word(status: int) -> str:
    return _OAUTH_ERRORS.get(401 if status in (403, 404) else status, "invalid_request")


def _refusal(status: int, word: str) -> Response[dict[str, Any]]:
    return Response({"error": word}, status_code=status, headers={"Cache-Control": "no-store"})


async def _form(request: AnyRequest) -> dict[str, str]:
    limits: Limits = request.app.state.limits
    kind, _ = request.content_type
    if kind != "application/x-www-form-urlencoded":
        raise Invalid("status.415", "OAuth requests are forms")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise Invalid("status.400", "not a form") from None
    return {name: values[0] for name, values in as_mapping(pairs, limits).items()}
