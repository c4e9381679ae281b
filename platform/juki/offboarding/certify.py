"""データ消去証明書: looking again, deciding what may be claimed, and the signed paper in two forms."""

from __future__ import annotations

import datetime as dt
import hashlib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from juki import paper
from juki.config import Config
from juki.dates import JST, today_in_japan
from juki.offboarding import store, witness
from juki.offboarding.erase import tenant_files
from juki.offboarding.hand_over import scratches
from juki.offboarding.leave import case_folder
from juki.offboarding.model import (
    Backup,
    Case,
    CaseState,
    Certificate,
    Evidence,
    Medium,
    Step,
    StepRecord,
    advance,
    check_complete,
    claim,
    conditions,
    nothing_left,
)
from juki.offboarding.store import Connection
from juki.problem import Conflict, Refused
from juki.tenancy import Eraser, backup
from juki.vault import KeyDeleted, KeyDisabled, KeyPendingDeletion, KeyState, Kms, unwrap
from juki.vault.signing import DocumentSigner, sign_pdf, verify_document

TEMPLATE: Final = Path(str(files("juki.offboarding"))) / "templates" / "certificate.typ"
_ISSUER: Final = "Juki 運用者"
_TECHNIQUE: Final = (
    "暗号消去(包んだ根鍵の破棄、KMS鍵の無効化と削除予約)及び論理削除(スキーマ・ロール・行の削除、ファイルの1回上書き)"
)
_VERIFICATION: Final = "全数: 台帳・スキーマ・ロール・根鍵・ファイル・写し・KMS鍵の状態を再照会"
_TRIED: Final = "。消去前の控えを復元して根鍵を試した"
_NOT_TRIED: Final = "。消去前の控えの復元は試していない"


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """Where the newest certificate lies and what it claims."""

    number: int
    final: bool
    method: str
    json: str
    pdf: str
    sha256: str


def look(config: Config, kms: Kms, code: str, dump: str) -> Evidence:
    """Everything the conditions are decided from, seen now; `dump` is what became of a restored backup."""
    with store.control(config) as connection:
        case = store.case_of(connection, code)
        steps = {record.step: record for record in store.step_records(connection, case.case_no)}
        keys = store.keys_of(connection, code)
        answers = store.acknowledgements(connection, int(_fact(steps, Step.CACHES, "order") or 0))
    eraser = Eraser(config, code)
    try:
        left = eraser.left()
    finally:
        eraser.close()
    states = [kms.state(key_id) for key_id in keys]
    return Evidence(
        key_store=config.kms_spec.partition(":")[0],
        key_id=", ".join(keys),
        key_state=_weakest(states),
        key_disabled_at=case.key_disabled_at,
        key_deletion_due=case.key_deletion_due,
        roots_destroyed=int(_fact(steps, Step.INVENTORY, "root_count") or 0) - left.roots,
        roots_left=left.roots,
        acknowledgements=answers,
        processes_silent=max(0, int(_fact(steps, Step.CACHES, "processes") or 0) - len(answers)),
        sealed_columns=int(_fact(steps, Step.INVENTORY, "sealed_columns") or 0),
        plain_columns=int(_fact(steps, Step.INVENTORY, "plain_columns") or 0),
        relations_left=left.relations,
        roles_left=left.roles,
        control_rows_left=left.control_rows,
        files_erased=max(int(_fact(steps, step, "files") or 0) for step in (Step.INVENTORY, Step.FILES)),
        files_left=len(tenant_files(config.home_path, code)),
        copies_left=len(scratches(config, code)) + left.databases,
        backups=_backups(steps),
        restored_backup=dump,
    )


def try_backup(kms: Kms, admin_dsn: str, code: str, source: Path) -> str:
    """Restore a dump taken before and try its roots: "opens nothing", or "OPENS" where any root still unwraps.

    Without a root no value opens: every sealed value of the dump names a root version, and the roots are all here. What
    stops a root from unwrapping must be the state of its key: a KMS that is away, or that refuses this process, shows
    nothing, and its fault is raised.
    """
    with backup.restored(admin_dsn, code, source) as held:
        if not held.sealed_values or not held.roots:
            raise Refused(
                "offboarding.backup_empty", "this dump holds nothing of the municipality, so it proves nothing"
            )
        for wrapped in held.roots:
            try:
                root = unwrap(kms, wrapped)
            except (KeyDisabled, KeyPendingDeletion, KeyDeleted):
                continue
            root[:] = bytes(len(root))
            return "OPENS"
    return "opens nothing"


