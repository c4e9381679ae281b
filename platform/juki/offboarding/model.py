"""利用終了: the case, its steps and the certificate of sanitisation as values; decides, touches nothing.

Source of the certificate's fields and of the conditions: NIST SP 800-88 Rev. 2 (2025-09), 3.2 cryptographic erase, 4.5
verification and validation, 4.6 and appendix C documentation. 団体の操作によらない消去はない (R-1-2.6-RET-04).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from juki.dates import JST
from juki.personal import Personal
from juki.problem import Conflict, Invalid, Refused


class CaseState(StrEnum):
    """状態 of a 利用終了 case, in the order of the road."""

    REQUESTED = "requested"  # 申出
    APPROVED = "approved"  # 承認
    LEAVING = "leaving"  # 書込み停止, export may run
    EXPORTED = "exported"  # 引渡し済み, grace period runs
    ERASING = "erasing"  # 消去中: from here there is no way back
    ERASED = "erased"  # 消去済み
    VERIFIED = "verified"  # 検証済み
    VALIDATED = "validated"  # 確認済み
    CERTIFIED = "certified"  # 証明書発行済み
    WITHDRAWN = "withdrawn"  # 取下げ
    REJECTED = "rejected"  # 検証又は確認で不合格, or undone after it


_NEXT: Final[dict[CaseState, frozenset[CaseState]]] = {
    CaseState.REQUESTED: frozenset({CaseState.APPROVED, CaseState.WITHDRAWN}),
    CaseState.APPROVED: frozenset({CaseState.LEAVING, CaseState.WITHDRAWN}),
    CaseState.LEAVING: frozenset({CaseState.EXPORTED, CaseState.WITHDRAWN}),
    CaseState.EXPORTED: frozenset({CaseState.EXPORTED, CaseState.ERASING, CaseState.WITHDRAWN}),
    CaseState.ERASING: frozenset({CaseState.ERASED}),
    CaseState.ERASED: frozenset({CaseState.VERIFIED, CaseState.REJECTED}),
    CaseState.REJECTED: frozenset({CaseState.ERASING}),
    CaseState.VERIFIED: frozenset({CaseState.VALIDATED, CaseState.REJECTED}),
    CaseState.VALIDATED: frozenset({CaseState.CERTIFIED, CaseState.REJECTED}),
    CaseState.CERTIFIED: frozenset({CaseState.CERTIFIED, CaseState.REJECTED}),
    CaseState.WITHDRAWN: frozenset(),
}


def advance(now_in: CaseState, to: CaseState) -> CaseState:
    """The next state; Conflict `offboarding.wrong_state` where the road does not go there."""
    if to not in _NEXT[now_in]:
        raise Conflict("offboarding.wrong_state", f"a case that is {now_in} cannot become {to}", state=str(now_in))
    return to


class Step(StrEnum):
    """消去の手順, in this order; each is written down before and after it is done."""

    INVENTORY = "inventory"  # what there is: objects, rows, keys, files, declared backups
    HANDOVER = "handover"  # signed checkpoints and the sealed log go to the municipality
    ROOTS = "roots"  # wrapped roots overwritten, then deleted
    CACHES = "caches"  # every process forgets, and says so
    KMS = "kms"  # key disabled, deletion scheduled
    SCHEMA = "schema"
    ROLES = "roles"
    QUEUES = "queues"  # rows about the tenant in the control schema
    FILES = "files"
    BACKUPS = "backups"  # declared until their expiry; nothing here can reach them
    TOMBSTONE = "tombstone"


ERASE_STEPS: Final = tuple(Step)


def remaining(done: Sequence[str]) -> tuple[Step, ...]:
    """The steps still to do, given those with a written result; a step begun and not finished is done again."""
    finished = set(done)
    return tuple(step for step in ERASE_STEPS if step not in finished)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """利用終了の案件. People appear by account id only; `public_key` is the municipality's, for the export."""

    case_no: int
    tenant_code: str
    state: CaseState
    requested_by: str
    requested_at: dt.datetime
    public_key: str
    approved_by: str = ""
    approved_at: dt.datetime | None = None
    exported_at: dt.datetime | None = None
    export_digest: str = ""
    erase_after: dt.datetime | None = None
    erased_by: str = ""
    erased_at: dt.datetime | None = None
    key_disabled_at: dt.datetime | None = None
    key_deletion_due: dt.datetime | None = None
    certificate_no: int = 0


def check_second_person(case_requested_by: str, approver: str) -> None:
    """承認は申出者以外. Refused `offboarding.same_person`."""
    if case_requested_by == approver:
        raise Refused("offboarding.same_person", "the person who asked for it may not approve it")


def check_grace(case: Case, now: dt.datetime) -> None:
    """猶予期間. Refused `offboarding.grace_running` until it has passed, Conflict where nothing was handed over."""
    if case.exported_at is None or case.erase_after is None or not case.export_digest:
        raise Conflict("offboarding.not_exported", "nothing is erased before the export was written and compared")
    if now < case.erase_after:
        raise Refused("offboarding.grace_running", f"erasing may begin at {case.erase_after.isoformat()}")


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """控え that lies outside this system's reach: declared with the day on which it expires."""

    name: str
    place: str
    expires_on: dt.date
    keys_included: bool = False  # a copy of unwrapped keys: then no cryptographic erase can be claimed


class ProcessAcknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One process that could have held keys: it said that it forgot them, or its session was found closed."""

    process_id: str
    started_at: dt.datetime
    outcome: str  # "acknowledged" | "session closed"
    at: dt.datetime | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen to happen; every condition is decided from these facts and nothing else."""

    key_store: str  # "local" | "aws"
    key_id: str
    key_state: str  # ENABLED DISABLED PENDING_DELETION DELETED
    key_disabled_at: dt.datetime | None = None
    key_deletion_due: dt.datetime | None = None
    key_deleted_seen_at: dt.datetime | None = None
    module_validation: str = ""  # reference of a FIPS 140 validation, as configured; empty: none
    root_bits: int = 256
    roots_destroyed: int = 0
    roots_left: int = 0
    acknowledgements: tuple[ProcessAcknowledgement, ...] = ()
    processes_silent: int = 0
    sealed_columns: int = 0
    plain_columns: int = 0
    relations_left: int = 0
    roles_left: int = 0
    control_rows_left: int = 0
    files_erased: int = 0
    files_left: int = 0
    copies_left: int = 0  # scratch municipalities and restored databases that a killed run left
    backups: tuple[Backup, ...] = ()
    restored_backup: str = ""  # "" not tried, "opens nothing", "OPENS"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """暗号消去の条件: met or not, and what was seen."""

    id: str
    text: str
    met: bool
    evidence: str


class Method(StrEnum):
    """Rev. 2 method that the certificate claims. `NONE`: the work was done and no method is claimed for it."""

    CLEAR = "Clear"
    PURGE = "Purge"
    NONE = "主張しない"


def conditions(seen: Evidence, today: dt.date) -> tuple[Condition, ...]:
    """Each condition of cryptographic erase (Rev. 2, 3.2) decided from what was seen."""
    silent = seen.processes_silent
    open_backups = [b for b in seen.backups if b.expires_on > today]
    escrowed = [b for b in seen.backups if b.keys_included]
    return (
        Condition(
            id="plaintext-never-written",
            text="暗号化前の平文が媒体に書かれたことがない",
            met=seen.plain_columns == 0,
            evidence=f"暗号化した列 {seen.sealed_columns}、理由を付して平文とした列 {seen.plain_columns}"
            + ("(宛名番号・日付・状態などの構造項目。論理削除の対象)" if seen.plain_columns else ""),
        ),
        Condition(
            id="key-strength",
            text="鍵の強度が128ビット以上で、生成元の乱数が健全である",
            met=seen.root_bits >= 128,
            evidence=f"根鍵 {seen.root_bits} ビット(OSの暗号論的乱数)、AES-256-GCM",
        ),
        Condition(
            id="module-validated",
            text="暗号モジュールがFIPS 140の認証を受けている",
            met=bool(seen.module_validation),
            evidence=seen.module_validation
            or f"認証の設定なし。鍵保管庫「{seen.key_store}」及び実行環境の暗号ライブラリは認証済みモジュールとして主張しない",
        ),
        Condition(
            id="key-copies-destroyed",
            text="対象の鍵の複製(包んだ形とメモリ上の形を含む)をすべて消去した",
            met=seen.roots_destroyed > 0 and seen.roots_left == 0 and silent == 0,
            evidence=f"包んだ根鍵 {seen.roots_destroyed} 個を上書き後に削除、残り {seen.roots_left}。"
            f"鍵を保持し得たプロセス {len(seen.acknowledgements)} のうち応答なし {silent}",
        ),
        Condition(
            id="key-hierarchy-destroyed",
            text="対象の鍵を包む上位の鍵が消去され、取り消せない",
            met=seen.key_state == "DELETED",
            evidence=f"KMS鍵 {seen.key_id}: {seen.key_state}、無効化 {_at(seen.key_disabled_at)}、削除予定 {_at(seen.key_deletion_due)}",
        ),
        Condition(
            id="no-unknown-key-backup",
            text="鍵の控え又は預託がなく、あればその所在がすべて分かっている",
            met=seen.key_store == "aws" and not escrowed,
            evidence=_key_backups(seen, escrowed),
        ),
        Condition(
            id="restored-backup-opens-nothing",
            text="消去前に取った控えを復元しても開けない",
            met=seen.restored_backup == "opens nothing",
            evidence={"": "試していない", "opens nothing": "復元して試し、開けないことを確かめた"}.get(
                seen.restored_backup, "復元した控えが開いた"
            ),
        ),
        Condition(
            id="backups-expired",
            text="控えがすべて失効している",
            met=not open_backups,
            evidence="、".join(f"{b.name}({b.place}) {b.expires_on.isoformat()} まで" for b in open_backups)
            or "残る控えの申告なし",
        ),
    )


