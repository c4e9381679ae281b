"""引渡し: sealed to the municipality's key, opened by it alone, and equal when taken into another register."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from juki import audit, offboarding
from juki.access import roster, store
from juki.access.bootstrap import Made, OutsideHours, People, Person, bootstrap
from juki.access.model import Caller, system
from juki.audit import Filter, operation
from juki.offboarding.model import CaseState
from juki.problem import Conflict, Refused, Unavailable
from juki.tenancy import connect
from juki.vault import DoesNotOpen, box

from ..registry.conftest import Desk, three
from ..web.counter import POLICY
from .conftest import Leaver


async def lived_in(leaver: Leaver, caller: Callable[..., Caller]) -> None:
    """Two families in the register, one of them still a draft."""
    desk = Desk(leaver.fleet, caller, leaver.code)
    await desk.make(three("渡邊"))
    await desk.enter(three("髙橋"))


async def handed_over(leaver: Leaver, caller: Callable[..., Caller], folder: Path) -> None:
    """What lived there exported to `out` and opened by the municipality in `opened`."""
    await lived_in(leaver, caller)
    await leaver.approved()
    await offboarding.export(leaver.fleet, leaver.asker, folder / "out")
    offboarding.open_export(folder / "out", leaver.private_key, folder / "opened")


async def test_an_export_opens_with_the_municipalitys_key_alone_and_comes_back_equal(
    leaver: Leaver, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """R-1-3.3-MED-01, R-1-3.4-OUT-06: nothing leaves unsealed, and nothing is lost on the way."""
    await lived_in(leaver, caller)
    await leaver.approved()
    exported = await offboarding.export(leaver.fleet, leaver.asker, tmp_path / "out")
    assert exported.balanced
    assert exported.residents == 3
    assert exported.log_entries > 3
    assert leaver.case().state is CaseState.EXPORTED
    written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert {p.suffix for p in written} == {".box", ".json"}
    assert not any("渡邊".encode() in p.read_bytes() for p in written)
    stranger, _ = box.new_key_pair()
    with pytest.raises(DoesNotOpen):
        offboarding.open_export(tmp_path / "out", stranger, tmp_path / "stolen")
    assert not any(p.is_file() for p in (tmp_path / "stolen").rglob("*"))
    offboarding.open_export(tmp_path / "out", leaver.private_key, tmp_path / "opened")
    assert "渡邊" in (tmp_path / "opened" / "residents.csv").read_text(encoding="utf-8")
    log = (tmp_path / "opened" / "audit_log.jsonl").read_bytes().splitlines()
    assert len(log) == exported.log_entries
    assert any(msgspec.json.decode(line)["action"] == "registry.confirm" for line in log)
    compared = await offboarding.compare(leaver.config, leaver.fleet.kms, leaver.code, tmp_path / "opened")
    assert compared.equal, compared.differences
    assert compared.rows["residents.csv"] == 3
    with connect(leaver.config, "deploy") as connection:
        assert connection.execute("SELECT count(*) FROM control.tenant WHERE code LIKE '99%'").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't99%'").fetchone() == (0,)


async def test_everybody_whose_record_leaves_has_a_disclosure_row(
    leaver: Leaver, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """R-A-3.3-LOG-01, P-3-3: whose record, which items, to whom, on what ground; found by person, and 個人番号 marked."""
    await handed_over(leaver, caller, tmp_path)
    with (tmp_path / "opened" / "residents.csv").open(encoding="utf-8", newline="") as file:
        people = {row["atena_no"] for row in csv.DictReader(file)}
    wanted = Filter(action="offboard.export")
    (logged,) = await leaver.operate(leaver.auditor, lambda op: audit.listing(op, wanted), "audit.read")
    assert {d.atena_no for d in logged.disclosures} == people
    assert len(logged.disclosures) == len(people) == 3
    for row in logged.disclosures:
        assert (row.items, row.to, row.basis, row.medium) == (("record",), "試験町", "利用終了の引渡し", "export")
        assert row.my_number
    someone = min(people)
    found = await leaver.operate(leaver.auditor, lambda op: audit.about(op, someone), "audit.read")
    assert any(entry.op_no == logged.op_no for entry in found)


async def test_a_changed_row_is_found_by_the_comparison(
    leaver: Leaver, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """The comparison notices one letter in one row of one file."""
    await handed_over(leaver, caller, tmp_path)
    residents = tmp_path / "opened" / "residents.csv"
    residents.write_text(residents.read_text(encoding="utf-8").replace("渡邊", "渡辺", 1), encoding="utf-8", newline="")
    with pytest.raises(Exception, match=r"legacy\.standard_file"):
        await offboarding.compare(leaver.config, leaver.fleet.kms, leaver.code, tmp_path / "opened")


async def test_an_export_that_was_cut_cannot_be_taken_for_one(
    leaver: Leaver, caller: Callable[..., Caller], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest is written last; without it nothing opens, the case stays where it was, and a new folder is needed."""
    await lived_in(leaver, caller)
    await leaver.approved()

    async def cut(*_: object) -> int:
        raise Unavailable("db.gone", "test")

    with monkeypatch.context() as patch, pytest.raises(Unavailable):
        patch.setattr("juki.offboarding.hand_over._write_log", cut)
        await offboarding.export(leaver.fleet, leaver.asker, tmp_path / "out")
    assert leaver.case().state is CaseState.LEAVING
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(Conflict) as refused:
        await offboarding.export(leaver.fleet, leaver.asker, tmp_path / "out")
    assert refused.value.code == "offboarding.export_exists"
    exported = await offboarding.export(leaver.fleet, leaver.asker, tmp_path / "again")
    assert exported.balanced


