"""操作者・端末・事務・権限 as values, and the rules that need no database."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from juki.personal import SealedGroup
from juki.problem import Invalid, Refused

JAPAN: Final = ZoneInfo("Asia/Tokyo")

RIGHTS: Final = frozenset(
    {
        "resident.search",
        "resident.read",
        "resident.my_number",
        "resident.code",
        "change.enter",
        "change.confirm",
        "certificate.issue",
        "protection.read",
        "protection.enter",
        "import.run",
        "import.review",
        "audit.read",
        "account.manage",
        "account.approve",
        "offboard.request",
        "offboard.approve",
        "system.check",
    }
)

_RESIDENT: Final = frozenset({"resident.search", "resident.read", "resident.my_number", "resident.code"})

FUNCTIONS: Final[dict[str, frozenset[str]]] = {
    "counter": _RESIDENT | {"change.enter", "certificate.issue", "protection.read"},
    "confirm": _RESIDENT | {"change.confirm", "protection.read"},
    "protection": frozenset({"resident.search", "resident.read", "protection.read", "protection.enter"}),
    "import": frozenset({"import.run", "import.review"}),
    "audit": frozenset({"audit.read"}),
    "admin": frozenset({"account.manage", "account.approve", "offboard.request", "offboard.approve", "system.check"}),
}
"""端末の機能: what a terminal registered for a function lets through (R-1-3.3-PRV-02)."""

SCOPE_RIGHTS: Final[dict[str, frozenset[str]]] = {
    "001:resident:Read": frozenset({"resident.search", "resident.read"}),
}
"""What a machine's scope lets it do; 001 is the number of the resident-registry duty."""

ActorKind: TypeAlias = Literal["operator", "machine", "system"]
Employment: TypeAlias = Literal["official", "contractor"]

SEALED: Final = (
    ("operator", "profile", "operator_id", "row_version", "profile_sealed"),
    ("credential", "secret", "operator_id", "row_version", "secret_sealed"),
    ("machine_client", "secret", "client_id", "row_version", "secret_sealed"),
    ("staff_page", "page", "page_no", "1", "given_sealed"),
)
"""Sealed columns for re-keying: table, group, column of the row key, column of the row version, sealed column."""


class NotSignedIn(Refused):
    """No session, no token, or one that has ended: the way on is to sign in again."""

    status = 401
    code = "access.not_signed_in"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """呼出し元: who asks, from which terminal and with which rights; made by a session, a machine token or a system job."""

    tenant: str
    actor_id: str
    actor_kind: ActorKind = "operator"
    terminal_id: str = ""
    rights: frozenset[str] = frozenset()
    office: str = ""
    duty: str = ""
    session_id: str = ""
    contract: str = ""
    password_due: bool = False

    def may(self, right: str) -> bool:
        """True where the caller holds the right here and now."""
        return right in self.rights


class Duty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """事務: one row of the duty table."""

    about: str
    rights: frozenset[str]
    departments: tuple[str, ...] = ()


class Profile(SealedGroup, frozen=True, kw_only=True):
    """操作者の氏名と職員番号: staff are persons too."""

    name: str
    staff_no: str


class Secret(SealedGroup, frozen=True, kw_only=True):
    """Argon2id digest and one-time-code secret of one operator."""

    password_digest: str
    otp_secret: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of accounts and sessions; days, seconds, counts. The values are the floor of the assessment or stricter."""

    password_days: int = 182
    password_length_min: int = 12
    failures_max: int = 5
    lock_seconds: int = 900
    idle_seconds: int = 1800
    session_seconds: int = 36_000
    enrol_seconds: int = 86_400
    review_days: int = 182
    token_seconds: int = 600
    assertion_seconds_max: int = 120
    argon2_passes: int = 3
    argon2_memory_kib: int = 65_536


@lru_cache(maxsize=1)
def duties() -> dict[str, Duty]:
    """権限と事務の対応表, checked: a right nobody knows stops the start."""
    raw = tomllib.loads(resources.files("juki.access").joinpath("duties.toml").read_text(encoding="utf-8"))
    table = msgspec.convert(raw, dict[str, Duty])
    for name, duty in table.items():
        if unknown := duty.rights - RIGHTS:
            raise Invalid("access.duty_table", f"{name} names unknown rights: {', '.join(sorted(unknown))}")
    return table


def duty(name: str) -> Duty:
    """One row of the duty table; Invalid `access.duty_unknown`."""
    found = duties().get(name)
    if found is None:
        raise Invalid("access.duty_unknown", "no such duty", fields={"duty": "unknown"})
    return found


def rights_of(granted: Iterable[str], functions: Iterable[str]) -> frozenset[str]:
    """Rights of duties, as far as the terminal reaches (R-1-3.3-PRV-02); an unknown name of either gives nothing.

    Both are read from the database with each call; only what they add up to is remembered.
    """
    return _rights_of(tuple(granted), tuple(functions))


@lru_cache(maxsize=512)
def _rights_of(granted: tuple[str, ...], functions: tuple[str, ...]) -> frozenset[str]:
    table = duties()
    held = {right for name in granted if name in table for right in table[name].rights}
    reached = {right for name in functions for right in FUNCTIONS.get(name, ())}
    return frozenset(held & reached)


def check_department(name: str, department: str) -> None:
    """Refused `access.department` where the duty table does not list the department's kind (R-A-2.3-USE-01).

    A department counts by the end of its name: 小名浜支所市民課 is a 市民課.
    """
    listed = duty(name).departments
    if listed and not department.endswith(listed):
        raise Refused("access.department", "this department does not do that duty")


def is_open(now: dt.datetime, opens: str, closes: str, days: Iterable[int], holidays: Iterable[str]) -> bool:
    """True within working hours, in Japanese time; days are ISO weekdays, holidays `MM-DD` every year or `YYYY-MM-DD`."""
    local = now.astimezone(JAPAN)
    closed = set(holidays)
    if local.isoweekday() not in set(days) or local.strftime("%m-%d") in closed or local.date().isoformat() in closed:
        return False
    return opens <= local.strftime("%H:%M") < closes


def scope_rights(scopes: Iterable[str]) -> frozenset[str]:
    """Rights of a machine's scopes; an unknown scope gives nothing."""
    return frozenset(right for scope in scopes for right in SCOPE_RIGHTS.get(scope, ()))


def system(tenant: str, name: str, rights: Iterable[str] = ()) -> Caller:
    """A job of the platform itself, run by nobody in person: checkpoints, sweeps, first set-up."""
    return Caller(tenant=tenant, actor_id=f"system:{name}", actor_kind="system", rights=frozenset(rights))


def visitor(tenant: str, terminal_id: str = "") -> Caller:
    """Somebody who has not logged in yet: holds no right at all."""
    return Caller(tenant=tenant, actor_id="visitor", terminal_id=terminal_id)
