"""交付: paper, number and record together, or none of the three."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from pypdf import PdfReader

from juki import certificates, registry
from juki.access.model import Caller
from juki.audit import Disclosure, Operation, operation
from juki.audit.keys import audit_ring, open_body
from juki.audit.model import Intent, Outcome
from juki.certificates.model import Application, Disposal, IdentityCheck, Issued, Item, Relation, Requester
from juki.config import Config
from juki.dates import RegistryDate
from juki.problem import Conflict, Invalid, JukiError, NotFound, Refused
from juki.registry.model import (
    Document,
    Level,
    MoveOut,
    Place,
    Process,
    Reception,
    Record,
    Relocate,
    SupportMeasure,
)
from juki.tenancy import Fleet, connect
from juki.vault.signing import verify_pdf

CLERK = ("certificate.issue", "resident.read", "resident.my_number", "resident.code")
Run = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def people(
    fleet: Fleet,
    caller: Callable[..., Caller],
    put: Run,
    japanese: Callable[..., Record],
    foreign: Callable[..., Record],
) -> None:
    """A family in いわき市, and the same 宛名番号 given to somebody else in 広野町."""
    async with operation(fleet, caller(tenant="072044"), "test.store", purpose="試験") as op:
        alone = [japanese(n, setai_no=f"800000000{n}", is_head=True) for n in range(4, 9)]
        await put(op, japanese(1), japanese(2), japanese(3), foreign(9), *alone)
    async with operation(fleet, caller(tenant="075418"), "test.store", purpose="試験") as op:
        await put(op, japanese(1, setai_no="7000000001"))


@pytest.fixture
def run(fleet: Fleet, caller: Callable[..., Caller]) -> Run:
    """One operation by a clerk; keyword arguments go to the caller."""

    async def go(work: Callable[[Operation], Awaitable[Any]], *, rights: tuple[str, ...] = CLERK, **who: Any) -> Any:
        async with operation(fleet, caller(rights=rights, **who), "certificate.test", purpose="試験") as op:
            return await work(op)

    return go


async def _issue(run: Run, asked: Application, **who: Any) -> Issued:
    ready = await run(lambda op: certificates.prepare(op, asked), **who)
    return await run(lambda op: certificates.issue(op, ready.token), **who)


def _running(issued: Issued) -> list[int]:
    return [int(label.rsplit(" ", 1)[1]) for label in issued.labels]


async def _counts(run: Run, **who: Any) -> tuple[int, int, int]:
    async def read(op: Operation) -> tuple[int, int, int]:
        row = await op.session.fetch_one(
            "SELECT (SELECT count(*) FROM {t}.certificate_issue), (SELECT count(*) FROM {t}.certificate_person), "
            "(SELECT count(*) FROM {t}.certificate_spool)"
        )
        assert row is not None
        return row[0], row[1], row[2]

    return await run(read, **who)


# --- the story ----------------------------------------------------------------------------------------------------


async def test_a_household_copy_leaves_paper_number_and_history(
    run: Run, application: Callable[..., Application]
) -> None:
    """F-S1-02, P-3-1, P-3-2, P-3-3: one entry a copy and a person, with items, clerk and terminal."""
    asked = application(
        "0000000001",
        "0000000002",
        "0000000003",
        items=(Item.RELATIONSHIP, Item.DOMICILE),
        copies=2,
        purpose="household",
    )
    issued = await _issue(run, asked)
    assert issued.pdf.startswith(b"%PDF-")
    assert issued.fee_yen == 600
    assert (issued.copies, issued.pages, len(PdfReader(io.BytesIO(issued.pdf)).pages)) == (2, 1, 2)
    first, second = _running(issued)
    assert second == first + 1
    text = PdfReader(io.BytesIO(issued.pdf)).pages[1].extract_text()
    assert f"{issued.labels[1]} 1/1" in text
    assert "渡邉 花子" in text.replace("\u3000", " ")
    history = await run(lambda op: certificates.history(op, "0000000002"))
    assert [entry.label for entry in history[:2]] == [issued.labels[1], issued.labels[0]]
    entry = history[0]
    assert (entry.version_no, entry.issued_by, entry.terminal_id) == (3, "op-0001", "IWK-HON-01")
    assert {"relationship", "domicile"} <= set(entry.items)
    assert "my_number" not in entry.items


async def test_the_electronic_original_bears_the_municipalitys_own_signature(
    fleet: Fleet, run: Run, application: Callable[..., Application]
) -> None:
    """F-S1-02: whoever holds the file can tell that the municipality issued exactly these bytes."""
    issued = await _issue(run, application())
    for code, name, good in (("072044", "いわき市", True), ("075418", "双葉郡広野町", False)):
        signer = (await fleet.keyring.get(code)).document_signer(name)
        assert verify_pdf(issued.pdf, signer.certificate_pem).good is good
    tampered = issued.pdf.replace(b"%PDF-1.7", b"%PDF-1.6")
    assert not verify_pdf(
        tampered, (await fleet.keyring.get("072044")).document_signer("いわき市").certificate_pem
    ).good


async def test_the_individual_number_is_printed_for_the_person_and_marked_in_the_log(
    fleet: Fleet, run: Run, application: Callable[..., Application]
) -> None:
    """R-A-3.3-LOG-01, R-1-1.1-ISS-01: outcome and disclosure say that 個人番号 was touched, in the issue's own transaction."""
    asked = application(items=(Item.MY_NUMBER,), purpose="tax")
    ready = await run(lambda op: certificates.prepare(op, asked))
    seen: dict[str, Any] = {}

    async def issue(op: Operation) -> Issued:
        seen["op_no"] = op.op_no
        return await certificates.issue(op, ready.token)

    issued = await run(issue)
    assert "1234 5678 9018" in PdfReader(io.BytesIO(issued.pdf)).pages[0].extract_text()

    async def rows(op: Operation) -> list[tuple[Any, ...]]:
        return await op.session.fetch(
            "SELECT part, kind, result, body_sealed FROM {t}.audit_row WHERE op_no = %(no)s ORDER BY part",
            {"no": seen["op_no"]},
        )

    log = await audit_ring(fleet, "072044", await fleet.keyring.get("072044"), fleet.clock())
    found = await run(rows)
    types: dict[str, Any] = {"intent": Intent, "outcome": Outcome, "disclosure": Disclosure}
    bodies: dict[str, Any] = {
        kind: open_body(log, kind, seen["op_no"], part, sealed, types[kind]) for part, kind, _, sealed in found
    }
    assert [result for _, kind, result, _ in found if kind == "outcome"] == ["done"]
    disclosure = bodies["disclosure"]
    assert (disclosure.atena_no, disclosure.my_number, disclosure.medium) == ("0000000001", True, "paper")
    assert "my_number" in disclosure.items
    assert disclosure.basis == "住基法第12条"
    assert bodies["outcome"].subjects[0].my_number