def checks_of(seen: Evidence) -> dict[str, str]:
    """What a verifier looked at and found, in words for the record."""
    return {
        "スキーマに残る関係": str(seen.relations_left),
        "残るロール": str(seen.roles_left),
        "残る包んだ根鍵": str(seen.roots_left),
        "管理用の行": str(seen.control_rows_left),
        "残るファイル": str(seen.files_left),
        "残る写し(突合用・復元用)": str(seen.copies_left),
        "KMS鍵の状態": seen.key_state,
        "鍵を忘れたプロセス": str(len(seen.acknowledgements)),
        "復元した控え": seen.restored_backup or "試していない",
    }


def is_finished(seen: Evidence) -> bool:
    """検証 (4.5.1): whether the erasure came to its end; what may be claimed for it is another question."""
    return nothing_left(seen) and seen.key_state in ("PENDING_DELETION", "DELETED") and seen.restored_backup != "OPENS"


def issue(config: Config, kms: Kms, code: str, now: dt.datetime) -> Issued:
    """証明書の発行: JSON and PDF, signed, with the two dates. Issued again after the key's end, it is final.

    Invalid `offboarding.unfinished` names what is missing; Conflict before validation. Conflict `offboarding.undone` where
    what was verified is no longer so (a deletion called back, a backup restored): the case is then to be erased again.
    Conflict `offboarding.key_unknown` where the KMS does not know the key before its day: it is not the right one.
    """
    with store.control(config) as connection:
        case = store.case_of(connection, code)
        advance(case.state, CaseState.CERTIFIED)
        verification = witness.read_finding(config, case, "verified")
        dump = "opens nothing" if verification.checks.get("復元した控え") == "opens nothing" else ""
        seen = look(config, kms, code, dump)
        if seen.key_state == str(KeyState.DELETED) and case.key_deletion_due and now < case.key_deletion_due:
            raise Conflict("offboarding.key_unknown", "the KMS does not know a key whose day has not come")
        if not is_finished(seen):
            store.move(connection, case, CaseState.REJECTED)
            raise Conflict("offboarding.undone", "what was verified is no longer so", remedy="juki offboard erase")
        certificate = _compose(config, connection, case, seen, now)
        check_complete(certificate)
        issued = _write(config, connection, kms, case, certificate)
        store.note_certificate(connection, case, issued.number)
        if case.state is not CaseState.CERTIFIED:
            store.move(connection, case, CaseState.CERTIFIED)
        return issued


def _compose(config: Config, connection: Connection, case: Case, seen: Evidence, now: dt.datetime) -> Certificate:
    steps = store.step_records(connection, case.case_no)
    named = {record.step: record for record in steps}
    verified, validated = (witness.read_finding(config, case, duty) for duty in ("verified", "validated"))
    decided = conditions(seen, today_in_japan(now))
    final = seen.key_state == str(KeyState.DELETED)
    if case.erased_at is None or case.key_deletion_due is None:
        raise Refused("offboarding.unfinished", "the erasure has no end or no date for the key")
    return Certificate(
        certificate_no=case.certificate_no + 1,
        final=final,
        case_no=case.case_no,
        tenant_code=case.tenant_code,
        tenant_name=str(_fact(named, Step.INVENTORY, "tenant_name") or ""),
        requested_by=case.requested_by,
        approved_by=case.approved_by,
        media=_media(config, case, named, seen),
        confidentiality_before="機密性3(特定個人情報を含む)",
        method=claim(decided, seen),
        technique=_TECHNIQUE,
        tool="juki offboard erase",
        tool_version=version("juki"),
        tool_digest=_tool_digest(),
        verification_method=_VERIFICATION + (_TRIED if seen.restored_backup else _NOT_TRIED),
        classification_after="なし(団体の情報を保持しない)",
        destination_after="同一基盤で継続使用(論理領域の解放)",
        erased_at=case.erased_at,
        key_deletion_due=case.key_deletion_due,
        key_deleted_seen_at=now if final else None,
        conditions=decided,
        steps=steps,
        acknowledgements=seen.acknowledgements,
        backups=seen.backups,
        retained=(
            "団体台帳の消去済みの印(団体コード・名称・日時)",
            "本件の記録と署名鍵",
            "団体の状態の変遷と、鍵の消去に応じたプロセスの記録(住民の情報を含まない)",
            "監査記録の封緘行・署名付き頭部・頭部の控え(団体への引渡しのため案件の保管場所に置く。開く鍵はない)",
        ),
        export_digest=case.export_digest,
        persons=(witness.read_performer(config, case), verified.person, validated.person),
        issued_at=now,
    )


