"""What the pages are made of: the 82 items, forms as values, double submits, templates, start-up."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from juki.console import menu, procedures, sections
from juki.console.actions import ACTIONS, OFFERED
from juki.console.form import Field, Form, fault_of, kana
from juki.console.once import Once
from juki.console.page import DONE, environment
from juki.console.procedures import PROCEDURES, About, Member
from juki.console.procedures.amending import as_said, as_written
from juki.console.procedures.newcomer import spaced
from juki.problem import Invalid
from juki.registry.model import ITEMS, Correct, Kind, MoveIn, Record, Relocate, Status
from juki.web import text_of

TEMPLATES = Path(sections.__file__).parent / "templates"
PLATFORM = Path(sections.__file__).parents[1]


def test_every_one_of_the_82_items_is_on_the_resident_page() -> None:
    """別添2 (1): each recorded item has its line, or its table on the same page, and shows what the record holds."""
    shown = {number for section in sections.SECTIONS for item in section.items for number in item.numbers}
    assert shown | sections.ELSEWHERE == set(range(1, 83)) == set(ITEMS)
    paths = {item.path for section in sections.SECTIONS for item in section.items}
    for number, homes in ITEMS.items():
        for home in homes:
            if home.startswith("table:") or number == 28:
                continue
            held = any(home == path or home.startswith(f"{path}.") for path in paths)
            assert held, f"item {number}: {home}"


def test_a_form_says_what_is_wrong_beside_the_field_and_keeps_what_was_typed() -> None:
    """標準仕様書 11: error with its field; the first thing said stands."""
    fields = (
        Field(name="a", label="氏名", required=True, max=5),
        Field(name="b", label="異動日", kind="date"),
        Field(name="c", label="区分", kind="select", options=(("x", "X"),)),
        Field(name="d", label="人", kind="checks", options=(("1", "一"), ("2", "二"))),
    )
    form = Form(fields, {"a": [""], "b": ["R8.2.30"], "c": ["y"], "d": ["1", "2"]})
    assert not form.check()
    assert set(form.errors) == {"a", "b", "c"}
    assert form.value("b") == "R8.2.30"
    assert form.value("d") == ["1", "2"]
    assert "カレンダー" in form.error("b") or form.error("b") == text_of("date.no_such_day", 422)
    assert Form(fields, {"a": ["六文字の名前"]}).check(["a"]) is False
    assert Form(fields, {"a": ["五文字名前"], "b": ["S55.4.1"], "c": ["x"]}).check()
    form.take(Invalid("x", fields={"deep.path.a": "invalid", "elsewhere": "invalid"}))
    assert form.error("form") == text_of("invalid", 422)


def test_a_paths_of_the_rules_lead_to_the_fields_of_the_paper() -> None:
    """A rule speaks of the record, the clerk sees the form."""
    assert procedures.field_of("persons.1.birth") == "p1_birth"
    assert procedures.field_of("person.name") == "p0_name"
    assert procedures.field_of("address.text") == "to_text"
    assert procedures.field_of("previous_address") == "from_text"
    assert procedures.field_of("reception.notifier") == "notifier"
    assert procedures.field_of("occurred_on") == "occurred_on"
    assert procedures.field_of("persons.1.card") == "p1_card_number"
    assert procedures.field_of("persons.1.foreigner.card_number") == "p1_card_number"


def test_what_is_wrong_stands_beside_what_is_right() -> None:
    """誤記修正: each item and its 正しい内容 are one row with a heading of its own."""
    rows = PROCEDURES["correct"].steps(About(atena_no="1"), 1)[1].fields
    pairs = [[f.name for f in members] for title, members in Form(rows).groups() if title]
    assert pairs == [*([f"item_{n}", f"value_{n}"] for n in range(4)), ["my_number_source"]]


def corrected(**values: str) -> Form:
    """誤りと正しい内容 as filled in."""
    given = {"reason": "correct", "version_no": "1", "occurred_on": "R8.11.20"} | values
    return Form(PROCEDURES["correct"].steps(About(atena_no="1"), 1)[1].fields, {k: [v] for k, v in given.items()})


@pytest.mark.parametrize(
    ("path", "typed", "written"),
    [
        ("basic.sex", "女", "2"),
        ("basic.name_priority", "通称", "alias"),
        ("basic.name_kana_confirmed", "該当", "1"),
        ("basic.name_kana_confirmed", "", "0"),
        ("basic.name", "NGUYEN　VAN  AN", "NGUYEN VAN AN"),
        ("basic.name_kana", "さとう まい", "サトウ　マイ"),
        ("notes.remarks", "該当", "該当"),
    ],
)
def test_a_correction_is_typed_in_the_words_of_the_screen(path: str, typed: str, written: str) -> None:
    """誤記修正: no clerk knows codes; a form handed back shows the words again."""
    form = corrected(item_0=path, value_0=typed)
    change = PROCEDURES["correct"].build(About(atena_no="1"), form)
    assert isinstance(change, Correct)
    assert change.items == {path: written}
    assert as_written(path, as_said(path, written)) == written


def test_an_item_is_corrected_once_and_told_of_in_its_own_row() -> None:
    """誤記修正: what is wrong with the second item stands in the second row."""
    with pytest.raises(Invalid, match="twice") as refused:
        PROCEDURES["correct"].build(About(atena_no="1"), corrected(item_0="basic.alias", item_1="basic.alias"))
    assert refused.value.fields == {"item_1": "registry.item_twice"}
    with pytest.raises(Invalid, match="no item") as refused:
        PROCEDURES["correct"].build(About(atena_no="1"), corrected(item_0="basic.alias", value_1="山田"))
    assert refused.value.fields == {"item_1": "registry.required"}
    form = corrected(item_0="basic.alias", item_1="basic.birth", value_1="R99.1.1")
    procedures.place_findings(form, {"items.basic.birth": "date.unreadable", "items": "registry.nothing_changes"})
    assert set(form.errors) == {"value_1", "item_0"}


def test_a_name_is_parted_as_its_letters_are() -> None:
    """氏名 [1]: a full-width space between kanji, a half-width one between roman letters, as on the residence card."""
    assert spaced("相双  花子") == "相双　花子"
    assert spaced("NGUYEN　THI MAI") == "NGUYEN THI MAI"


def test_every_procedure_has_pages_whose_fields_are_named_once() -> None:
    """One page per step of the paper; nothing asked twice."""
    about = About(
        atena_no="1",
        setai_no="9",
        members=[
            Member(atena_no="1", name="一", relationship="世帯主"),
            Member(atena_no="2", name="二", relationship="妻"),
        ],
    )
    for procedure in PROCEDURES.values():
        steps = procedure.steps(about, 2)
        names = [field.name for step in steps for field in step.fields]
        assert len(names) == len(set(names)), procedure.slug
        assert len(steps) >= 2


def test_a_form_becomes_the_change_it_says() -> None:
    """転入 and 転居 as values, whatever way dates and names were typed."""
    given = {
        "reason": ["move_in"], "occurred_on": ["令和8年11月20日"], "to_text": ["福島県いわき市平1"], "to_postal": ["970-8686"],
        "persons": ["2"], "p0_name": ["磐城 海"], "p0_birth": ["H5.7.20"], "p0_sex": ["1"], "p0_relationship": ["世帯主"],
        "p0_my_number": ["1234 5678 9018"], "p1_name": ["磐城　空"], "p1_birth": ["昭和65年頃"], "p1_relationship": ["子"],
    }  # fmt: skip
    steps = PROCEDURES["move-in"].steps(About(), 2)
    form = Form([f for step in steps for f in step.fields], given)
    change = PROCEDURES["move-in"].build(About(), form)
    assert isinstance(change, MoveIn)
    assert change.occurred_on.iso() == "2026-11-20"
    assert change.address.postal == "9708686"
    assert [p.name for p in change.persons] == ["磐城　海", "磐城　空"]
    assert change.persons[0].my_number == "123456789018"
    about = About(atena_no="1", members=[Member(atena_no="1", name="一", relationship="世帯主")])
    steps = PROCEDURES["relocate"].steps(about, 1)
    form = Form(
        [f for step in steps for f in step.fields], {"who": ["1"], "occurred_on": ["R8.11.20"], "rel_1": ["世帯主"]}
    )
    moved = PROCEDURES["relocate"].build(about, form)
    assert isinstance(moved, Relocate)
    assert (moved.atena_nos, moved.positions[0].relationship) == (("1",), "世帯主")


async def test_the_same_page_is_carried_out_once_and_a_failure_may_be_tried_again() -> None:
    """Double submit, also at the same moment."""
    once, done = Once(), []

    async def act() -> int:
        await asyncio.sleep(0.01)
        done.append(1)
        return 7

    assert await asyncio.gather(once.run("k", act), once.run("k", act)) == [7, 7]
    assert await once.run("k", act) == 7
    assert len(done) == 1

    async def fail() -> int:
        raise Invalid("x")

    for _ in range(2):
        with pytest.raises(Invalid):
            await once.run("f", fail)
    assert await once.run("f", act) == 7


def test_templates_escape_everything_and_stop_on_a_name_they_were_not_given() -> None:
    """No markup from data, no silent blank."""
    env = environment()
    assert env.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(UndefinedError):
        env.from_string("{{ nothing }}").render()
    for file in TEMPLATES.glob("*.html"):
        source = file.read_text(encoding="utf-8")
        env.parse(source)
        assert "|safe" not in source, file.name
        assert not re.search(r"<script(?! src)|style=|\son\w+=", source), file.name


def test_every_form_that_posts_carries_the_pages_own_token() -> None:
    """CSRF: log-in and enrolment have no session yet; every other form has the token."""
    for file in TEMPLATES.glob("*.html"):
        source = file.read_text(encoding="utf-8")
        for form in re.findall(r'<form[^>]*method="post".*?</form>', source, re.DOTALL):
            assert "token(page)" in form or file.name in ("login.html", "again.html"), file.name


def test_no_page_speaks_english_to_the_clerk() -> None:
    """Plain Japanese: no English sentence in any template or confirmation."""
    for file in TEMPLATES.glob("*.html"):
        text = re.sub(r"\{[%{#].*?[%}#]\}|<[^>]*>", " ", file.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.findall(r"[A-Za-z]{3,} [A-Za-z]{2,} [A-Za-z]{2,}", text), file.name
    assert all(text.endswith("。") for text in DONE.values())
    keys = [entry.key for entry in menu.ENTRIES if entry.key]
    assert len(keys) == len(set(keys))


def test_serving_without_a_setting_names_it_and_exits_with_4() -> None:
    """Bad input: one clear line with the remedy, the right exit code."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")} | {"JUKI_HOME": "/nonexistent/juki"}
    done = subprocess.run([sys.executable, "-m", "juki", "serve"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "JUKI_DSN_REGISTRY" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_over_a_database_that_is_gone_says_so_and_exits_with_3() -> None:
    """Database gone: unavailable, try again."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")}
    env |= {
        "JUKI_HOME": "/nonexistent/juki",
        "JUKI_ORIGIN": "https://juki.example.lg.jp",
        "JUKI_DSN_REGISTRY": "host=127.0.0.1 port=9 user=x dbname=x connect_timeout=2",
    }
    done = subprocess.run([sys.executable, "-m", "juki", "serve"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_no_value_of_a_record_or_doer_of_an_import_reads_as_a_code() -> None:
    """項目80 and the history of imported residents are said in the paper's words."""
    record = Record(
        atena_no="1",
        version_no=1,
        setai_no="1",
        member_order=1,
        is_head=True,
        status=Status.RESIDENT,
        kind=Kind.JAPANESE,
    )
    assert {sections.read(value, record, "basic.name_priority") for value in ("name", "alias")} == {"氏名", "通称"}
    form = Form([])
    form.wrong("form", "この請求では交付できません。")
    summary: str = environment().get_template("macros.html").module.summary(form)
    assert "この請求では交付できません。" in summary
    assert ">form<" not in summary


def test_every_operation_of_the_platform_has_a_name_in_the_log() -> None:
    """R-A-3.3-LOG-01: whoever reads the log reads Japanese, whichever room the operation came from."""
    source = "".join(file.read_text(encoding="utf-8") for file in PLATFORM.rglob("*.py"))
    named = set(re.findall(r'\b(?:route|operation)\((?:\s*fleet,\s*[\w.()]+,)?\s*"([a-z]+\.[a-z_]+)"', source))
    assert {"resident.read", "change.enter", "session.login", "protection.release", "audit.list"} <= named
    assert named - set(ACTIONS) == set()
    assert {code for code, _ in OFFERED} <= set(ACTIONS)


def test_numbers_and_kana_are_read_in_any_width() -> None:
    """As pasted from a card or another program: full-width digits, hyphens, half-width kana, hiragana."""
    fields = (
        Field(name="n", label="個人番号", kind="number", max=12, rule="my_number"),
        Field(name="k", label="フリガナ", rule="kana"),
    )
    form = Form(fields, {"n": ["１２３４－５６７８－９０１８"], "k": ["ﾜﾀﾅﾍﾞ いちろう"]})
    assert form.check(), form.errors
    assert (form.text("n"), form.text("k")) == ("123456789018", "ワタナベ　イチロウ")
    assert "検査用数字" in fault_of("my_number", "123456789012")
    assert "12桁" in fault_of("my_number", "12345678901")
    assert fault_of("resident_code", "12345678901") == ""
    assert fault_of("postal", "97000") != ""
    assert kana("　サトウ 　ハナコ ") == "サトウ　ハナコ"
    assert fault_of("kana", "佐藤") != ""
    assert not Form(fields, {"n": ["x" * 50]}).check()