async def test_an_item_not_asked_for_is_not_even_read(run: Run, application: Callable[..., Application]) -> None:
    """最小限の開示: a clerk without the rights to the numbers issues a copy that does not show them."""
    rights = ("certificate.issue", "resident.read")
    issued = await _issue(run, application(), rights=rights)
    text = PdfReader(io.BytesIO(issued.pdf)).pages[0].extract_text()
    assert "9018" not in text
    assert "省略" in text


async def test_official_use_costs_nothing_and_names_the_organisation_in_the_disclosure(
    run: Run, application: Callable[..., Application]
) -> None:
    """公用: 住基法 第12条の2."""
    asked = application(
        relation=Relation.OFFICIAL,
        requester=Requester(name="担当　者", identity=IdentityCheck.PHOTO, organisation="いわき税務署"),
        ground="国税徴収法第141条",
        purpose="official",
        official_use=True,
        copies=3,
    )
    issued = await _issue(run, asked)
    assert issued.fee_yen == 0
    assert "公用" in PdfReader(io.BytesIO(issued.pdf)).pages[0].extract_text().replace(" ", "")


async def test_a_preview_uses_no_number_and_leaves_no_issue(run: Run, application: Callable[..., Application]) -> None:
    """確認: looking is not issuing."""
    before = await _counts(run)
    pdf = await run(lambda op: certificates.preview(op, application()))
    assert pdf.startswith(b"%PDF-")
    assert await _counts(run) == before


# --- numbers ------------------------------------------------------------------------------------------------------


