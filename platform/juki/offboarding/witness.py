"""立会い: verification and validation by named persons whose accounts end with the municipality.

Each is appointed while the accounts still live, and receives a code that is shown once. After the erasure the code says
who they are; name and title stand in the paper they sign and nowhere in the database.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import tomllib
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from juki.audit import Operation
from juki.config import Config
from juki.offboarding import store
from juki.offboarding.ask import APPROVE_RIGHT, REQUEST_RIGHT
from juki.offboarding.leave import case_folder
from juki.offboarding.model import Case, CaseState, Finding, Person
from juki.personal import Personal
from juki.problem import Conflict, Invalid, NotFound, Refused

Duty: TypeAlias = Literal["performed", "verified", "validated"]

RIGHTS: Final[dict[Duty, frozenset[str]]] = {
    "performed": frozenset({REQUEST_RIGHT}),
    "verified": frozenset({REQUEST_RIGHT, "audit.read", "system.check", "import.review"}),
    "validated": frozenset({APPROVE_RIGHT}),
}
"""Which rights let a person take a duty; any one of them is enough."""

_KINDS: Final[dict[Duty, str]] = {"verified": "verification", "validated": "validation"}
_STATES: Final[dict[Duty, tuple[CaseState, CaseState]]] = {
    "verified": (CaseState.ERASED, CaseState.VERIFIED),
    "validated": (CaseState.VERIFIED, CaseState.VALIDATED),
}


class Signatory(Personal, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signs a paper, as appendix C asks; handed in as a file, never on a command line."""

    name: str
    title: str
    organisation: str
    place: str
    contact: str
    code: str = ""  # of the appointment; whoever performs has logged in and needs none


def read_signatory(path: Path) -> Signatory:
    """A person's file (TOML). Invalid `offboarding.person_file`."""
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Signatory)
    except OSError:
        raise Invalid("offboarding.person_file", "the person's file cannot be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError):
        raise Invalid(
            "offboarding.person_file",
            "the person's file must hold name, title, organisation, place, contact and the code of the appointment",
        ) from None


async def appoint(op: Operation, config: Config, duty: Duty) -> str:
    """立会人の指名: the acting person takes a duty of the case; the code that proves it later, shown once.

    Refused `access.right_missing`; Conflict `offboarding.duty_taken` where the duty or the person is taken already.
    """
    if not any(op.caller.may(right) for right in RIGHTS[duty]):
        raise Refused("access.right_missing", "the duty does not carry this right")
    code = secrets.token_urlsafe(16)
    await asyncio.to_thread(_appoint, config, op.tenant.code, duty, op.caller.actor_id, code, op.now)
    op.fact(duty=duty)
    return code


def _appoint(config: Config, tenant: str, duty: str, account: str, code: str, now: dt.datetime) -> None:
    with store.control(config) as connection:
        case = store.case_of(connection, tenant)
        store.appoint(connection, case.case_no, duty, account, code, now)


def sign(
    config: Config,
    code: str,
    duty: Duty,
    signatory: Signatory,
    *,
    accepted: bool,
    remarks: str,
    checks: dict[str, str],
    now: dt.datetime,
) -> Finding:
    """検証 or 確認 written down by its person; a finding that does not accept sends the case back to the erasure.

    Refused `offboarding.not_this_person` for a wrong code; Conflict `offboarding.wrong_state` out of turn.
    """
    with store.control(config) as connection:
        case = store.case_of(connection, code)
        needed, after = _STATES[duty]
        if case.state is not needed:
            raise Conflict(
                "offboarding.wrong_state", f"{duty} follows {needed}, the case is {case.state}", state=str(case.state)
            )
        account = store.witness_by_code(connection, case.case_no, duty, signatory.code)
        if account is None:
            raise Refused("offboarding.not_this_person", "this code does not carry this duty")
        finding = Finding(
            case_no=case.case_no, kind=_KINDS[duty], accepted=accepted, remarks=remarks, checks=checks,
            person=person_of(signatory, duty, account, now),
        )  # fmt: skip
        content = msgspec.json.format(msgspec.json.encode(finding))
        _write(finding_path(config, case, duty), content)
        store.add_paper(connection, case.case_no, finding.kind, content, accepted=accepted, account=account, now=now)
        store.move(connection, case, after if accepted else CaseState.REJECTED)
        return finding


def person_of(signatory: Signatory, duty: Duty, account: str, now: dt.datetime) -> Person:
    """The person as the certificate names them."""
    return Person(
        duty=duty, account=account, name=signatory.name, title=signatory.title, organisation=signatory.organisation,
        place=signatory.place, contact=signatory.contact, on=now,
    )  # fmt: skip


def note_performer(config: Config, case: Case, signatory: Signatory, account: str, now: dt.datetime) -> None:
    """実施者: who started the erasure, kept beside the case for the certificate."""
    content = msgspec.json.format(msgspec.json.encode(person_of(signatory, "performed", account, now)))
    _write(case_folder(config, case) / "performed.json", content)
    with store.control(config) as connection:
        store.add_paper(connection, case.case_no, "performance", content, accepted=True, account=account, now=now)


def read_performer(config: Config, case: Case) -> Person:
    """Who started the erasure. NotFound `offboarding.paper_missing`, Conflict `offboarding.paper_changed`."""
    return msgspec.json.decode(_known(config, case, "performed", "performance"), type=Person)


def read_finding(config: Config, case: Case, duty: Duty) -> Finding:
    """A finding as it was signed. NotFound `offboarding.paper_missing`, Conflict `offboarding.paper_changed`."""
    return msgspec.json.decode(_known(config, case, duty, _KINDS[duty]), type=Finding)


def finding_path(config: Config, case: Case, duty: Duty) -> Path:
    """Where a person's paper is kept."""
    return case_folder(config, case) / f"{duty}.json"


def _known(config: Config, case: Case, duty: Duty, kind: str) -> bytes:
    try:
        content = finding_path(config, case, duty).read_bytes()
    except FileNotFoundError:
        raise NotFound("offboarding.paper_missing", f"the paper of whoever {duty} is not there") from None
    with store.control(config) as connection:
        if not store.is_known_paper(connection, case.case_no, kind, content):
            raise Conflict("offboarding.paper_changed", f"the paper of whoever {duty} is not the one that was signed")
    return content


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
