"""kill -9 and a lost KMS in the middle of an erasure: running again completes the story."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest

from juki import offboarding
from juki.offboarding import store
from juki.offboarding.model import ERASE_STEPS, CaseState
from juki.tenancy import Fleet
from juki.vault import KeyState, KmsGone

from ..rotation.test_killed import CHILD, environment
from .conftest import Leaver


async def test_killed_at_every_boundary_the_erasure_ends_whole_and_every_step_has_its_result(leaver: Leaver) -> None:
    """Each step is cut before it, after it, and after it was written down (R-1-2.6-RET-04)."""
    await leaver.erasing()
    key_id = (await leaver.fleet.tenant(leaver.code, states=offboarding.STATES)).key_id
    await leaver.fleet.close()
    kills = 3 * len(ERASE_STEPS)
    driver = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), "erase", leaver.code, str(kills), env=environment(leaver.config),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    told, errors = await driver.communicate()
    assert driver.returncode == 0, errors.decode()[-2000:]
    assert int(told) == kills
    fleet = await Fleet.open(leaver.config)
    try:
        case = await offboarding.carry_out(fleet, leaver.code, lambda *_: None)
    finally:
        await fleet.close()
    assert case.state is CaseState.ERASED
    with store.control(leaver.config) as connection:
        records = store.step_records(connection, case.case_no)
    assert [r.step for r in records] == [str(step) for step in ERASE_STEPS]
    assert all(r.finished_at is not None and r.attempts >= 2 for r in records)
    seen = offboarding.look(leaver.config, fleet.kms, leaver.code, "")
    assert offboarding.is_finished(seen)
    assert seen.roots_destroyed == 3
    assert fleet.kms.state(key_id) is KeyState.PENDING_DELETION


async def test_a_kms_that_goes_away_in_the_middle_leaves_the_step_open(
    leaver: Leaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KMS gone: one clear answer, nothing claimed; when it is back the same command finishes."""
    await leaver.erasing()
    gone: Callable[..., None] = _gone
    with monkeypatch.context() as patch:
        patch.setattr(leaver.fleet.kms, "schedule_deletion", gone)
        with pytest.raises(KmsGone):
            await offboarding.carry_out(leaver.fleet, leaver.code, lambda *_: None)
    assert leaver.case().state is CaseState.ERASING
    assert leaver.case().key_deletion_due is None
    case = await offboarding.carry_out(leaver.fleet, leaver.code, lambda *_: None)
    assert case.state is CaseState.ERASED
    assert case.key_deletion_due is not None


def _gone(*_: object) -> None:
    raise KmsGone(detail="test")