async def test_each_terminal_counts_for_itself_without_gaps(run: Run, application: Callable[..., Application]) -> None:
    """発行番号: terminal and running number; the next one is the next number."""
    first = await _issue(run, application(), terminal="IWK-HON-02")
    second = await _issue(run, application(copies=2), terminal="IWK-HON-02")
    other = await _issue(run, application(), terminal="IWK-ONA-01")
    assert _running(first) == [1]
    assert _running(second) == [2, 3]
    assert _running(other) == [1]
    assert " 本庁2 " in first.issue_no
    assert " 小名浜支所1 " in other.issue_no


async def test_many_clerks_at_one_terminal_never_share_a_number(
    run: Run, application: Callable[..., Application]
) -> None:
    """発行番号: eight at once get eight numbers in a row."""
    issued = await asyncio.gather(*(_issue(run, application(), actor=f"op-{n}") for n in range(8)))
    numbers = sorted(_running(one)[0] for one in issued)
    assert numbers == list(range(numbers[0], numbers[0] + 8))


async def test_a_double_submit_gives_the_same_paper_and_one_number(
    run: Run, application: Callable[..., Application]
) -> None:
    """P-3-3: the token is good once; sent again, even at the same moment, it answers with the same paper."""
    before = await _counts(run)
    ready = await run(lambda op: certificates.prepare(op, application()))
    both = await asyncio.gather(*(run(lambda op: certificates.issue(op, ready.token)) for _ in range(2)))
    later = await run(lambda op: certificates.issue(op, ready.token))
    assert len({(one.issue_no, one.pdf) for one in (*both, later)}) == 1
    assert sorted(one.repeated for one in (*both, later)) == [False, True, True]
    after = await _counts(run)
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


async def test_a_lost_answer_is_fetched_by_its_number_until_the_paper_is_handed_over(
    run: Run, application: Callable[..., Application]
) -> None:
    """Fault: the process dies after the commit; nothing is issued again, the sealed paper waits."""
    issued = await _issue(run, application())
    again = await run(lambda op: certificates.fetch_again(op, issued.issue_no))
    assert again.pdf == issued.pdf
    assert again.repeated
    await run(lambda op: certificates.hand_over(op, issued.issue_no))
    await run(lambda op: certificates.hand_over(op, issued.issue_no))
    with pytest.raises(NotFound) as caught:
        await run(lambda op: certificates.fetch_again(op, issued.issue_no))
    assert caught.value.code == "certificates.handed_over"


async def test_a_paper_with_the_individual_number_is_fetched_again_only_by_who_may_see_it_and_is_marked(
    run: Run, application: Callable[..., Application]
) -> None:
    """R-A-3.3-LOG-01: a second look at a printed 個人番号 takes its right and is a touch of the number."""
    issued = await _issue(run, application(items=(Item.MY_NUMBER,), purpose="tax"))
    with pytest.raises(Refused) as caught:
        await run(lambda op: certificates.fetch_again(op, issued.issue_no), rights=("certificate.issue",))
    assert caught.value.code == "certificates.item_right_missing"
    touched: dict[str, bool] = {}

    async def fetch(op: Operation) -> Issued:
        again = await certificates.fetch_again(op, issued.issue_no)
        touched.update(op.subjects)
        return again

    assert (await run(fetch)).pdf == issued.pdf
    assert [atena_no for atena_no, number in touched.items() if number] == ["0000000001"]


async def test_papers_nobody_fetched_are_forgotten_at_the_end_of_the_day(
    run: Run, application: Callable[..., Application]
) -> None:
    """Least data: the waiting room is emptied, the history stays."""
    issued = await _issue(run, application())
    assert await run(lambda op: certificates.clear_spool(op, older_than=dt.timedelta(seconds=-60))) >= 1
    with pytest.raises(NotFound):
        await run(lambda op: certificates.fetch_again(op, issued.issue_no))
    assert (await run(lambda op: certificates.history(op, "0000000001")))[0].label == issued.issue_no


async def test_a_spoiled_sheet_keeps_its_number_and_is_written_off_once(
    run: Run, application: Callable[..., Application]
) -> None:
    """標準仕様書 2.8: disposal of mis-issued sheets is part of the history."""
    issued = await _issue(run, application())
    await run(lambda op: certificates.dispose(op, issued.issue_nos[0], Disposal.MISPRINT))
    entry = (await run(lambda op: certificates.history(op, "0000000001")))[0]
    assert (entry.label, entry.disposed) == (issued.issue_no, "misprint")
    with pytest.raises(Conflict) as caught:
        await run(lambda op: certificates.dispose(op, issued.issue_nos[0], Disposal.MISPRINT))
    assert caught.value.code == "certificates.disposed_already"
    with pytest.raises(NotFound):
        await run(lambda op: certificates.dispose(op, 999_999_999, Disposal.MISPRINT))
    assert _running(await _issue(run, application()))[0] == _running(issued)[0] + 1


