"""ID管理: register, suspend, reset, change the password, personnel events, periodic review."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import unicodedata
from typing import Final

import msgspec

from juki.access import credentials, grant_store, grants, session_store, sessions, store
from juki.access.model import Employment, Profile, Secret
from juki.access.store import OperatorRow
from juki.access.work import Work
from juki.problem import Conflict, Invalid, NotFound, Refused

_SHARED_WORDS: Final = ("共用", "共通", "共有", "窓口", "担当", "shared", "common", "guest", "test user")
_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{2,31}")
_STATES: Final = ("active", "suspended")


class NewOperator(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """登録する操作者: one named person; `office` is a department code of the municipality's settings."""

    login: str
    name: str
    staff_no: str
    office: str
    employment: Employment = "official"
    contract_no: str = ""
    pledged_on: dt.date | None = None
    valid_until: dt.date | None = None


class FirstSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """What is handed to a person once; only its digest and its sealed form stay here."""

    operator_id: str
    login: str
    password: str
    otp_secret: str

    def __repr__(self) -> str:
        return f"<FirstSecrets of {self.operator_id} withheld>"


class ReviewLine(msgspec.Struct, frozen=True, kw_only=True):
    """定期点検の一行: an account with what it may do and when it was last decided upon."""

    operator_id: str
    login_name: str
    name: str
    office: str
    state: str
    duties: tuple[str, ...]
    rights: tuple[str, ...]
    last_decided_at: dt.datetime | None
    overdue: bool


async def register(work: Work, new: NewOperator, *, must_change: bool = True) -> FirstSecrets:
    """Open an account for one named person and draw its first secrets.

    Invalid `access.operator` for a name that is nobody's (R-1-3.3-AUT-02), Conflict `access.person_has_account` where
    the person has one (R-A-3.3-AUT-01), Refused `access.pledge_missing` for a contractor without pledge (R-23-3.3-USE-03).
    """
    _check_person(work, new)
    await store.lock_accounts(work.session)
    for known in await store.operators(work.session, work.ring):
        if known.login_name == new.login:
            raise Conflict("access.login_taken", "this log-in name is in use")
        if _staff_key(known.profile.staff_no) == _staff_key(new.staff_no) and known.state != "ended":
            raise Conflict("access.person_has_account", "one person has one account", operator=known.operator_id)
    operator_id = f"op-{secrets.token_hex(5)}"
    row = OperatorRow(
        operator_id=operator_id,
        login_name=new.login,
        employment=new.employment,
        contract_no=new.contract_no,
        office=new.office,
        state="active",
        valid_from=work.today,
        valid_until=new.valid_until,
        pledged_on=new.pledged_on,
        rule_accepted_on=None,
        registered_at=work.now,
        registered_by=work.by.actor_id,
        row_version=1,
        profile=Profile(name=new.name, staff_no=new.staff_no),
    )
    await store.add_operator(work.session, work.ring, row)
    handed, secret = await _drawn(work, operator_id, new.login)
    await store.add_credential(work.session, work.ring, operator_id, work.now, secret, must_change=must_change)
    await store.add_account_event(work.session, operator_id, "registered", work.now, work.by.actor_id)
    return handed


def _staff_key(staff_no: str) -> str:
    """職員番号 as compared: written in full width, with spaces or hyphens it is still the same person's."""
    return "".join(c for c in unicodedata.normalize("NFKC", staff_no).casefold() if c.isalnum())


async def _drawn(work: Work, operator_id: str, login: str) -> tuple[FirstSecrets, Secret]:
    """First secrets: as a person is handed them, and as they are kept."""
    password, otp_secret = credentials.new_password(), credentials.new_otp_secret()
    handed = FirstSecrets(operator_id=operator_id, login=login, password=password, otp_secret=otp_secret)
    kept = Secret(password_digest=await credentials.hash_password(password, work.policy), otp_secret=otp_secret)
    return handed, kept


def _check_person(work: Work, new: NewOperator) -> None:
    faults: dict[str, str] = {}
    name = new.name.strip()
    if len(name) < 2 or any(word in name.lower() for word in _SHARED_WORDS):
        faults["name"] = "one_named_person"
    if not _staff_key(new.staff_no):
        faults["staff_no"] = "required"
    if new.office not in {d.code for d in work.session.tenant.settings.departments}:
        faults["office"] = "unknown_department"
    if _LOGIN.fullmatch(new.login) is None or new.login.startswith("op-"):  # so begins an id, by which one is found too
        faults["login"] = "lower_case_ascii_3_to_32"
    if new.employment == "contractor" and not new.contract_no:
        faults["contract_no"] = "required"
    if faults:
        raise Invalid("access.operator", "the registration is not complete", fields=faults)
    if new.employment == "contractor" and new.pledged_on is None:
        raise Refused("access.pledge_missing", "a contractor's account opens after the written pledge")


