"""The decision tables beside this file, row by row."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.registry.conftest import my_number

from juki import dates
from juki.certificates.model import Application, IdentityCheck, Relation, Requester
from juki.certificates.prepare import guard_of
from juki.certificates.rules import NOT_AVAILABLE, judge
from juki.registry import correct, rules
from juki.registry.change import (
    REASONS_OF,
    Amend,
    Channel,
    Correct,
    Document,
    NumberSource,
    Position,
    Reception,
    Source,
)
from juki.registry.home import shares_home, tells_home
from juki.registry.measures import (
    Level,
    Measure,
    MeasureState,
    Process,
    Protection,
    Release,
    SupportMeasure,
    Suppression,
    Wish,
    ends_of,
    keeps_home,
    last_day,
    loosened,
    may_release,
    tightened,
    warning,
)
from juki.registry.members import is_relationship, order
from juki.registry.model import Address, Basic, Finding, Findings, Kind, Place, Record, Removal, Status
from juki.registry.reason import CANCELLED_BY, REASONS, Ground, ReasonGroup
from juki.registry.scene import Scene

HERE = Path(__file__).parent


def table(name: str) -> dict[str, Any]:
    """A decision table."""
    return tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))


def expected(row: dict[str, Any], found: Findings) -> bool:
    """True where the findings are what the row says, and nothing else."""
    errors, alerts = [f.code for f in found.errors], [f.code for f in found.alerts]
    match row["結果"]:
        case "可":
            return (errors, alerts) == ([], [])
        case "エラー":
            return row["符号"] in errors
        case _:
            return errors == [] and alerts == [row["符号"]]


DAYS = [(t["事由"], row) for t in table("ido_days")["表"] for row in t["行"]]


@pytest.mark.parametrize(("reason", "row"), DAYS, ids=[f"{r}-{row['異動日']}-{row['届出日']}" for r, row in DAYS])
def test_the_days_of_a_change_follow_the_table(reason: str, row: dict[str, str]) -> None:
    """標準仕様書 4.0: 異動日 not ahead but for 転出, 処理日 today, 届出日 not ahead, fourteen days."""
    today = table("ido_days")["処理日"]
    known = next(r for r in REASONS.values() if r.name == reason)
    notified = dates.parse(row["届出日"]).to_date() if row["届出日"] else None
    found = rules.check_days(dates.parse(row["異動日"], unknown_allowed=True), notified, today, known)
    assert expected(row, found)


def test_all_thirty_seven_reasons_stand_in_the_code_table_under_their_official_names() -> None:
    """標準仕様書 1.2.2: 9 entries, 9 removals, 19 amendments; official codes are not public and stay empty."""
    groups = {"記載": ReasonGroup.ENTRY, "消除": ReasonGroup.REMOVAL, "修正": ReasonGroup.AMENDMENT}
    listed = {(groups[group], name) for group, rows in table("ido_reasons").items() for name in rows["事由"]}
    assert {(r.group, r.name) for r in REASONS.values()} == listed
    assert len(REASONS) == 37
    assert {r.official_code for r in REASONS.values()} == {""}
    assert all(code == reason.code for code, reason in REASONS.items())


def test_every_form_serves_reasons_of_the_table_and_every_group_can_be_cancelled() -> None:
    """異動の取消し has one kind for each group; forms name only known reasons."""
    assert {code for codes in REASONS_OF.values() for code in codes} <= set(REASONS)
    assert set(CANCELLED_BY) == set(ReasonGroup)
    assert all(REASONS[code].name.startswith("異動の取消し") for code in CANCELLED_BY.values())


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("channel", list(Channel))
def test_only_the_listed_sources_and_channels_are_accepted(source: Source, channel: Channel) -> None:
    """R-1-2.3-ACQ-01: every draft carries one of the allowed pairs."""
    by_form = source not in (Source.ADMINISTRATION, Source.LOCAL_GOVERNMENT)
    paper = Reception(
        form_no="R8-1",
        source=source,
        channel=channel,
        notifier="届出　太郎" if by_form else "",
        document=Document.PASSPORT if by_form else Document.NOT_NEEDED,
        checked_by="op-1",
    )
    found = rules.check_reception(paper, REASONS["move_in"])
    allowed = channel.value in table("ido_reception")["認める組合せ"][source.value]
    assert (Finding(code="registry.channel_not_allowed", field="reception.channel") in found.errors) is not allowed
    assert found.alerts == ()
    assert len(found.errors) == (0 if allowed else 1)


@pytest.mark.parametrize("row", table("ido_reception")["本人確認"])
def test_how_a_person_was_known_follows_the_table(row: dict[str, str]) -> None:
    """R-A-3.2-ACQ-02, R-1-3.2-IDV-01."""
    paper = Reception(
        form_no="R8-1",
        source=Source(row["入手元"]),
        notifier="届出　太郎",
        document=Document(row["書類"]),
        checked_by=row["確認者"],
    )
    assert expected(row, rules.check_reception(paper, REASONS["move_in"]))


def test_a_change_that_rests_on_a_request_cannot_be_made_by_authority() -> None:
    """R-1-1.1-DAT-02: the ground of a change fits its reason."""
    paper = Reception(form_no="R8-1", source=Source.ADMINISTRATION, document=Document.NOT_NEEDED)
    for reason in REASONS.values():
        codes = [f.code for f in rules.check_reception(paper, reason).errors]
        assert ("registry.ground_mismatch" in codes) is (reason.ground is Ground.NOTIFICATION)


AGAIN = table("yokushi_kaijo")["行"]


@pytest.mark.parametrize("row", AGAIN, ids=[row["場合"] for row in AGAIN])
def test_who_may_let_a_suppression_go_for_a_while_follows_the_table(row: dict[str, Any]) -> None:
    """R-1-B2-DAT-04, R-12-3.2-QUA-01, ADR 0011: once alone; again within a day only by somebody else."""
    before = [Release(by=by, until=until) for by, until in row["前の解除"]]
    assert may_release(before, "甲", table("yokushi_kaijo")["今"]) is (row["結果"] == "可")


NUMBERS = table("kojin_bango")["行"]


@pytest.mark.parametrize("row", NUMBERS, ids=[f"{r['様式']}-{r['項目']}-{r['入手元']}" for r in NUMBERS])
def test_a_number_that_is_set_right_names_where_it_came_from(row: dict[str, str]) -> None:
    """R-1-2.3-NUM-01: a correction is no way round the sources that an entry must name."""
    held = Record(
        atena_no="1",
        version_no=1,
        setai_no="2",
        member_order=1,
        is_head=True,
        status=Status.RESIDENT,
        kind=Kind.JAPANESE,
        valid_from=dt.date(2026, 4, 1),
        basic=Basic(name="番号　太郎", birth=dates.RegistryDate(1980, 4, 1)),
    )
    scene = Scene(today=dt.date(2026, 11, 20), records={"1": (held,)})
    given: dict[str, Any] = {
        "occurred_on": dates.RegistryDate(2026, 11, 20),
        "atena_no": "1",
        "items": {row["項目"]: my_number(1) if row["項目"].startswith("my_number") else "番号　次郎"},
    }
    given |= {"my_number_source": NumberSource(row["入手元"])} if row["入手元"] else {}
    if row["様式"] == "誤記修正":
        assert expected(row, correct.check(Correct(version_no=1, **given), scene, "none"))
    else:
        assert expected(row, correct.check_amend(Amend(reason="my_number_amend", **given), scene, "none"))


@pytest.mark.parametrize("text", table("tsuzukigara")["使える"])
def test_a_relationship_of_the_list_is_accepted(text: str) -> None:
    """標準仕様書 1.1: chains up to four generations."""
    assert is_relationship(text)


@pytest.mark.parametrize("text", table("tsuzukigara")["使えない"])
def test_a_relationship_outside_the_list_is_refused(text: str) -> None:
    """標準仕様書 1.1: no 祖父, 孫, 叔父; longer chains are 縁故者."""
    assert not is_relationship(text)


@pytest.mark.parametrize("row", table("tsuzukigara")["並び"])
def test_members_stand_in_the_order_of_the_register(row: dict[str, Any]) -> None:
    """標準仕様書 1.1: head, spouse, children by birth, their families, parents, siblings, others."""
    members = [
        Record(
            atena_no=str(i),
            version_no=1,
            setai_no="1",
            member_order=0,
            is_head=False,
            status=Status.RESIDENT,
            kind=Kind.JAPANESE,
            basic=Basic(name="試験", birth=dates.parse_iso(birth), relationship=relationship),
        )
        for i, (relationship, birth) in enumerate(row["世帯員"])
    ]
    assert [f"{m.basic.relationship} {m.basic.birth.iso()}" for m in order(members) if m.basic] == row["順"]


@pytest.mark.parametrize("row", table("tsuzukigara")["世帯主の交替"])
def test_a_relationship_that_was_said_of_the_old_head_is_looked_at_again(row: dict[str, str]) -> None:
    """標準仕様書 1.1, item 6: 続柄 is to the 世帯主; to a child that heads the household the mother is no 妻."""

    def version(atena_no: str, relationship: str, **more: Any) -> Record:
        given: dict[str, Any] = {
            "version_no": 1, "setai_no": "1", "member_order": 1, "status": Status.RESIDENT, "kind": Kind.JAPANESE,
            "is_head": relationship == "世帯主", "valid_from": dt.date(2026, 4, 1),
            "basic": Basic(name="続柄　某", birth=dates.RegistryDate(1980, 4, 1), relationship=relationship),
        }  # fmt: skip
        return Record(atena_no=atena_no, **(given | more))

    day = {"version_no": 2, "valid_from": dt.date(2026, 11, 20)}
    before = (version("1", "世帯主"), version("2", row["新世帯主"]), version("3", row["続柄"]))
    scene = Scene(today=dt.date(2026, 11, 20), records={record.atena_no: (record,) for record in before})
    fresh = (
        version("1", "世帯主", status=Status.DECEASED, **day | {"is_head": False}),
        version("2", "世帯主", **day),
        version("3", row["続柄"], **day),
    )
    unsaid, said = ((), (Position(atena_no="3", relationship=row["続柄"]),))
    found = rules.check_kept_relationships(scene, fresh, unsaid)
    assert [a.code for a in found.alerts] == (["registry.relationship_kept"] if row["結果"] == "確認" else [])
    assert not found.errors
    assert rules.check_kept_relationships(scene, fresh, said) == Findings()


@pytest.mark.parametrize("row", table("shien_sochi")["期間"])
def test_a_measure_lasts_one_year(row: dict[str, dt.date]) -> None:
    """R-1-B2-DAT-05: 2020-04-01 ends on 2021-03-31."""
    assert last_day(row["開始"]) == row["終了"]


@pytest.mark.parametrize("row", table("shien_sochi")["知らせ"])
def test_a_measure_warns_a_month_before_and_after_its_last_day(row: dict[str, Any]) -> None:
    """標準仕様書 3.4: never ends silently."""
    assert warning(row["終了"], row["今日"]) == row["結果"]


@pytest.mark.parametrize("row", table("shien_sochi")["末日"])
def test_the_last_day_of_a_measure_follows_the_table(row: dict[str, Any]) -> None:
    """R-1-B2-DAT-05: nobody is forgotten because an incumbent kept no last day, or because nothing is decided yet."""
    days = {name: row.get(name) for name in ("provisional_until", "starts_on", "ends_on")}
    content = SupportMeasure(name="支援", birth=dates.RegistryDate(1980, 4, 1, "S"), address="平", **days)
    measure = Measure(
        measure_no=1,
        version_no=1,
        state=MeasureState(row["状態"]),
        content=content,
        known_from=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        entered_by="op",
    )
    assert ends_of(measure) == (row["結果"] or None)


def _valued(name: str, given: Any) -> Any:
    """A value of the table as the item holds it."""
    kind = SupportMeasure.__annotations__[name]
    if kind == "Wish":
        wanted = given.startswith("希望する")
        return Wish(wanted=wanted, place=given.removeprefix("希望する" if wanted else "希望しない"))
    if isinstance(given, list):
        return tuple(given)
    if name == "birth":
        return dates.from_date(given)
    return None if given == "" and "None" in kind else given


LOOSENINGS = [(name, row) for row in table("shien_sochi")["緩和"] for name in row["項目"]]


@pytest.mark.parametrize(("name", "row"), LOOSENINGS, ids=[f"{n}-{r['前']}-{r['後']}" for n, r in LOOSENINGS])
def test_what_protects_somebody_less_needs_two_persons(name: str, row: dict[str, Any]) -> None:
    """R-12-3.2-QUA-01, R-1-B2-DAT-05: decided item by item; what one may do alone is the amendment without it."""
    plain = SupportMeasure(name="支援", birth=dates.RegistryDate(1980, 4, 1, "S"), address="平")
    old, new = (msgspec.structs.replace(plain, **{name: _valued(name, row[side])}) for side in ("前", "後"))
    assert loosened(old, new) == (() if row["人数"] == 1 else (name,))
    alone = tightened(old, new)
    assert loosened(old, alone) == ()
    assert (alone == new) is (row["人数"] == 1)


def test_every_item_of_a_measure_stands_in_the_table_of_what_two_persons_do() -> None:
    """A new item is classed by a person, and until then counts as protecting."""
    assert {name for name, _ in LOOSENINGS} == set(SupportMeasure.__struct_fields__)


def test_of_a_mixed_amendment_one_person_may_do_the_part_that_protects_more() -> None:
    """R-1-B2-DAT-05: nobody waits for protection because something else is taken away on the same form."""
    old = SupportMeasure(
        name="支援", birth=dates.RegistryDate(1980, 4, 1, "S"), address="平", contact="甲", feared="甲",
        copies=Wish(wanted=True), protected_with=("11", "22"),
    )  # fmt: skip
    new = msgspec.structs.replace(
        old, contact="乙", feared="甲と乙", copies=Wish(), browsing=Wish(wanted=True), protected_with=("22", "33")
    )
    assert loosened(old, new) == ("copies", "protected_with")
    alone = tightened(old, new)
    assert alone == msgspec.structs.replace(new, copies=Wish(wanted=True), protected_with=("11", "22", "33"))


def _suppressed(level: Level, *, released: bool = False, process: Process = Process.ISSUE) -> tuple[Suppression, ...]:
    day = dt.date(2026, 11, 20)
    return (
        Suppression(
            suppression_no=1,
            atena_no="1",
            process=process,
            level=level,
            starts_on=day,
            ends_on=None,
            set_by="op",
            reason="試験",
            released=released,
        ),
    )


STANDINGS = {
    "なし": Protection(atena_no="1"),
    "支援措置": Protection(atena_no="1", protected=True),
    "抑止エラー": Protection(atena_no="1", suppressions=_suppressed(Level.ERROR)),
    "抑止アラート": Protection(atena_no="1", suppressions=_suppressed(Level.ALERT)),
    "解除中": Protection(atena_no="1", suppressions=_suppressed(Level.ERROR, released=True)),
}


@pytest.mark.parametrize("standing", list(STANDINGS))
def test_who_may_be_given_a_certificate_follows_the_table_and_every_refusal_reads_the_same(standing: str) -> None:
    """R-1-B2-DAT-04, R-1-B2-DAT-05: the applicant learns nothing from a refusal."""
    rows = table("shien_sochi")["交付"]
    record = Record(
        atena_no="1", version_no=1, setai_no="9", member_order=1, is_head=True, status=Status.RESIDENT,
        kind=Kind.JAPANESE,
    )  # fmt: skip
    for relation, result in zip(rows["区分"], rows[standing], strict=True):
        requester = Requester(
            name="請求　人",
            identity=IdentityCheck.PHOTO,
            atena_no="2" if relation == "household" else "1",
            organisation="裁判所",
            authority="委任状",
        )
        asked = Application(
            relation=Relation(relation), requester=requester, persons=("1",), purpose="residence", ground="債権の保全"
        )
        verdict = judge(
            asked,
            (record,),
            household=frozenset({"1", "2"}),
            guards={"1": guard_of(STANDINGS[standing])},
            rights=frozenset(),
        )
        assert (verdict.refusal, verdict.fields) == ((NOT_AVAILABLE if result == "不可" else ""), {})
        assert bool(verdict.notice) is (result == "不可")
        assert bool(verdict.warnings) is (result == "注意")


AT_HOME = {
    "なし": Protection(atena_no="1"),
    "支援措置": Protection(atena_no="1", protected=True),
    "仮支援措置": Protection(atena_no="1", protected=True, provisional=True),
    "期間を過ぎた支援措置": Protection(atena_no="1", protected=True, overdue=True),
    "発行の抑止（停止）": Protection(atena_no="1", suppressions=_suppressed(Level.ERROR)),
    "発行の抑止（停止）の一時解除中": Protection(atena_no="1", suppressions=_suppressed(Level.ERROR, released=True)),
    "発行の抑止（注意）": Protection(atena_no="1", suppressions=_suppressed(Level.ALERT)),
    "照会の抑止（停止）": Protection(atena_no="1", suppressions=_suppressed(Level.ERROR, process=Process.INQUIRY)),
    "異動の抑止（停止）": Protection(atena_no="1", suppressions=_suppressed(Level.ERROR, process=Process.CHANGE)),
}


@pytest.mark.parametrize("row", table("kyosho")["行"], ids=[row["状態"] for row in table("kyosho")["行"]])
def test_whose_home_is_told_to_nobody_outside_follows_the_table(row: dict[str, str]) -> None:
    """R-1-B2-DAT-04, R-1-B2-DAT-05: one rule for what is printed and for what a machine is answered."""
    over = AT_HOME[row["状態"]]
    issue, inquiry = over.level(Process.ISSUE), over.level(Process.INQUIRY)
    assert keeps_home(over.protected, issue) is (row["証明書"] == "不可")
    assert guard_of(over).keeps_home is (row["証明書"] == "不可")
    assert keeps_home(over.protected, issue, inquiry) is (row["連携"] == "不可")


@pytest.mark.parametrize("row", table("kyosho")["記録"])
def test_whose_record_shows_where_somebody_lives_follows_the_table(row: dict[str, str]) -> None:
    """R-1-B2-DAT-04: who lives with somebody, or left a household with them, shows where they are."""
    shown, other = (
        Record(
            atena_no=str(n),
            version_no=1,
            setai_no=setai_no,
            member_order=n,
            is_head=False,
            status=Status(row[who]),
            kind=Kind.JAPANESE,
        )
        for n, who, setai_no in ((1, "記録", "9"), (2, "相手", "9" if row["世帯"] == "同じ" else "8"))
    )
    assert shares_home(shown, other) is (row["結果"] == "分かる")


@pytest.mark.parametrize(
    "row", table("kyosho")["住所"], ids=lambda row: f"{row['記録の項目']}-{row['相手']}-{row['結果']}"
)
def test_which_place_of_a_record_tells_where_somebody_lives_follows_the_table(row: dict[str, Any]) -> None:
    """R-1-B2-DAT-04: one address is one home, in whatever 世帯, however it is written and under whatever item it stands."""
    buildings = row.get("方書", ["", ""])
    place, home = (Place(text=row[name], building=b) for name, b in zip(("記録", "居所"), buildings, strict=True))
    shown, other = (
        Record(
            atena_no=str(n), version_no=1, setai_no=str(n), member_order=1, is_head=False, status=status,
            kind=Kind.JAPANESE, address=Address(), removal=Removal(),
        )
        for n, status in ((1, Status.RESIDENT), (2, Status(row["相手"])))
    )  # fmt: skip
    group, item = {
        "住所": ("address", "address"),
        "異動前住所": ("address", "moved_within_from"),
        "転入前住所": ("address", "previous_address"),
        "転出先": ("removal", "planned_address"),
    }[row["記録の項目"]]
    named = msgspec.structs.replace(getattr(shown, group), **{item: place})
    shown = msgspec.structs.replace(shown, **{group: named})
    lives = Address(address=home) if other.status is Status.RESIDENT else Address()
    went = Removal() if other.status is Status.RESIDENT else Removal(settled_address=home)
    other = msgspec.structs.replace(other, address=lives, removal=went)
    assert tells_home(shown, other) is (row["結果"] == "分かる")
