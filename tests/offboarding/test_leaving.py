"""利用終了: asked for, approved, erased, certified."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from juki import offboarding
from juki.offboarding.model import Backup, CaseState
from juki.problem import Conflict, Invalid, NotFound, Refused
from juki.tenancy import backup, digest, read_file
from juki.vault import KeyState, Purged, open_kms

from .conftest import ROOT, Leaver, signatory

Quiet = Callable[..., None]


async def test_the_person_who_asked_may_not_approve(leaver: Leaver) -> None:
    """R-1-3.4-OUT-08: the municipality's consent is given by somebody else than who asked."""
    await leaver.ask()
    both = leaver.person("op-asks", "offboard.request", "offboard.approve")
    with pytest.raises(Refused) as refused:
        await leaver.operate(both, lambda op: offboarding.approve(op, "0" * 64), "offboard.approve")
    assert refused.value.code == "offboarding.same_person"


async def test_approval_names_the_key_the_owner_told(leaver: Leaver) -> None:
    """A key swapped on the way is noticed by whoever approves."""
    await leaver.ask()
    with pytest.raises(Conflict) as refused:
        await leaver.operate(leaver.approver, lambda op: offboarding.approve(op, "0" * 64), "offboard.approve")
    assert refused.value.code == "offboarding.other_key"


async def test_without_a_public_key_nothing_is_asked_for(leaver: Leaver) -> None:
    """Export key missing: the request is refused before it is written."""
    with pytest.raises(Invalid) as refused:
        await leaver.operate(leaver.asker, lambda op: offboarding.request(op, "no key"), "offboard.request")
    assert refused.value.code == "vault.recipient_key"
    with pytest.raises(NotFound):
        await leaver.operate(leaver.asker, offboarding.wish)


async def test_a_leaving_municipality_takes_no_more_changes_and_can_turn_back(leaver: Leaver) -> None:
    """The export is the last word; until the erasure begins the municipality may withdraw."""
    await leaver.approved()
    with pytest.raises(Refused) as refused:
        await leaver.fleet.tenant(leaver.code)
    assert refused.value.code == "tenant.leaving"
    wish = await leaver.operate(leaver.asker, lambda op: offboarding.withdraw(op, leaver.config))
    offboarding.give_back(leaver.config, leaver.code, wish)
    assert (await leaver.fleet.tenant(leaver.code)).state == "active"


async def test_the_erasure_waits_for_the_grace_period_and_for_its_witnesses(leaver: Leaver) -> None:
    """Nothing is destroyed early, nor without the persons who will verify and validate."""
    await leaver.approved()
    leaver.handed_over(days=30)
    with pytest.raises(Conflict) as lonely:
        await offboarding.start(leaver.fleet, leaver.asker, signatory("", "実施"))
    assert lonely.value.code == "offboarding.no_witness"
    await leaver.appointed()
    with pytest.raises(Refused) as early:
        await offboarding.start(leaver.fleet, leaver.asker, signatory("", "実施"))
    assert early.value.code == "offboarding.grace_running"
    started = await offboarding.start(leaver.fleet, leaver.asker, signatory("", "実施"), waive_grace=True)
    assert started.state is CaseState.ERASING


async def test_nobody_but_the_municipality_can_start_an_erasure(leaver: Leaver) -> None:
    """R-1-2.6-RET-04: without the municipality's right the attempt is refused and stands in its log."""
    await leaver.approved()
    await leaver.appointed()
    leaver.handed_over()
    with pytest.raises(Refused) as refused:
        await offboarding.start(leaver.fleet, leaver.person("op-stranger", "system.check"), signatory("", "実施"))
    assert refused.value.code == "access.right_missing"
    with pytest.raises(Conflict):
        await offboarding.carry_out(leaver.fleet, leaver.code, lambda *_: None)


async def test_the_whole_road_leaves_nothing_and_certifies_only_what_was_seen(
    leaver: Leaver, quiet: Quiet, tmp_path: Path
) -> None:
    """NIST SP 800-88 Rev. 2, 4.5 and 4.6; R-1-2.6-RET-05: erased, verified, validated, certified; a backup opens nothing."""
    neighbour = digest(leaver.config, "072044")
    dump = tmp_path / "before.dump"
    backup.take(leaver.config, leaver.code, dump)
    assert offboarding.try_backup(leaver.fleet.kms, leaver.admin_dsn, leaver.code, dump) == "OPENS"
    codes = await leaver.erasing()
    ring = await leaver.fleet.keyring.get(leaver.code)
    key_id = (await leaver.fleet.tenant(leaver.code, states=offboarding.STATES)).key_id
    left_behind = leaver.config.home_path / f"worklist-{leaver.code}" / "rows.bin"
    left_behind.parent.mkdir()
    left_behind.write_bytes(b"sealed rows")
    neighbours = leaver.config.home_path / "witness" / "072044" / f"00000000{leaver.code}9.checkpoint"
    neighbours.parent.mkdir(parents=True, exist_ok=True)
    neighbours.write_text("a head whose number happens to hold the code")
    case = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    assert case.state is CaseState.ERASED
    assert case.key_disabled_at is not None
    assert case.key_deletion_due is not None
    assert (case.key_deletion_due - case.key_disabled_at).days == 7
    assert leaver.fleet.kms.state(key_id) is KeyState.PENDING_DELETION
    assert not left_behind.parent.exists()
    assert neighbours.read_text() == "a head whose number happens to hold the code"
    assert (offboarding.case_folder(leaver.config, case) / "audit" / "entries.jsonl").stat().st_size > 0
    with pytest.raises(Purged):
        ring.seal("machine_client", "secret", "mc-000001", 1, b"x")
    with pytest.raises(NotFound):
        await leaver.fleet.tenant(leaver.code)
    assert digest(leaver.config, "072044") == neighbour

    with pytest.raises(Conflict):
        offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    tried = offboarding.try_backup(leaver.fleet.kms, leaver.admin_dsn, leaver.code, dump)
    assert tried == "opens nothing"
    seen = offboarding.look(leaver.config, leaver.fleet.kms, leaver.code, tried)
    assert offboarding.is_finished(seen)
    sign(leaver, "verified", codes["verified"], offboarding.checks_of(seen))
    sign(leaver, "validated", codes["validated"], {})
    issued = offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    assert not issued.final
    read = offboarding.check(Path(issued.json).read_bytes())
    assert read is not None
    met = {c.id: c.met for c in read.conditions}
    assert met["key-copies-destroyed"]
    assert met["restored-backup-opens-nothing"]
    assert not met["module-validated"]
    assert not met["key-hierarchy-destroyed"]
    assert str(read.method) == "主張しない"
    assert {p.duty for p in read.persons} == {"performed", "verified", "validated"}
    assert Path(issued.pdf).read_bytes().startswith(b"%PDF")


