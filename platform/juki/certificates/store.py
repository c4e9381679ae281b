"""証明書の記録: applications, issue numbers, whose data left, spoiled sheets, and the sealed waiting room. Insert-only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from juki.audit import Operation
from juki.certificates.model import CertificateKind, Disposal, Held, IssueEntry, Relation
from juki.problem import JukiError, NotFound
from juki.vault.signing import sign_pdf


class ApplicationRow(msgspec.Struct, frozen=True, kw_only=True):
    """交付準備 as stored, opened."""

    application_no: int
    expires_at: dt.datetime
    prepared_by: str
    terminal_id: str
    held: Held


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One sheet set about to be written down."""

    copy_no: int
    running_no: int
    label: str


class IssueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One sheet set as written down."""

    issue_no: int
    label: str
    pages: int
    fee_yen: int
    issued_at: dt.datetime
    pdf_digest: bytes


def sign(op: Operation, pdf: bytes, reason: str) -> bytes:
    """The paper with the municipality's own signature appended; milliseconds of CPU, so call it off the loop."""
    return sign_pdf(pdf, op.ring.document_signer(op.tenant.name), now=op.now, reason=reason)


async def draw_number(op: Operation) -> int:
    """Next number of applications and sheet sets; gaps are allowed, the printed 発行番号 is counted apart."""
    row = await op.session.fetch_one("SELECT nextval('{t}.issue_seq')")
    if row is None:
        raise JukiError("certificates.no_number", "a sequence gave nothing")
    return int(row[0])


async def add_application(op: Operation, token_digest: bytes, held: Held, expires_at: dt.datetime) -> int:
    """Write a checked application; its number."""
    number = await draw_number(op)
    await op.session.execute(
        """
        INSERT INTO {t}.certificate_application (application_no, token_digest, kind, relation, copies, prepared_at,
            expires_at, prepared_by, terminal_id, op_no, application_sealed)
        VALUES (%(no)s, %(digest)s, %(kind)s, %(relation)s, %(copies)s, %(now)s, %(until)s, %(by)s, %(terminal)s,
            %(op_no)s, %(sealed)s)
        """,
        {
            "no": number,
            "digest": token_digest,
            "kind": held.application.kind.value,
            "relation": held.application.relation.value,
            "copies": held.application.copies,
            "now": op.now,
            "until": expires_at,
            "by": op.caller.actor_id,
            "terminal": op.caller.terminal_id,
            "op_no": op.op_no,
            "sealed": op.ring.seal("certificate_application", "application", str(number), 1, held),
        },
    )
    return number


_APPLICATION: Final = "SELECT application_no, expires_at, prepared_by, terminal_id, application_sealed FROM {t}.certificate_application WHERE "


async def application(op: Operation, token_digest: bytes) -> ApplicationRow:
    """The application behind a token; NotFound `certificates.token_unknown`."""
    row = await op.session.fetch_one(_APPLICATION + "token_digest = %(digest)s", {"digest": token_digest})
    if row is None:
        raise NotFound("certificates.token_unknown", "no application was prepared under this token")
    return _application(op, row)


async def application_numbered(op: Operation, number: int) -> ApplicationRow:
    """The application under which a paper was issued; NotFound `certificates.number_unknown`."""
    row = await op.session.fetch_one(_APPLICATION + "application_no = %(number)s", {"number": number})
    if row is None:
        raise NotFound("certificates.number_unknown", "no paper carries this number")
    return _application(op, row)


def _application(op: Operation, row: Sequence[Any]) -> ApplicationRow:
    number, expires_at, prepared_by, terminal_id, sealed = row
    held = op.ring.open("certificate_application", "application", str(number), 1, sealed, Held)
    return ApplicationRow(
        application_no=number, expires_at=expires_at, prepared_by=prepared_by, terminal_id=terminal_id, held=held
    )


async def lock_terminal(op: Operation) -> None:
    """Hold this terminal's counter until the transaction ends: numbers have no gaps, a double submit waits."""
    await op.session.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 19278))",
        {"key": f"{op.tenant.code} {op.caller.terminal_id}"},
    )


