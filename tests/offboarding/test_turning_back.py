"""Leaving that is interrupted, taken back, or disturbed from outside: nothing is erased that nobody wants erased any more."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import sql

from juki import audit, offboarding
from juki.audit import verifier
from juki.offboarding import store
from juki.offboarding.model import ERASE_STEPS, CaseState, Step
from juki.problem import Conflict, Refused
from juki.tenancy import TenantFile, add, backup, connect, list_tenants
from juki.tenancy.erasing import Eraser
from juki.tenancy.halting import halt
from juki.tenancy.provisioning import change_state
from juki.vault import KeyState, KmsGone, KmsRefused, KmsSlow, box, open_kms

from .conftest import Leaver, signatory, tenant_file
from .test_leaving import Quiet, sign


async def taken_back(leaver: Leaver) -> offboarding.Wish:
    """取下げ, as far as the municipality's own row."""
    return await leaver.operate(leaver.asker, lambda op: offboarding.withdraw(op, leaver.config))


async def test_an_operator_cannot_open_the_counter_of_a_leaving_municipality(leaver: Leaver) -> None:
    """What is written after the export would be erased with the rest: resuming is not withdrawing (R-1-3.4-OUT-08)."""
    await leaver.approved()
    with pytest.raises(Conflict) as refused:
        await asyncio.to_thread(halt, leaver.config, leaver.code, "active", actor="os:ops", reason="mistake")
    assert refused.value.code == "tenant.leaving_stays"
    await asyncio.to_thread(halt, leaver.config, leaver.code, "suspended", actor="os:ops", reason="drill")
    resumed = await asyncio.to_thread(halt, leaver.config, leaver.code, "active", actor="os:ops", reason="drill over")
    assert resumed.state == "leaving"
    with pytest.raises(Refused) as closed:
        await leaver.fleet.tenant(leaver.code)
    assert closed.value.code == "tenant.leaving"


async def test_after_a_withdrawal_a_suspended_municipality_is_resumed_as_any_other(leaver: Leaver) -> None:
    """The case is what keeps the counter closed, and it is over."""
    await leaver.approved()
    wish = await taken_back(leaver)
    await asyncio.to_thread(halt, leaver.config, leaver.code, "suspended", actor="os:ops", reason="drill")
    offboarding.give_back(leaver.config, leaver.code, wish)
    resumed = await asyncio.to_thread(halt, leaver.config, leaver.code, "active", actor="os:ops", reason="drill over")
    assert resumed.state == "active"


async def test_nothing_is_handed_over_or_erased_while_the_counter_is_open(leaver: Leaver) -> None:
    """Whatever opened it: an erasure of a register that has changed since its export would lose the changes."""
    await leaver.approved()
    await leaver.appointed()
    leaver.handed_over()
    with connect(leaver.config, "deploy") as deploy:
        change_state(deploy, leaver.code, "active", actor="test")
    leaver.fleet.forget(leaver.code)
    with pytest.raises(Conflict) as refused:
        await offboarding.start(leaver.fleet, leaver.asker, signatory("", "実施"))
    assert refused.value.code == "offboarding.counter_open"
    assert leaver.case().state is CaseState.EXPORTED


async def test_a_request_that_was_taken_back_is_not_erased_though_the_withdrawal_was_cut(leaver: Leaver) -> None:
    """The municipality's own word counts, not how far the program came with it (R-1-2.6-RET-04)."""
    await leaver.approved()
    await leaver.appointed()
    leaver.handed_over()
    await taken_back(leaver)  # and then the command was killed
    with pytest.raises(Conflict) as refused:
        await offboarding.start(leaver.fleet, leaver.asker, signatory("", "実施"))
    assert refused.value.code == "offboarding.withdrawn"
    assert leaver.case().state is CaseState.EXPORTED


async def test_a_new_request_after_a_withdrawal_that_was_cut_gets_its_own_case_and_key(leaver: Leaver) -> None:
    """Neither the former key nor the former export and its grace period count for it (R-1-3.4-OUT-08)."""
    before = await leaver.approved()
    leaver.handed_over()
    await taken_back(leaver)  # and then the command was killed
    leaver.private_key, leaver.public_key = box.new_key_pair()
    case = await leaver.approved()
    assert case.case_no != before.case_no
    assert case.public_key == leaver.public_key.decode()
    assert (case.state, case.exported_at, case.export_digest) == (CaseState.LEAVING, None, "")
    with store.control(leaver.config) as connection:
        former = connection.execute(
            "SELECT state FROM control.offboarding WHERE case_no = %s", (before.case_no,)
        ).fetchone()
    assert former == ("withdrawn",)


async def test_a_withdrawal_after_the_erasure_has_begun_is_refused_and_not_written(leaver: Leaver) -> None:
    """Of a withdrawal and a start one comes first; the municipality's row never says the contrary of what happened."""
    await leaver.erasing()
    with pytest.raises(Conflict) as refused:
        await taken_back(leaver)
    assert refused.value.code == "offboarding.wrong_state"
    assert (await leaver.operate(leaver.asker, offboarding.wish)).decision == "approved"