# --- what must not pass -------------------------------------------------------------------------------------------


async def test_only_what_was_prepared_here_by_this_clerk_can_be_issued(
    run: Run, application: Callable[..., Application]
) -> None:
    """準備と交付: a token of nobody, of a colleague or of another terminal issues nothing."""
    ready = await run(lambda op: certificates.prepare(op, application()))
    before = await _counts(run)
    with pytest.raises(NotFound) as unknown:
        await run(lambda op: certificates.issue(op, "x" * 32))
    with pytest.raises(Refused) as colleague:
        await run(lambda op: certificates.issue(op, ready.token), actor="op-0002")
    with pytest.raises(Refused) as elsewhere:
        await run(lambda op: certificates.issue(op, ready.token), terminal="IWK-HON-02")
    assert unknown.value.code == "certificates.token_unknown"
    assert colleague.value.code == elsewhere.value.code == "certificates.token_elsewhere"
    assert await _counts(run) == before


async def test_a_token_of_another_municipality_is_unknown_and_so_are_its_papers(
    run: Run, application: Callable[..., Application]
) -> None:
    """Isolation: the same 宛名番号 lives in both; neither sees the other's applications, papers or history."""
    issued = await _issue(run, application())
    ready = await run(lambda op: certificates.prepare(op, application()))
    there = {"tenant": "075418", "terminal": "HRN-HON-01"}
    with pytest.raises(NotFound):
        await run(lambda op: certificates.issue(op, ready.token), **there)
    with pytest.raises(NotFound):
        await run(lambda op: certificates.fetch_again(op, issued.issue_no), **there)
    assert await run(lambda op: certificates.history(op, "0000000001"), **there) == ()
    own = await _issue(run, application(), **there)
    assert own.issue_no.split(" ")[1:] == ["広野町", "本庁1", "プリンタ001", "000001"]