def _media(config: Config, case: Case, steps: dict[str, StepRecord], seen: Evidence) -> tuple[Medium, ...]:
    """Logical media: what has no maker or serial number says so instead of inventing one."""
    logical = "論理媒体のため該当なし"
    rows = _fact(steps, Step.INVENTORY, "rows")
    return (
        Medium(
            manufacturer="PostgreSQL", model="データベーススキーマ", serial_number=f"t{case.tenant_code}",
            property_number=f"関係 {_fact(steps, Step.INVENTORY, 'relations')}、行 {rows}",
            media_type="論理記憶域(データベース)", source="団体の業務データ",
        ),
        Medium(
            manufacturer=seen.key_store, model="KMS鍵", serial_number=seen.key_id, property_number=logical,
            media_type="暗号鍵", source="団体専用鍵",
        ),
        Medium(
            manufacturer=logical, model="包んだ根鍵", serial_number=str(_fact(steps, Step.INVENTORY, "roots") or ""),
            property_number=logical, media_type="暗号鍵(管理スキーマの行)", source="団体専用鍵",
        ),
        Medium(
            manufacturer=logical, model="ファイル", serial_number=logical,
            property_number=f"{seen.files_erased} 個", media_type="論理記憶域(ファイル)", source="作業一覧・書出し",
        ),
    )  # fmt: skip


def _write(config: Config, connection: Connection, kms: Kms, case: Case, certificate: Certificate) -> Issued:
    """JSON with a detached signature inside an envelope, and the PDF with its own; both under the platform's key."""
    root = unwrap(kms, store.platform_root(connection, kms))
    signer = DocumentSigner(root, store.PLATFORM, _ISSUER)
    root[:] = bytes(len(root))
    body = msgspec.json.encode(certificate, order="deterministic")
    envelope = {
        "certificate": msgspec.Raw(body),
        "signature": {
            "algorithm": "ECDSA P-256 SHA-256 over the bytes of `certificate` as they stand",
            "value": signer.sign(body).hex(),
            "signer": signer.certificate_pem.decode(),
        },
    }
    content = msgspec.json.encode(envelope)
    folder = case_folder(config, case)
    stem = f"certificate-{certificate.certificate_no}"
    shown = paper.pdf(TEMPLATE, _printed(certificate), stamp=int(certificate.issued_at.timestamp()))
    signed = sign_pdf(shown, signer, now=certificate.issued_at, reason=certificate.document)
    (folder / f"{stem}.json").write_bytes(content)
    (folder / f"{stem}.pdf").write_bytes(signed)
    number = store.add_paper(
        connection,
        case.case_no,
        "certificate",
        content,
        accepted=certificate.final,
        account="",
        now=certificate.issued_at,
    )
    return Issued(
        number=number,
        final=certificate.final,
        method=str(certificate.method),
        json=str(folder / f"{stem}.json"),
        pdf=str(folder / f"{stem}.pdf"),
        sha256=hashlib.sha256(content).hexdigest(),
    )


class _Envelope(msgspec.Struct, frozen=True):
    certificate: msgspec.Raw
    signature: dict[str, str]


def check(content: bytes) -> Certificate | None:
    """The certificate of a signed file, or None where the signature does not hold."""
    envelope = msgspec.json.decode(content, type=_Envelope)
    body = bytes(envelope.certificate)
    pem, value = envelope.signature["signer"].encode(), bytes.fromhex(envelope.signature["value"])
    if not verify_document(pem, body, value):
        return None
    return msgspec.json.decode(body, type=Certificate)


def _printed(certificate: Certificate) -> dict[str, Any]:
    values: dict[str, Any] = _in_japanese_time(msgspec.to_builtins(certificate, builtin_types=(dt.datetime,)))
    status = "確定" if certificate.final else "暫定: KMS鍵の削除はまだ取り消せる。削除後に確定版を発行する"
    return values | {"status": status, "method": str(certificate.method)}


def _in_japanese_time(value: Any) -> Any:
    """Instants as the municipality reads them; everything else as it is."""
    if isinstance(value, dt.datetime):
        return value.astimezone(JST).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict):
        return {name: _in_japanese_time(item) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_in_japanese_time(item) for item in cast("list[Any]", value)]
    return value


def _fact(steps: dict[str, StepRecord], step: Step, name: str) -> str | int | None:
    record = steps.get(step)
    return record.facts.get(name) if record else None


def _backups(steps: dict[str, StepRecord]) -> tuple[Backup, ...]:
    declared = _fact(steps, Step.BACKUPS, "declared")
    return msgspec.json.decode(str(declared), type=tuple[Backup, ...]) if declared else ()


def _weakest(states: list[KeyState]) -> str:
    """The state of a set of keys is that of the one which could still be used soonest; of no key nothing is claimed."""
    order = (KeyState.ENABLED, KeyState.DISABLED, KeyState.PENDING_DELETION, KeyState.DELETED)
    return str(next((state for state in order if state in states), KeyState.ENABLED))


def _tool_digest() -> str:
    """SHA-256 over the programs that erase, by name."""
    whole = hashlib.sha256()
    for package in ("juki.offboarding", "juki.tenancy", "juki.vault"):
        for path in sorted(Path(str(files(package))).glob("*.py")):
            whole.update(f"{package}/{path.name}\n".encode() + path.read_bytes())
    return whole.hexdigest()