async def test_a_kms_that_does_not_answer_does_not_show_that_a_backup_opens_nothing(
    leaver: Leaver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NIST SP 800-88 Rev. 2, 4.5.1: silence and a refusal of this process are no evidence; only the key's own state is."""
    dump = tmp_path / "before.dump"
    backup.take(leaver.config, leaver.code, dump)
    for fault in (KmsGone(detail="test"), KmsSlow(detail="test"), KmsRefused(detail="AccessDeniedException")):
        with monkeypatch.context() as patch:
            patch.setattr(leaver.fleet.kms, "decrypt", _raising(fault))
            with pytest.raises(type(fault)):
                offboarding.try_backup(leaver.fleet.kms, leaver.admin_dsn, leaver.code, dump)


async def test_a_database_that_a_killed_look_into_a_backup_left_is_found_and_goes(
    leaver: Leaver, tmp_path: Path
) -> None:
    """Rev. 2, 4.5.1: the structural columns of a restored backup are plain, and the certificate knows nothing of it."""
    dump = tmp_path / "before.dump"
    backup.take(leaver.config, leaver.code, dump)
    left = f"juki_restored_{leaver.code}_deadbeef"
    with psycopg.connect(leaver.admin_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(left)))
    await leaver.approved()
    assert offboarding.look(leaver.config, leaver.fleet.kms, leaver.code, "").copies_left == 1
    offboarding.try_backup(leaver.fleet.kms, leaver.admin_dsn, leaver.code, dump)
    assert offboarding.look(leaver.config, leaver.fleet.kms, leaver.code, "").copies_left == 0


async def test_what_a_killed_comparison_left_goes_with_the_municipality(leaver: Leaver, quiet: Quiet) -> None:
    """R-1-2.6-RET-05: a scratch holds the whole register under another key; erased means that it is gone as well."""
    await leaver.erasing()
    scratch = "990123"
    file = tenant_file(leaver.code)
    given = msgspec.to_builtins(file) | {
        "code": scratch, "name": f"照合用 {leaver.code}", "keys": {"alias": f"juki/scratch/{scratch}"},
    }  # fmt: skip
    with connect(leaver.config, "deploy") as deploy:
        add(deploy, leaver.fleet.kms, msgspec.convert(given, TenantFile), actor="offboard compare")
    assert not offboarding.is_finished(offboarding.look(leaver.config, leaver.fleet.kms, leaver.code, ""))
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    assert offboarding.is_finished(offboarding.look(leaver.config, leaver.fleet.kms, leaver.code, ""))
    with connect(leaver.config, "deploy") as deploy:
        assert deploy.execute("SELECT FROM pg_namespace WHERE nspname = %s", (f"t{scratch}",)).fetchone() is None
        assert scratch not in {tenant.code for tenant in list_tenants(deploy)}


async def test_no_scratch_is_made_of_a_municipality_whose_erasure_has_begun(leaver: Leaver, tmp_path: Path) -> None:
    """R-1-2.6-RET-05: nothing of it is written anew."""
    await leaver.erasing()
    with pytest.raises(Conflict) as refused:
        await offboarding.compare(leaver.config, leaver.fleet.kms, leaver.code, tmp_path)
    assert refused.value.code == "offboarding.wrong_state"


async def test_a_rejected_erasure_that_was_cut_is_done_to_its_end(leaver: Leaver, quiet: Quiet) -> None:
    """Rev. 2, 4.5.1: the results of the first time do not stand for the second, and its end is the date of the erasure."""
    codes = await leaver.erasing()
    first = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {}, accepted=False)
    with pytest.raises(ZeroDivisionError):
        await offboarding.carry_out(leaver.fleet, leaver.code, _killed_at(Step.CACHES))
    done: list[str] = []
    later = leaver.fleet.clock() + dt.timedelta(days=1)
    leaver.fleet.clock = lambda: later
    again = await offboarding.carry_out(leaver.fleet, leaver.code, _noting(done))
    assert done == ["caches", "kms", "schema", "roles", "queues", "files", "tombstone"]
    assert first.erased_at is not None
    assert again.erased_at == later
    assert {r.step for r in offboarding.status(leaver.config, leaver.code).steps} == set(ERASE_STEPS)


async def test_an_erasure_that_was_undone_gets_no_certificate_and_is_done_again_with_its_own_dates(
    leaver: Leaver, quiet: Quiet
) -> None:
    """Rev. 2, 4.6: a deletion called back after the findings; the certificate's second date is the one the KMS keeps."""
    codes = await leaver.erasing()
    key_id = (await leaver.fleet.tenant(leaver.code, states=offboarding.STATES)).key_id
    first = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {})
    sign(leaver, "validated", codes["validated"], {})
    leaver.fleet.kms.cancel_deletion(key_id)
    with pytest.raises(Conflict) as refused:
        offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    assert refused.value.code == "offboarding.undone"
    assert leaver.case().state is CaseState.REJECTED
    later = leaver.fleet.clock() + dt.timedelta(days=3)
    leaver.fleet.clock = lambda: later
    kms = open_kms(leaver.config.kms_spec, clock=lambda: later)
    leaver.fleet.kms = kms
    again = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    assert first.key_deletion_due is not None
    assert again.key_deletion_due is not None
    assert again.key_disabled_at == later
    assert kms.state(key_id) is KeyState.PENDING_DELETION
    just_before = open_kms(leaver.config.kms_spec, clock=lambda: again.key_deletion_due - dt.timedelta(seconds=1))
    assert just_before.state(key_id) is KeyState.PENDING_DELETION
    assert open_kms(leaver.config.kms_spec, clock=lambda: again.key_deletion_due).state(key_id) is KeyState.DELETED