def sign(
    leaver: Leaver, duty: offboarding.witness.Duty, code: str, checks: dict[str, str], accepted: bool = True
) -> None:
    """A finding by whoever holds the code."""
    offboarding.sign(
        leaver.config, leaver.code, duty, signatory(code, duty), accepted=accepted, remarks="", checks=checks,
        now=leaver.fleet.clock(),
    )  # fmt: skip


async def test_a_certificate_with_one_byte_changed_is_not_one(leaver: Leaver, quiet: Quiet) -> None:
    """The signature covers the bytes of the certificate as they stand."""
    codes = await leaver.erasing()
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {})
    sign(leaver, "validated", codes["validated"], {})
    issued = offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    content = Path(issued.json).read_bytes()
    assert offboarding.check(content) is not None
    assert offboarding.check(content.replace("試験町".encode(), "試験村".encode(), 1)) is None


async def test_after_the_key_is_gone_the_certificate_is_final_and_still_claims_no_more_than_it_can(
    leaver: Leaver, quiet: Quiet
) -> None:
    """Two dates: before the second the deletion can be cancelled, and the certificate says so."""
    codes = await leaver.erasing()
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {})
    sign(leaver, "validated", codes["validated"], {})
    first = offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    later = leaver.fleet.clock() + dt.timedelta(days=8)
    kms = open_kms(leaver.config.kms_spec, clock=lambda: later)
    final = offboarding.issue(leaver.config, kms, leaver.code, later)
    assert (first.final, final.final, final.number) == (False, True, 2)
    read = offboarding.check(Path(final.json).read_bytes())
    assert read is not None
    assert read.key_deleted_seen_at == later
    assert {c.id for c in read.conditions if not c.met} >= {"module-validated", "plaintext-never-written"}
    assert str(read.method) == "主張しない"


async def test_a_finding_changed_afterwards_stops_the_certificate(leaver: Leaver, quiet: Quiet) -> None:
    """A paper is known by its digest; another one in its place is not taken for it."""
    codes = await leaver.erasing()
    case = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {})
    sign(leaver, "validated", codes["validated"], {})
    paper = offboarding.case_folder(leaver.config, case) / "validated.json"
    paper.write_bytes(paper.read_bytes().replace("課長".encode(), "町長".encode()))
    with pytest.raises(Conflict) as refused:
        offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    assert refused.value.code == "offboarding.paper_changed"


async def test_a_code_carries_its_own_duty_only_and_a_rejected_erasure_is_done_again(
    leaver: Leaver, quiet: Quiet
) -> None:
    """Rev. 2, 4.5: verification and validation are two records of two persons; not accepted means done again."""
    tonight = (leaver.fleet.clock() + dt.timedelta(days=1)).replace(hour=16)  # the next day already in Japan
    leaver.fleet.clock = lambda: tonight
    codes = await leaver.erasing()
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    told = {step.step: step.facts for step in offboarding.status(leaver.config, leaver.code).steps}
    declared = msgspec.json.decode(str(told["backups"]["declared"]), type=list[Backup])
    kept = read_file(ROOT / "tenants" / "075418-hirono.toml").leaving.backups
    assert kept
    assert [b.expires_on for b in declared] == [tonight.date() + dt.timedelta(days=1 + each.keep_days) for each in kept]
    with pytest.raises(Refused) as refused:
        sign(leaver, "verified", codes["validated"], {})
    assert refused.value.code == "offboarding.not_this_person"
    sign(leaver, "verified", codes["verified"], {}, accepted=False)
    assert leaver.case().state is CaseState.REJECTED
    before = leaver.case()
    now = leaver.fleet.clock()
    leaver.fleet.clock = lambda: now + dt.timedelta(days=1)
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    assert leaver.case().state is CaseState.ERASED
    assert leaver.case().key_deletion_due == before.key_deletion_due
    told = {step.step: step.facts for step in offboarding.status(leaver.config, leaver.code).steps}
    assert before.key_deletion_due is not None
    assert told["kms"]["due"] == before.key_deletion_due.isoformat(timespec="seconds")


async def test_a_second_run_over_an_erased_municipality_changes_nothing(leaver: Leaver, quiet: Quiet) -> None:
    """Running again is harmless."""
    await leaver.erasing()
    first = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    again = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    assert msgspec.structs.asdict(first) == msgspec.structs.asdict(again)