async def find(work: Work, key: str) -> OperatorRow:
    """An account by id or log-in name; NotFound `access.operator_unknown`."""
    found = await store.operator_by(work.session, work.ring, key)
    if found is None:
        raise NotFound("access.operator_unknown", "no such account")
    return found


async def suspend(work: Work, operator_id: str, reason: str) -> None:
    """停止: at once; the open session ends."""
    account = await find(work, operator_id)
    await store.set_operator_state(work.session, account.operator_id, "suspended", None)
    await sessions.end_all(work, account.operator_id, "suspended")
    await store.add_account_event(
        work.session, account.operator_id, "suspended", work.now, work.by.actor_id, reason[:100]
    )


async def reopen(work: Work, operator_id: str) -> None:
    """停止解除; Refused `access.account_ended` for an account whose person has left."""
    account = await find(work, operator_id)
    if account.state not in _STATES:
        raise Refused("access.account_ended", "an ended account is not opened again")
    _forbid_self(work, account.operator_id)
    await store.set_operator_state(work.session, account.operator_id, "active", None)
    await store.add_account_event(work.session, account.operator_id, "reopened", work.now, work.by.actor_id)


async def personnel_event(work: Work, operator_id: str, kind: str, effective_on: dt.date) -> None:
    """退職・異動: every right ends on the day, with a line in the ledger each; sessions end (R-23-3.3-PRV-03, 04).

    `kind` is `retired` or `transferred`. A day to come is kept as the end of the account and of its grants' validity.
    """
    if kind not in ("retired", "transferred"):
        raise Invalid("access.personnel_event", "unknown kind", fields={"kind": "retired_or_transferred"})
    account = await find(work, operator_id)
    await grants.revoke_all(work, account.operator_id, kind, effective_on)
    if kind == "retired":
        # the account works until the day before; on the day itself every call is refused
        ended = "ended" if effective_on <= work.today else account.state
        await store.set_operator_state(work.session, account.operator_id, ended, effective_on - dt.timedelta(days=1))
    if effective_on <= work.today:
        await sessions.end_all(work, account.operator_id, kind)
    await store.add_account_event(work.session, account.operator_id, kind, work.now, work.by.actor_id)


async def reset(work: Work, operator_id: str) -> FirstSecrets:
    """再設定: new first secrets, to be changed at the next log-in; nobody resets the own account."""
    account = await find(work, operator_id)
    _forbid_self(work, account.operator_id)
    old = await store.credential(work.session, work.ring, account.operator_id)
    if old is None:
        raise NotFound("access.operator_unknown", "the account has no secrets")
    handed, secret = await _drawn(work, account.operator_id, account.login_name)
    await store.change_credential(work.session, work.ring, old, work.now, secret, must_change=True)
    await sessions.end_all(work, account.operator_id, "reset")
    await store.add_account_event(work.session, account.operator_id, "reset", work.now, work.by.actor_id)
    return handed


async def prove_password(work: Work, password: str) -> Refused | None:
    """The refusal where this is not the acting person's password, counted as at a log-in; it must be committed.

    Whoever sits at an unlocked desk guesses no more often than whoever stands at the log-in; the last wrong guess ends
    the session.
    """
    held = await store.credential(work.session, work.ring, work.by.actor_id)
    if held is None or sessions.is_locked(work, held):
        return Refused("access.locked", "the account is locked for a time")
    if await credentials.verify_password(password, held.secret.password_digest, work.policy):
        return None
    if await sessions.count_failure(work, held):
        await sessions.end_all(work, held.operator_id, "locked")
    return Refused("access.login_failed", "the present password is wrong")


