"""One table from every failure to its public answer: RFC 9457 problem+json for programs, a Japanese page for people."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from juki.problem import Invalid, JukiError
from juki.texts import text_of

log: Final = logging.getLogger("juki.web")
AnyRequest: TypeAlias = Request[Any, Any, State]
PageMaker: TypeAlias = Callable[[AnyRequest, "Problem"], Response[Any]]
RETRY_SECONDS: Final = 5


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details. `detail` is the Japanese sentence; `fields` names each wrong field and its rule's code."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    fields: Mapping[str, str] = {}


def problem_of(error: Exception) -> Problem:
    """The public face of a failure. What the code does not say, the answer does not say either."""
    if isinstance(error, JukiError):
        fields = error.fields if isinstance(error, Invalid) else {}
        return _problem(error.status, error.code, fields, error.facts)
    if isinstance(error, HTTPException):
        return _problem(error.status_code, _http_code(error), _field_codes(error))
    return _problem(500, JukiError.code, {})


def error_handlers(page: PageMaker) -> dict[int | type[Exception], Callable[[AnyRequest, Exception], Response[Any]]]:
    """Handlers for a Litestar app: HTML through `page` where a person is waiting, problem+json elsewhere."""

    def answer(request: AnyRequest, error: Exception) -> Response[Any]:
        problem = problem_of(error)
        if problem.status >= 500:
            _note(error, problem)
        if _wants_page(request):
            return page(request, problem)
        return json_answer(problem)

    return {HTTPException: answer, Exception: answer}


def json_answer(problem: Problem) -> Response[Any]:
    """The problem as `application/problem+json`, with Retry-After where a retry is safe."""
    headers = {"Cache-Control": "no-store"}
    if problem.status in {429, 503}:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


def _problem(
    status: int, code: str, fields: Mapping[str, str], facts: Mapping[str, str | int] | None = None
) -> Problem:
    return Problem(
        type=f"urn:juki:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=text_of(code, status, facts),
        fields=dict(fields),
    )


def _http_code(error: HTTPException) -> str:
    return {400: "invalid", 401: "access.not_signed_in", 404: "not_found", 413: "web.too_large"}.get(
        error.status_code, f"status.{error.status_code}"
    )


def _field_codes(error: HTTPException) -> dict[str, str]:
    """Names of the fields the framework refused; never its sentences, which may quote the value."""
    if error.status_code != 400 or not isinstance(error.extra, list):
        return {}
    entries = cast("list[dict[str, Any]]", error.extra)
    return {str(entry.get("key") or "body"): "invalid.shape" for entry in entries[:50]}


def _wants_page(request: AnyRequest) -> bool:
    path = request.url.path
    return "/api/" not in path and "/oauth/" not in path and "text/html" in request.headers.get("accept", "")


def _note(error: Exception, problem: Problem) -> None:
    """Where it happened and of what kind; the message stays out, for a defect's message may quote a resident."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    log.error("%s %s at %s", problem.code, type(error).__name__, " < ".join(reversed(frames[-4:])))