async def next_running_no(op: Operation, year: int) -> int:
    """Next 発行番号 of this terminal in a 年度; only under `lock_terminal`."""
    row = await op.session.fetch_one(
        """
        SELECT coalesce(max(running_no), 0) + 1 FROM {t}.certificate_issue
        WHERE terminal_id = %(terminal)s AND fiscal_year = %(year)s
        """,
        {"terminal": op.caller.terminal_id, "year": year},
    )
    return int(row[0]) if row else 1


async def add_issue(
    op: Operation,
    found: ApplicationRow,
    copies: Sequence[Copy],
    disclosed: Mapping[str, tuple[str, ...]],
    *,
    year: int,
    pages: int,
    fee_yen: int,
    pdf_digest: bytes,
) -> tuple[int, ...]:
    """Write every sheet set of an application and whose record each holds; their internal numbers."""
    asked = found.held.application
    items = sorted({item for of_person in disclosed.values() for item in of_person})
    numbers = [await draw_number(op) for _ in copies]
    common = {
        "application_no": found.application_no,
        "kind": asked.kind.value,
        "terminal": op.caller.terminal_id,
        "year": year,
        "pages": pages,
        "digest": pdf_digest,
        "items": items,
        "official": asked.official_use,
        "now": op.now,
        "by": op.caller.actor_id,
        "op_no": op.op_no,
    }
    rows = [
        common
        | {"no": number, "copy_no": c.copy_no, "running": c.running_no, "label": c.label, "fee": fee_yen // len(copies)}
        for number, c in zip(numbers, copies, strict=True)
    ]
    await op.session.execute_many(
        """
        INSERT INTO {t}.certificate_issue (issue_no, application_no, copy_no, kind, terminal_id, fiscal_year, running_no,
            label, pages, pdf_digest, items, fee_yen, official_use, issued_at, issued_by, op_no)
        VALUES (%(no)s, %(application_no)s, %(copy_no)s, %(kind)s, %(terminal)s, %(year)s, %(running)s, %(label)s,
            %(pages)s, %(digest)s, %(items)s, %(fee)s, %(official)s, %(now)s, %(by)s, %(op_no)s)
        """,
        rows,
    )
    await _add_persons(op, numbers, found.held.versions, disclosed)
    return tuple(numbers)


async def _add_persons(
    op: Operation, numbers: Sequence[int], versions: Mapping[str, int], disclosed: Mapping[str, tuple[str, ...]]
) -> None:
    await op.session.execute_many(
        """
        INSERT INTO {t}.certificate_person (issue_no, atena_no, version_no, items)
        VALUES (%(no)s, %(atena_no)s, %(version)s, %(items)s)
        """,
        [
            {"no": number, "atena_no": atena_no, "version": versions[atena_no], "items": list(items)}
            for number in numbers
            for atena_no, items in disclosed.items()
        ],
    )


async def issued(op: Operation, application_no: int) -> list[IssueRow]:
    """Sheet sets already issued under an application, in order of copies; empty where none."""
    rows = await op.session.fetch(
        """
        SELECT issue_no, label, pages, fee_yen, issued_at, pdf_digest FROM {t}.certificate_issue
        WHERE application_no = %(no)s ORDER BY copy_no
        """,
        {"no": application_no},
    )
    names = IssueRow.__struct_fields__
    return [IssueRow(**dict(zip(names, row, strict=True))) for row in rows]


async def application_of_label(op: Operation, label: str) -> int:
    """Application under which a 発行番号 was issued; NotFound `certificates.number_unknown`."""
    row = await op.session.fetch_one(
        "SELECT application_no FROM {t}.certificate_issue WHERE label = %(label)s", {"label": label}
    )
    if row is None:
        raise NotFound("certificates.number_unknown", "no paper carries this number")
    return int(row[0])


async def spool(op: Operation, application_no: int, pdf: bytes) -> None:
    """Keep the sealed paper until it is in the clerk's hand."""
    await op.session.execute(
        """
        INSERT INTO {t}.certificate_spool (application_no, spooled_at, pdf_sealed)
        VALUES (%(no)s, %(now)s, %(sealed)s)
        """,
        {
            "no": application_no,
            "now": op.now,
            "sealed": op.ring.seal("certificate_spool", "paper", str(application_no), 1, pdf),
        },
    )


async def spooled(op: Operation, application_no: int) -> bytes | None:
    """The paper that waits, None where it was handed over or its day has passed."""
    row = await op.session.fetch_one(
        "SELECT pdf_sealed FROM {t}.certificate_spool WHERE application_no = %(no)s", {"no": application_no}
    )
    return op.ring.open("certificate_spool", "paper", str(application_no), 1, row[0], bytes) if row else None


async def is_spooled(op: Operation, application_no: int) -> bool:
    """True while the paper waits."""
    found = await op.session.fetch_one(
        "SELECT 1 FROM {t}.certificate_spool WHERE application_no = %(no)s", {"no": application_no}
    )
    return found is not None


async def clear_spool(op: Operation, application_no: int) -> int:
    """The paper is in hand: forget the file; rows gone."""
    return await op.session.execute(
        "DELETE FROM {t}.certificate_spool WHERE application_no = %(no)s", {"no": application_no}
    )


async def clear_spool_before(op: Operation, before: dt.datetime) -> int:
    """Forget papers nobody asked for again; rows gone."""
    return await op.session.execute(
        "DELETE FROM {t}.certificate_spool WHERE spooled_at < %(before)s", {"before": before}
    )


async def add_disposal(op: Operation, issue_no: int, reason: Disposal) -> None:
    """Write that a sheet set was spoiled and destroyed; NotFound for a number nobody issued."""
    done = await op.session.execute(
        """
        INSERT INTO {t}.certificate_disposal (issue_no, reason, disposed_at, disposed_by, op_no)
        SELECT issue_no, %(reason)s, %(now)s, %(by)s, %(op_no)s FROM {t}.certificate_issue WHERE issue_no = %(no)s
        """,
        {"no": issue_no, "reason": reason.value, "now": op.now, "by": op.caller.actor_id, "op_no": op.op_no},
    )
    if done != 1:
        raise NotFound("certificates.number_unknown", "no paper carries this number")


async def persons_of(op: Operation, issue_no: int) -> list[tuple[str, list[str]]]:
    """(宛名番号, names of the items) of everyone on a sheet set."""
    rows = await op.session.fetch(
        "SELECT atena_no, items FROM {t}.certificate_person WHERE issue_no = %(no)s", {"no": issue_no}
    )
    return [(row[0], list(row[1])) for row in rows]


async def entries(op: Operation, atena_no: str, limit: int) -> tuple[IssueEntry, ...]:
    """交付履歴 of one resident, newest first."""
    rows = await op.session.fetch(
        """
        SELECT i.issue_no, i.label, i.kind, a.relation, i.copy_no, p.version_no, p.items, i.pages, i.fee_yen,
            i.official_use, i.terminal_id, i.issued_at, i.issued_by, coalesce(d.reason, ''), d.disposed_at
        FROM {t}.certificate_person p
        JOIN {t}.certificate_issue i ON i.issue_no = p.issue_no
        JOIN {t}.certificate_application a ON a.application_no = i.application_no
        LEFT JOIN {t}.certificate_disposal d ON d.issue_no = i.issue_no
        WHERE p.atena_no = %(atena_no)s
        ORDER BY i.issue_no DESC LIMIT %(limit)s
        """,
        {"atena_no": atena_no, "limit": limit},
    )
    return tuple(
        IssueEntry(
            issue_no=row[0],
            label=row[1],
            kind=CertificateKind(row[2]),
            relation=Relation(row[3]),
            copy_no=row[4],
            version_no=row[5],
            items=tuple(row[6]),
            pages=row[7],
            fee_yen=row[8],
            official_use=row[9],
            terminal_id=row[10],
            issued_at=row[11],
            issued_by=row[12],
            disposed=row[13],
            disposed_at=row[14],
        )
        for row in rows
    )