async def change_password(work: Work, old_password: str, new_password: str) -> None:
    """パスワード変更 of the acting person; the half-year term starts anew (R-1-3.3-AUT-04).

    Refused `access.login_failed` for a wrong old one, Invalid `access.password_weak`, `access.password_same`.
    """
    account = await find(work, work.by.actor_id)
    held = await store.credential(work.session, work.ring, account.operator_id)
    if held is None or not await credentials.verify_password(old_password, held.secret.password_digest, work.policy):
        raise Refused("access.login_failed", "the present password is wrong")
    credentials.check_new_password(new_password, account.login_name, account.profile.staff_no, work.policy)
    if await credentials.verify_password(new_password, held.secret.password_digest, work.policy):
        raise Invalid("access.password_same", "the new password is the old one", fields={"password": "same"})
    secret = Secret(
        password_digest=await credentials.hash_password(new_password, work.policy), otp_secret=held.secret.otp_secret
    )
    await store.change_credential(work.session, work.ring, held, work.now, secret, must_change=False)
    await sessions.lift_password_due(work, account.operator_id)
    await store.add_account_event(work.session, account.operator_id, "password_changed", work.now, work.by.actor_id)


async def log_ins(work: Work) -> list[tuple[dt.datetime, str, str]]:
    """自分のログインの記録 of the acting person, newest first: when, where, and why not (empty where it opened)."""
    return await session_store.log_ins(work.session, work.by.actor_id)


async def change_otp(work: Work, password: str, otp_secret: str, otp: str) -> None:
    """ワンタイムコードの登録し直し by the acting person: the present password, and a code of the new secret as proof.

    Refused `access.login_failed` for a wrong password, Invalid `access.otp_not_proved` for a wrong code.
    """
    account = await find(work, work.by.actor_id)
    held = await store.credential(work.session, work.ring, account.operator_id)
    if held is None or not await credentials.verify_password(password, held.secret.password_digest, work.policy):
        raise Refused("access.login_failed", "the present password is wrong")
    step = credentials.matching_step(otp_secret, otp, work.now, 0) if credentials.is_otp_secret(otp_secret) else None
    if step is None:
        raise Invalid("access.otp_not_proved", "the code is not one of the new secret", fields={"otp": "wrong"})
    secret = Secret(password_digest=held.secret.password_digest, otp_secret=otp_secret)
    await store.change_credential(work.session, work.ring, held, held.changed_at, secret, must_change=held.must_change)
    await store.note_success(work.session, account.operator_id, step)
    await store.add_account_event(work.session, account.operator_id, "otp_changed", work.now, work.by.actor_id)


async def review(work: Work) -> list[ReviewLine]:
    """定期点検の一覧: every account that is not ended, the overdue ones first (R-1-3.3-PRV-05)."""
    decided = await grant_store.last_reviews(work.session)
    held: dict[str, list[grant_store.GrantRow]] = {}
    for grant in await grant_store.grants(work.session):
        held.setdefault(grant.operator_id, []).append(grant)
    term = dt.timedelta(days=work.policy.review_days)
    lines: list[ReviewLine] = []
    for account in await store.operators(work.session, work.ring):
        if account.state == "ended":
            continue
        duties = grants.in_force(held.get(account.operator_id, []), work.today)
        last = decided.get(account.operator_id)
        lines.append(
            ReviewLine(
                operator_id=account.operator_id,
                login_name=account.login_name,
                name=account.profile.name,
                office=account.office,
                state=account.state,
                duties=duties,
                rights=tuple(sorted(grants.rights(duties))),
                last_decided_at=last,
                overdue=(last or account.registered_at) + term < work.now,
            )
        )
    return sorted(lines, key=lambda line: (not line.overdue, line.login_name))


async def decide_review(work: Work, operator_id: str, decision: str) -> None:
    """点検の判断: keep, change or end; nobody decides on the own account, and `end` closes it."""
    account = await find(work, operator_id)
    _forbid_self(work, account.operator_id)
    if decision not in ("keep", "change", "end"):
        raise Invalid("access.review", "unknown decision", fields={"decision": "keep_change_end"})
    await grant_store.add_review(work.session, account.operator_id, decision, work.by.actor_id, work.now)
    if decision == "end":
        await grants.revoke_all(work, account.operator_id, "review", work.today)
        await store.set_operator_state(work.session, account.operator_id, "ended", work.today - dt.timedelta(days=1))
        await sessions.end_all(work, account.operator_id, "review")
    await store.add_account_event(work.session, account.operator_id, "reviewed", work.now, work.by.actor_id, decision)


def _forbid_self(work: Work, operator_id: str) -> None:
    if work.by.actor_id == operator_id:
        raise Refused("access.own_account", "nobody decides on the own account")
