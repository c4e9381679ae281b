"""証明書の口: JSON routes for preparing, previewing, issuing and looking up. Decodes, calls, encodes; nothing else."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import Body, Parameter

from juki import certificates
from juki.access import Caller
from juki.audit import operation
from juki.certificates.model import Application, Disposal, Issued, IssueEntry, Prepared, Purpose, Verdict, purposes
from juki.tenancy import Fleet
from juki.web import route

_ROOT: Final = "/{code:str}/api/v1/certificates"
_RIGHT: Final = "certificate.issue"
_ATENA: Final = Parameter(pattern=r"^[0-9]{1,15}$", description="宛名番号")


class Ticket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """交付の指示: the token of a prepared application; sending it twice gives the same paper."""

    token: Annotated[str, msgspec.Meta(min_length=16, max_length=64)]


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """発行番号, as printed but without its page."""

    number: Annotated[str, msgspec.Meta(min_length=8, max_length=120)]


class Spoiled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """書損・誤交付."""

    issue_no: Annotated[int, msgspec.Meta(ge=1)]
    reason: Disposal


class IssuedView(msgspec.Struct, frozen=True, kw_only=True):
    """交付済み: numbers and the PDF (base64)."""

    issue_no: str
    labels: tuple[str, ...]
    issue_nos: tuple[int, ...]
    copies: int
    pages: int
    fee_yen: int
    issued_at: dt.datetime
    repeated: bool
    pdf: bytes


def _view(issued: Issued) -> IssuedView:
    names = [name for name in IssuedView.__struct_fields__ if name != "issue_no"]
    return IssuedView(issue_no=issued.issue_no, **{name: getattr(issued, name) for name in names})


@get(f"{_ROOT}/purposes", opt=route("certificate.purposes", _RIGHT, "証明書の交付"))
async def list_purposes() -> list[Purpose]:
    """請求の目的 with the least items of each."""
    return list(purposes().values())


@post(f"{_ROOT}/check", opt=route("certificate.check", _RIGHT), status_code=200)
async def check(data: Application, caller: Caller, fleet: Fleet, purpose: str) -> Verdict:
    """可否の確認: refusal, warnings and the fields that are wrong, without keeping anything."""
    async with operation(fleet, caller, "certificate.check", purpose=purpose, right=_RIGHT, write=False) as op:
        return await certificates.check(op, data)


@post(f"{_ROOT}/prepare", opt=route("certificate.prepare", _RIGHT))
async def prepare(data: Application, caller: Caller, fleet: Fleet, purpose: str) -> Prepared:
    """交付準備: a token that can be issued once, for half an hour, by the same clerk at the same terminal."""
    async with operation(fleet, caller, "certificate.prepare", purpose=purpose, right=_RIGHT) as op:
        return await certificates.prepare(op, data)


@post(f"{_ROOT}/preview", opt=route("certificate.preview", _RIGHT), status_code=200, media_type="application/pdf")
async def preview(data: Application, caller: Caller, fleet: Fleet, purpose: str) -> Response[bytes]:
    """確認用の印刷イメージ: the page without number and seal."""
    async with operation(fleet, caller, "certificate.preview", purpose=purpose, right=_RIGHT, write=False) as op:
        pdf = await certificates.preview(op, data)
    return Response(pdf, media_type="application/pdf", headers={"Cache-Control": "no-store"})


@post(f"{_ROOT}/issue", opt=route("certificate.issue", _RIGHT))
async def issue(data: Annotated[Ticket, Body()], caller: Caller, fleet: Fleet, purpose: str) -> IssuedView:
    """交付: paper and number; the record of both is committed before the answer leaves."""
    async with operation(fleet, caller, "certificate.issue", purpose=purpose, right=_RIGHT) as op:
        issued = await certificates.issue(op, data.token)
    return _view(issued)


@post(f"{_ROOT}/fetch", opt=route("certificate.fetch", _RIGHT), status_code=200)
async def fetch(data: Number, caller: Caller, fleet: Fleet, purpose: str) -> IssuedView:
    """再取得: the paper of a number whose answer was lost."""
    async with operation(fleet, caller, "certificate.fetch", purpose=purpose, right=_RIGHT, write=False) as op:
        issued = await certificates.fetch_again(op, data.number)
    return _view(issued)


@post(f"{_ROOT}/hand-over", opt=route("certificate.hand_over", _RIGHT), status_code=204)
async def hand_over(data: Number, caller: Caller, fleet: Fleet, purpose: str) -> None:
    """交付済み: the file that waited is forgotten."""
    async with operation(fleet, caller, "certificate.hand_over", purpose=purpose, right=_RIGHT) as op:
        await certificates.hand_over(op, data.number)


@post(f"{_ROOT}/dispose", opt=route("certificate.dispose", _RIGHT), status_code=204)
async def dispose(data: Spoiled, caller: Caller, fleet: Fleet, purpose: str) -> None:
    """書損・誤交付: the sheet set was destroyed."""
    async with operation(fleet, caller, "certificate.dispose", purpose=purpose, right=_RIGHT) as op:
        await certificates.dispose(op, data.issue_no, data.reason)


@get("/{code:str}/api/v1/residents/{atena_no:str}/certificates", opt=route("certificate.history", _RIGHT))
async def history(
    atena_no: Annotated[str, _ATENA], caller: Caller, fleet: Fleet, purpose: str
) -> tuple[IssueEntry, ...]:
    """交付履歴 of one resident, newest first."""
    async with operation(fleet, caller, "certificate.history", purpose=purpose, right=_RIGHT, write=False) as op:
        return await certificates.history(op, atena_no)


routes: Final[list[HTTPRouteHandler]] = [
    list_purposes,
    check,
    prepare,
    preview,
    issue,
    fetch,
    hand_over,
    dispose,
    history,
]