def _key_backups(seen: Evidence, escrowed: Sequence[Backup]) -> str:
    if escrowed:
        return "鍵を含む控え: " + "、".join(b.name for b in escrowed)
    if seen.key_store == "aws":
        return "KMSの鍵素材は取り出せず、控えの申告に鍵を含むものはない"
    return "ファイル型の鍵保管庫は複製を機械的に防げないため、満たすとは主張しない"


def _at(when: dt.datetime | None) -> str:
    return when.astimezone(JST).strftime("%Y-%m-%d %H:%M:%S") if when else "-"


_CLEAR_NEEDS: Final = frozenset({"key-copies-destroyed", "restored-backup-opens-nothing", "backups-expired"})


def claim(decided: Sequence[Condition], seen: Evidence) -> Method:
    """The method that may be claimed: Purge when every condition is met, Clear when nothing reachable is left, else none.

    A partial sanitisation is neither (Rev. 2, 4.2).
    """
    if decided and all(c.met for c in decided) and nothing_left(seen):
        return Method.PURGE
    met = {c.id for c in decided if c.met}
    if met >= _CLEAR_NEEDS and nothing_left(seen):
        return Method.CLEAR
    return Method.NONE


def nothing_left(seen: Evidence) -> bool:
    """Whether looking again found nothing of the municipality that the erasure was to take away."""
    in_database = seen.relations_left or seen.roles_left or seen.control_rows_left or seen.roots_left
    return not (in_database or seen.files_left or seen.copies_left)


class Medium(msgspec.Struct, frozen=True, kw_only=True):
    """媒体: what was sanitised. In a cloud the medium is logical; a field that has no meaning there says so."""

    manufacturer: str
    model: str
    serial_number: str
    property_number: str
    media_type: str
    source: str


class Person(Personal, frozen=True, kw_only=True):
    """実施者・検証者・確認者 with what appendix C asks of each."""

    duty: str  # "performed" | "verified" | "validated"
    account: str
    name: str
    title: str
    organisation: str
    place: str
    contact: str
    on: dt.datetime


class Finding(Personal, frozen=True, kw_only=True):
    """検証(4.5.1) or 確認(4.5.2): one person's record of what was looked at and what was decided."""

    case_no: int
    kind: str  # "verification" | "validation"
    accepted: bool
    remarks: str
    checks: dict[str, str]
    person: Person


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the erase story: begun, finished, and the counts that were seen."""

    step: str
    began_at: dt.datetime
    finished_at: dt.datetime | None
    attempts: int
    facts: dict[str, str | int]


class Certificate(Personal, frozen=True, kw_only=True):
    """データ消去証明書 (certificate of sanitisation). `final` only when the key's deletion can no longer be cancelled."""

    document: str = "データ消去証明書"
    standard: str = "NIST SP 800-88 Rev. 2, 4.6 / Appendix C"
    certificate_no: int
    final: bool
    case_no: int
    tenant_code: str
    tenant_name: str
    requested_by: str
    approved_by: str
    media: tuple[Medium, ...]
    confidentiality_before: str
    method: Method
    technique: str
    tool: str
    tool_version: str
    tool_digest: str
    verification_method: str
    classification_after: str
    destination_after: str
    erased_at: dt.datetime
    key_deletion_due: dt.datetime
    key_deleted_seen_at: dt.datetime | None
    conditions: tuple[Condition, ...]
    steps: tuple[StepRecord, ...]
    acknowledgements: tuple[ProcessAcknowledgement, ...]
    backups: tuple[Backup, ...]
    retained: tuple[str, ...]
    export_digest: str
    persons: tuple[Person, ...]
    issued_at: dt.datetime


def check_complete(certificate: Certificate) -> None:
    """Refuse to let an unfinished record read as a certificate. Invalid `offboarding.unfinished` names what is missing."""
    missing = {
        name: "offboarding.field_missing"
        for name in ("tenant_name", "requested_by", "approved_by", "technique", "tool_version", "export_digest")
        if not getattr(certificate, name)
    }
    if not certificate.media:
        missing["media"] = "offboarding.field_missing"
    if {s.step for s in certificate.steps if s.finished_at is not None} != set(ERASE_STEPS):
        missing["steps"] = "offboarding.step_unfinished"
    duties = {p.duty: p for p in certificate.persons}
    for duty in ("performed", "verified", "validated"):
        person = duties.get(duty)
        if person is None or not (person.name and person.title and person.place and person.contact):
            missing[duty] = "offboarding.field_missing"
    if missing:
        raise Invalid("offboarding.unfinished", "the record is not complete", fields=missing)
    accounts = {p.account for p in certificate.persons}
    if len(accounts) != len(certificate.persons):
        raise Refused("offboarding.same_person", "performing, verifying and validating are three persons' work")
    if certificate.final and not any(c.id == "key-hierarchy-destroyed" and c.met for c in certificate.conditions):
        raise Invalid("offboarding.not_final", "the key's deletion can still be cancelled")