async def test_a_prepared_application_grows_stale(
    fleet: Fleet, run: Run, application: Callable[..., Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    """準備と交付: after half an hour it must be judged again."""
    ready = await run(lambda op: certificates.prepare(op, application()))
    late = fleet.clock() + dt.timedelta(minutes=31)
    monkeypatch.setattr(fleet, "clock", lambda: late)
    with pytest.raises(Refused) as caught:
        await run(lambda op: certificates.issue(op, ready.token))
    assert caught.value.code == "certificates.token_expired"


async def test_a_record_that_moved_on_after_it_was_judged_is_not_issued(
    run: Run, put: Run, application: Callable[..., Application], japanese: Callable[..., Record]
) -> None:
    """F-S1-02: content equals the record at the moment of issue, and the clerk has seen it."""
    asked = application("0000000004", requester=_requester("0000000004"))
    ready = await run(lambda op: certificates.prepare(op, asked))
    changed = japanese(4, setai_no="8000000004", is_head=True, version_no=4, my_number=None, resident_code=None)
    await run(lambda op: put(op, changed))
    with pytest.raises(Conflict) as caught:
        await run(lambda op: certificates.issue(op, ready.token))
    assert caught.value.code == "certificates.record_changed"
    assert await run(lambda op: certificates.history(op, "0000000004")) == ()


async def test_a_draft_is_never_certified_and_the_clerk_is_told_that_one_waits(
    run: Run, application: Callable[..., Application]
) -> None:
    """標準仕様書 2.7: until 本登録 the record before is what is certified."""
    moving = Relocate(
        occurred_on=RegistryDate(2026, 11, 1),
        notified_on=dt.date(2026, 11, 2),
        atena_nos=("0000000008",),
        address=Place(text="福島県いわき市小名浜花畑町34番地の9"),
    )
    paper = Reception(
        form_no="R8-000777", notifier="渡邉　八郎", document=Document.MY_NUMBER_CARD, checked_by="op-entry"
    )
    entry = (*CLERK, "resident.search", "change.enter")
    await run(lambda op: registry.enter(op, moving, paper), rights=entry, actor="op-entry")
    asked = application("0000000008", requester=_requester("0000000008"))
    ready = await run(lambda op: certificates.prepare(op, asked))
    assert ready.warnings == ("certificates.warn_draft_pending",)
    issued = await run(lambda op: certificates.issue(op, ready.token))
    text = PdfReader(io.BytesIO(issued.pdf)).pages[0].extract_text()
    assert "34番地の9" not in text
    assert "梅本21番地の4" in text


async def test_whoever_told_of_moving_out_gets_a_copy_that_says_so_and_the_clerk_is_warned(
    run: Run, put: Run, japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """転出予定: the record stands until its day, and the paper names the day."""
    person = japanese(1, atena_no="0000000077", setai_no="8000000077", my_number=None, resident_code=None)
    await run(lambda op: put(op, person))
    leaving = MoveOut(
        occurred_on=RegistryDate(2999, 12, 1),
        notified_on=dt.date(2026, 11, 2),
        atena_nos=("0000000077",),
        destination=Place(text="東京都千代田区千代田1番1号"),
    )
    paper = Reception(
        form_no="R8-000778", notifier="渡邉　太郎", document=Document.MY_NUMBER_CARD, checked_by="op-entry"
    )
    entry = (*CLERK, "resident.search", "change.enter")
    case_no = await run(lambda op: registry.enter(op, leaving, paper), rights=entry, actor="op-entry")
    typed = {"occurred_on": "2999-12-01", "notified_on": "2026-11-02"}
    await run(lambda op: registry.confirm(op, case_no, typed), rights=("change.confirm",), actor="op-check")
    asked = application("0000000077", requester=_requester("0000000077"))
    ready = await run(lambda op: certificates.prepare(op, asked))
    assert ready.warnings == ("certificates.warn_leaving",)
    issued = await run(lambda op: certificates.issue(op, ready.token))
    text = PdfReader(io.BytesIO(issued.pdf)).pages[0].extract_text()
    assert "転出予定" in text
    assert "千代田" not in text


def _requester(atena_no: str = "", **more: Any) -> Requester:
    return Requester(name="請求　人", identity=IdentityCheck.PHOTO, atena_no=atena_no, **more)


def _third(application: Callable[..., Application], atena_no: str) -> Application:
    return application(atena_no, relation=Relation.THIRD, requester=_requester(), ground="債権の保全")


async def test_a_stranger_learns_nothing_of_a_protected_person_and_the_clerk_is_told(
    run: Run, application: Callable[..., Application]
) -> None:
    """支援措置, R-1-B2-DAT-04: one neutral code for protected, suppressed and unknown; the reason only for who may know."""
    guardian = (*CLERK, "protection.enter", "protection.read")
    measure = SupportMeasure(
        name="渡邉　五郎",
        birth=RegistryDate(1955, 4, 5),
        address="福島県いわき市",
        atena_no="0000000005",
        starts_on=dt.date(2026, 4, 1),
    )
    await run(lambda op: registry.enter_protection(op, measure), rights=guardian)
    await run(
        lambda op: registry.suppress(
            op, ["0000000006"], Process.ISSUE, Level.ERROR, starts_on=dt.date(2026, 4, 1), reason="確認中"
        ),
        rights=guardian,
    )
    spoken: dict[str, Refused] = {}
    for atena_no in ("0000000005", "0000000006", "0000009999"):
        with pytest.raises(Refused) as caught:
            await run(lambda op, a=atena_no: certificates.prepare(op, _third(application, a)))
        spoken[atena_no] = caught.value
    assert {(e.code, e.detail, e.remedy, tuple(e.facts)) for e in spoken.values()} == {
        ("certificates.not_available", "nothing can be issued on this application", "", ())
    }
    with pytest.raises(Refused) as known:
        await run(lambda op: certificates.prepare(op, _third(application, "0000000005")), rights=guardian)
    assert known.value.facts == {"notice": "certificates.clerk_protected"}
    told = [
        await run(lambda op: certificates.check(op, _third(application, "0000000005")), rights=rights)
        for rights in (CLERK, guardian)
    ]
    assert [verdict.notice for verdict in told] == ["", "certificates.clerk_protected"]
    own = application("0000000005", requester=_requester("0000000005"))
    ready = await run(lambda op: certificates.prepare(op, own))
    assert "certificates.warn_protected" in ready.warnings


async def test_the_household_of_a_protected_person_is_looked_up_before_a_stranger_gets_a_copy_of_its_other_members(
    run: Run, put: Run, japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """支援措置: nobody asked for the mother, and yet the paper would show where she lives."""
    mother, child = (japanese(n, atena_no=f"000000006{n}", setai_no="8000000066") for n in (1, 3))
    await run(lambda op: put(op, mother, child))
    measure = SupportMeasure(
        name="渡邉　太郎",
        birth=RegistryDate(1955, 4, 5),
        address="福島県いわき市",
        atena_no=mother.atena_no,
        starts_on=dt.date(2026, 4, 1),
    )
    asked = _third(application, child.atena_no)
    assert (await run(lambda op: certificates.check(op, asked))).refusal == ""
    await run(lambda op: registry.enter_protection(op, measure), rights=(*CLERK, "protection.enter"))
    with pytest.raises(Refused) as caught:
        await run(lambda op: certificates.prepare(op, asked))
    assert (caught.value.code, caught.value.facts) == ("certificates.not_available", {})


async def test_a_measure_that_begins_between_preparing_and_issuing_still_stops_the_paper(
    run: Run, application: Callable[..., Application]
) -> None:
    """支援措置: the rules are asked again at the moment of issue."""
    ready = await run(lambda op: certificates.prepare(op, _third(application, "0000000007")))
    measure = SupportMeasure(
        name="渡邉　太郎",
        birth=RegistryDate(1957, 4, 7),
        address="福島県いわき市",
        atena_no="0000000007",
        starts_on=dt.date(2026, 4, 1),
    )
    await run(lambda op: registry.enter_protection(op, measure), rights=(*CLERK, "protection.enter", "protection.read"))
    with pytest.raises(Refused) as caught:
        await run(lambda op: certificates.issue(op, ready.token))
    assert caught.value.code == "certificates.not_available"


async def test_a_paper_waits_for_a_measure_that_is_being_written_and_is_then_refused(
    run: Run,
    put: Run,
    fleet: Fleet,
    caller: Callable[..., Caller],
    japanese: Callable[..., Record],
    application: Callable[..., Application],
) -> None:
    """支援措置: of a measure and a paper at the same moment the one that comes second knows of the first."""
    person = japanese(4, atena_no="0000000075", setai_no="8000000075", is_head=True)
    await run(lambda op: put(op, person))
    ready = await run(lambda op: certificates.prepare(op, _third(application, person.atena_no)))
    measure = SupportMeasure(
        name="渡邉　一郎",
        birth=RegistryDate(1954, 4, 4),
        address="福島県いわき市",
        atena_no=person.atena_no,
        starts_on=dt.date(2026, 4, 1),
    )
    waiting = (
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()"
    )
    guardian = caller(rights=(*CLERK, "protection.enter"), actor="op-0002")
    async with operation(fleet, guardian, "protection.enter", purpose="試験") as op:
        await registry.enter_protection(op, measure)
        paper = asyncio.create_task(run(lambda op: certificates.issue(op, ready.token)))
        while not paper.done() and (await op.session.fetch(waiting))[0][0] == 0:
            await asyncio.sleep(0.01)
    with pytest.raises(Refused) as caught:
        await paper
    assert caught.value.code == "certificates.not_available"


async def test_a_measure_that_begins_before_the_paper_is_handed_over_keeps_it_back(
    run: Run, put: Run, japanese: Callable[..., Record], application: Callable[..., Application]
) -> None:
    """支援措置: a paper issued a moment before is given out no more, neither by its token nor by its number."""
    person = japanese(4, atena_no="0000000074", setai_no="8000000074", is_head=True)
    await run(lambda op: put(op, person))
    asked = _third(application, person.atena_no)
    ready = await run(lambda op: certificates.prepare(op, asked))
    issued = await run(lambda op: certificates.issue(op, ready.token))
    assert (await run(lambda op: certificates.fetch_again(op, issued.issue_no))).pdf == issued.pdf
    measure = SupportMeasure(
        name="渡邉　一郎",
        birth=RegistryDate(1954, 4, 4),
        address="福島県いわき市",
        atena_no=person.atena_no,
        starts_on=dt.date(2026, 4, 1),
    )
    await run(lambda op: registry.enter_protection(op, measure), rights=(*CLERK, "protection.enter"))
    for again in (
        lambda op: certificates.issue(op, ready.token),
        lambda op: certificates.fetch_again(op, issued.issue_no),
    ):
        with pytest.raises(Refused) as caught:
            await run(again)
        assert caught.value.code == "certificates.not_available"


async def test_an_incomplete_form_and_an_unregistered_terminal_get_no_token(
    run: Run, application: Callable[..., Application]
) -> None:
    """P-3-1, R-A-3.2-ACQ-02, R-1-3.3-PRV-02: applicant and identity on record first; issuing only at registered terminals."""
    with pytest.raises(Invalid) as caught:
        await run(lambda op: certificates.prepare(op, application(requester=Requester(name=""))))
    assert set(caught.value.fields) == {"requester.name", "requester.identity"}
    with pytest.raises(Refused) as away:
        await run(lambda op: certificates.prepare(op, application()), terminal="HOME-PC-1")
    assert away.value.code == "certificates.terminal_unknown"


async def test_what_is_stored_of_an_application_is_sealed(run: Run, application: Callable[..., Application]) -> None:
    """No personal data outside the seals: neither the requester's name nor the token stands in the database."""
    asked = application(requester=Requester(name="秘密　太郎", identity=IdentityCheck.PHOTO, atena_no="0000000001"))
    ready = await run(lambda op: certificates.prepare(op, asked))
    await run(lambda op: certificates.issue(op, ready.token))

    async def dump(op: Operation) -> str:
        rows = await op.session.fetch(
            "SELECT row_to_json(a)::text || coalesce(row_to_json(s)::text, '') FROM {t}.certificate_application a "
            "LEFT JOIN {t}.certificate_spool s USING (application_no)"
        )
        return "".join(row[0] for row in rows)

    text = await run(dump)
    assert "秘密" not in text
    assert "秘密　太郎".encode().hex() not in text
    assert ready.token not in text
    assert b"%PDF".hex() not in text


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {t}.certificate_issue SET fee_yen = 0",
        "DELETE FROM {t}.certificate_issue",
        "DELETE FROM {t}.certificate_person",
        "UPDATE {t}.certificate_application SET copies = 2",
        "DELETE FROM {t}.certificate_disposal",
        "UPDATE {t}.certificate_spool SET pdf_sealed = ''",
        "TRUNCATE {t}.certificate_issue",
    ],
)
async def test_the_history_of_issues_cannot_be_changed_by_the_service(run: Run, statement: Any) -> None:
    """Insert-only: the database refuses, whatever the program does."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await run(lambda op: op.session.execute(statement))


# --- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["certificate_issue", "certificate_person", "certificate_spool"])
async def test_a_write_that_breaks_in_the_middle_issues_nothing_and_loses_no_number(
    table: str, config: Config, run: Run, application: Callable[..., Application]
) -> None:
    """Fault: one INSERT fails by a trigger; no paper, no number, no history, an outcome of failure in the log."""
    last = _running(await _issue(run, application()))[0]
    ready = await run(lambda op: certificates.prepare(op, application()))
    before = await _counts(run)
    seen: dict[str, int] = {}

    async def issue(op: Operation) -> Issued:
        seen["op_no"] = op.op_no
        return await certificates.issue(op, ready.token)

    with connect(config, "deploy") as owner:
        owner.execute(
            "CREATE FUNCTION t072044.broken() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$"
        )
        owner.execute(
            f"CREATE TRIGGER broken BEFORE INSERT ON t072044.{table} FOR EACH ROW EXECUTE FUNCTION t072044.broken()"
        )
        owner.commit()
        try:
            with pytest.raises((psycopg.Error, JukiError)):
                await run(issue)
        finally:
            owner.execute("DROP FUNCTION t072044.broken CASCADE")
            owner.commit()

    async def outcome(op: Operation) -> list[str]:
        rows = await op.session.fetch(
            "SELECT result FROM {t}.audit_row WHERE op_no = %(no)s AND kind = 'outcome'", {"no": seen["op_no"]}
        )
        return [row[0] for row in rows]

    assert await run(outcome) == ["failed"]
    assert await _counts(run) == before
    issued = await run(lambda op: certificates.issue(op, ready.token))
    assert _running(issued) == [last + 1]
    assert not issued.repeated