async def test_a_kms_that_does_not_know_the_key_before_its_day_makes_nothing_final(
    leaver: Leaver, quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rev. 2, 4.6: the KMS of another region or account calls every foreign key unknown, which is not destroyed."""
    codes = await leaver.erasing()
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {})
    sign(leaver, "validated", codes["validated"], {})
    monkeypatch.setattr(leaver.fleet.kms, "state", lambda _: KeyState.DELETED)
    with pytest.raises(Conflict) as refused:
        offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    assert refused.value.code == "offboarding.key_unknown"
    assert leaver.case().state is CaseState.VALIDATED


async def test_the_log_of_a_leaving_municipality_is_kept_like_any_other(
    leaver: Leaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: its export and every log-in of the grace period come under a witnessed head, not a month later."""
    await leaver.approved()
    kept: list[str] = []

    async def note(_: object, code: str) -> None:
        kept.append(code)

    for name in ("sweep", "witnessed_checkpoint"):
        monkeypatch.setattr(f"juki.audit.keeping.{name}", note)
    keeper = asyncio.create_task(audit.keep(leaver.fleet))
    try:
        async with asyncio.timeout(60):
            while kept.count(leaver.code) < 2:
                await asyncio.sleep(0.1)
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def test_the_witness_copies_go_along_with_the_log_that_they_vouch_for(leaver: Leaver, quiet: Quiet) -> None:
    """R-A-3.3-LOG-03: they lay below the state folder and were destroyed with it; the log is checked against them for ever."""
    await leaver.erasing()
    await audit.witnessed_checkpoint(leaver.fleet, leaver.code)
    case = await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    folder = offboarding.case_folder(leaver.config, case)
    key = verifier.read_key(folder / "audit" / "key.pem")
    report = verifier.verify(folder / "audit", key, [folder / "witness"])
    assert (report.whole, report.witnessed) == (True, 1)
    assert not audit.witness_of(leaver.fleet).folder(leaver.code).exists()


async def test_a_certificate_does_not_tell_of_a_trial_that_nobody_made_nor_forget_what_the_first_run_erased(
    leaver: Leaver, quiet: Quiet
) -> None:
    """Rev. 2, 4.6: the method of verification is the one that was used; counts are those of the whole erasure."""
    codes = await leaver.erasing()
    left_behind = leaver.config.home_path / f"worklist-{leaver.code}"
    left_behind.write_bytes(b"sealed rows")
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {}, accepted=False)
    await offboarding.carry_out(leaver.fleet, leaver.code, quiet)
    sign(leaver, "verified", codes["verified"], {})
    sign(leaver, "validated", codes["validated"], {})
    issued = offboarding.issue(leaver.config, leaver.fleet.kms, leaver.code, leaver.fleet.clock())
    read = offboarding.check(Path(issued.json).read_bytes())
    assert read is not None
    assert read.verification_method.endswith("控えの復元は試していない")
    assert next(m.property_number for m in read.media if m.model == "ファイル") == "1 個"


def _raising(fault: Exception) -> Callable[..., bytes]:
    def decrypt(*_: object) -> bytes:
        raise fault

    return decrypt


def _killed_at(step: Step) -> Quiet:
    def tell(at: Step, phase: str, _: object) -> None:
        if (at, phase) == (step, "begin"):
            raise ZeroDivisionError

    return tell


def _noting(done: list[str]) -> Quiet:
    def tell(at: Step, phase: str, _: object) -> None:
        if phase == "end":
            done.append(str(at))

    return tell


async def test_a_municipality_whose_roots_are_gone_is_leaving_and_no_fault_of_ours(leaver: Leaver) -> None:
    """T12: between two steps of an erasure, or after one that was killed there, callers hear that it leaves, not of a defect."""
    await leaver.erasing()
    eraser = Eraser(leaver.config, leaver.code)
    eraser.destroy_roots()
    eraser.purge_everywhere()
    eraser.close()
    clerk = leaver.person("op-clerk", "resident.read")
    with pytest.raises(Refused) as told:
        async with audit.operation(leaver.fleet, clerk, "resident.read", purpose="照会", right="resident.read"):
            raise AssertionError("nothing of it is opened")
    assert told.value.code == "tenant.leaving"
    for knocking in (
        audit.machine_token(leaver.fleet, leaver.code, "", "", "", []),
        audit.refused(leaver.fleet, leaver.code, clerk, "resident.read", "access.right_missing"),
    ):
        with pytest.raises(Refused) as told:
            await knocking
        assert told.value.code == "tenant.leaving"