async def test_nothing_is_exported_while_the_counter_is_open(leaver: Leaver, tmp_path: Path) -> None:
    """An export of a register that still changes would not be the last word."""
    await leaver.ask()
    with pytest.raises(Exception, match=r"offboarding\.no_case"):
        await offboarding.export(leaver.fleet, leaver.asker, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_whose_ids_stand_in_the_log_goes_along_without_any_secret(leaver: Leaver, tmp_path: Path) -> None:
    """R-A-3.3-LOG-01: accounts with names and duties, machines and terminals; a register taking the rest ignores them."""
    made, digests = await _staffed(leaver)
    await leaver.approved()
    exported = await offboarding.export(leaver.fleet, leaver.asker, tmp_path / "out")
    offboarding.open_export(tmp_path / "out", leaver.private_key, tmp_path / "opened")
    raw = (tmp_path / "opened" / "staff.jsonl").read_bytes()
    entries = [msgspec.json.decode(line) for line in raw.splitlines()]
    staff = {e["login_name"]: e for e in entries if e["kind"] == "operator"}
    assert {(login, e["name"]) for login, e in staff.items()} == {
        ("kacho.s", "須賀川　七海"),
        ("kansa.s", "喜多方　六花"),
    }
    assert {e["actor_id"] for e in staff.values()} == {o.operator_id for o in made.operators}
    (duty,) = staff["kansa.s"]["duties"]
    assert (duty["duty"], duty["state"], duty["approved_by"]) == ("監査", "granted", staff["kacho.s"]["actor_id"])
    assert "audit.read" in duty["rights"]
    assert staff["kansa.s"]["steps"]
    assert sum(e["kind"] == "machine" for e in entries) == 50
    assert {e["terminal_id"] for e in entries if e["kind"] == "terminal"} == {t.id for t in made.terminals}
    hidden = (
        [s for o in made.operators for s in (o.password, o.otp_secret)] + [t.token for t in made.terminals] + digests
    )
    assert len(digests) == 2
    assert not any(secret.encode() in raw for secret in hidden)
    assert b"argon2" not in raw
    assert exported.files == len(list((tmp_path / "out").rglob("*.box")))
    compared = await offboarding.compare(leaver.config, leaver.fleet.kms, leaver.code, tmp_path / "opened")
    assert compared.equal, compared.differences


async def test_the_list_of_staff_is_not_for_every_clerk(leaver: Leaver) -> None:
    """R-A-3.3-ACC: names and duties of all staff are read by whoever keeps accounts or takes the register along."""
    with pytest.raises(Refused) as refused:
        await leaver.operate(leaver.auditor, lambda op: roster.listing(op.work), "audit.read")
    assert refused.value.code == "access.right_missing"


async def _staffed(leaver: Leaver) -> tuple[Made, list[str]]:
    """Two accounts; what was handed out once, and the digests of their passwords."""
    caller = system(leaver.code, "bootstrap", {"account.manage"})
    async with operation(leaver.fleet, caller, "access.bootstrap", purpose="試験", right="account.manage") as op:
        made = await bootstrap(op.work, _people())
        held = await op.session.fetch("SELECT operator_id FROM {t}.credential")
        credentials = [await store.credential(op.session, op.ring, row[0]) for row in held]
    return made, [known.secret.password_digest for known in credentials if known is not None]


def _people() -> People:
    rows = (("kacho.s", "須賀川　七海", "管理者"), ("kansa.s", "喜多方　六花", "監査"))
    return People(
        approved_by="kacho.s",
        operator=tuple(
            Person(login=login, name=name, staff_no=f"9{n:03d}", office=POLICY["075418"], duties=(duty,))
            for n, (login, name, duty) in enumerate(rows)
        ),
        outside_hours=OutsideHours(hours=24, reason="試験"),
        change_password_at_first_login=False,
    )
