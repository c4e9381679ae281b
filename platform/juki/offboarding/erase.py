"""消去: eleven steps, each written down before and after it is done; a run that was killed goes on where it stood.

Only persons of the municipality start it. From the first step on there is no way back, and the case says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import re
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from juki import audit
from juki.access import Caller
from juki.audit.export import export
from juki.audit.log import checkpoint
from juki.audit.witness import SUFFIX, witness_of
from juki.dates import today_in_japan
from juki.offboarding import store
from juki.offboarding.ask import REQUEST_RIGHT, check_closed, check_wanted
from juki.offboarding.hand_over import remove_scratches
from juki.offboarding.leave import STATES, case_folder
from juki.offboarding.model import Backup, Case, CaseState, Step, check_grace, remaining
from juki.offboarding.store import Connection, Facts
from juki.offboarding.witness import Signatory, note_performer
from juki.problem import Conflict, Refused
from juki.tenancy import Eraser, Fleet
from juki.vault import KeyState

Tell: TypeAlias = Callable[[Step, str, Facts], None]
"""Called with the step, "begin", "acted" or (when it is written down) "end", and what was seen."""

AUDIT_FOLDER: Final = "audit"
WITNESS_FOLDER: Final = "witness"
_ONCE: Final = (Step.INVENTORY, Step.HANDOVER, Step.BACKUPS)
"""Counted, handed over and declared the first time; a rejected erasure does all the others once more."""

_KEPT: Final = ("postgres", "kms", "offboarding", "fonts")


class _Run(msgspec.Struct, kw_only=True):
    fleet: Fleet
    eraser: Eraser
    connection: Connection
    case: Case
    folder: Path

    @property
    def code(self) -> str:
        return self.case.tenant_code


async def start(fleet: Fleet, caller: Caller, signatory: Signatory, *, waive_grace: bool = False) -> Case:
    """消去の開始 by a person of the municipality, recorded as its last operation; the case is then `erasing`.

    `signatory` is the same person as the certificate will name them.

    Refused `offboarding.grace_running`, `offboarding.grace_fixed` where the settings do not let it be waived; Conflict
    `offboarding.withdrawn`, `offboarding.counter_open`.
    """
    async with audit.operation(
        fleet, caller, "offboard.erase", purpose="利用終了の消去", right=REQUEST_RIGHT, states=STATES
    ) as op:
        op.fact(waived=int(waive_grace))
        check_closed(op)
        await store.lock_wish(op.session)
        await check_wanted(op)
        may_waive = op.tenant.settings.leaving.grace_may_be_waived
        return await asyncio.to_thread(_start, fleet, caller, signatory, waive_grace, may_waive)


def _start(fleet: Fleet, caller: Caller, signatory: Signatory, waive_grace: bool, may_waive: bool) -> Case:
    with store.control(fleet.config) as connection:
        case = store.case_of(connection, caller.tenant)
        if waive_grace and case.state is CaseState.EXPORTED:
            if not may_waive:
                raise Refused(
                    "offboarding.grace_fixed", "the municipality's settings do not let the grace period be waived"
                )
            store.note_erase_after(connection, case, fleet.clock())
            case = store.case_of(connection, caller.tenant)
        _check_witnesses(connection, case, caller.actor_id)
        check_grace(case, fleet.clock())
        note_performer(fleet.config, case, signatory, caller.actor_id, fleet.clock())
        case = store.move(connection, case, CaseState.ERASING)
        store.note_performer(connection, case, caller.actor_id)
        return case


def _check_witnesses(connection: Connection, case: Case, performer: str) -> None:
    """Afterwards nobody could be appointed: the accounts go with the rest."""
    witnesses = [store.witness(connection, case.case_no, duty) for duty in ("verified", "validated")]
    if not all(witnesses):
        raise Conflict(
            "offboarding.no_witness", "appoint who verifies and who validates first", remedy="juki offboard appoint"
        )
    if performer in witnesses:
        raise Refused("offboarding.same_person", "whoever performs neither verifies nor validates")


async def carry_out(fleet: Fleet, code: str, tell: Tell) -> Case:
    """Every step that has no written result yet, in order; the case is then `erased`.

    Unavailable (KMS, database, a silent process) leaves the step open: running again goes on there.
    """
    with store.control(fleet.config) as connection:
        case = store.case_of(connection, code)
        if case.state is CaseState.ERASED:
            return case
        if case.state is CaseState.REJECTED:
            store.note_again(connection, case.case_no)
            case = store.move(connection, case, CaseState.ERASING)
        if case.state is not CaseState.ERASING:
            raise Conflict(
                "offboarding.wrong_state", f"a case that is {case.state} is not erased", state=str(case.state)
            )
        todo = remaining(store.steps_done(connection, case.case_no, _ONCE))
        await asyncio.to_thread(remove_scratches, fleet.config, fleet.kms, code)
        eraser = await asyncio.to_thread(Eraser, fleet.config, code)
        try:
            run = _Run(
                fleet=fleet, eraser=eraser, connection=connection, case=case, folder=case_folder(fleet.config, case)
            )
            for step in todo:
                await _one(run, step, tell)
        finally:
            eraser.close()
        store.note_erased(connection, case, fleet.clock())
        return store.move(connection, case, CaseState.ERASED)


async def _one(run: _Run, step: Step, tell: Tell) -> None:
    tell(step, "begin", {})
    store.note_step(run.connection, run.case.case_no, step, "intent")
    facts = await _ACTS[step](run)
    tell(step, "acted", facts)
    store.note_step(run.connection, run.case.case_no, step, "result", facts)
    tell(step, "end", facts)


async def _inventory(run: _Run) -> Facts:
    seen = await asyncio.to_thread(run.eraser.inventory)
    files = tenant_files(run.fleet.config.home_path, run.code)
    return {
        "relations": seen.relations,
        "rows": seen.rows,
        "bytes": seen.bytes,
        "sealed_columns": seen.sealed_columns,
        "plain_columns": seen.plain_columns,
        "roots": ", ".join(seen.roots),
        "root_count": len(seen.roots),
        "roles": ", ".join(seen.roles),
        "files": len(files),
        "keys": ", ".join(_keys(run)),
        "tenant_name": run.eraser.tenant.name,
    }


async def _handover(run: _Run) -> Facts:
    """The sealed log and its signed heads, which stay verifiable without any key, go into the case's folder, and with them
    the witness's copies: without these nobody could tell afterwards whether the log had been cut back or written anew.
    """
    folder, copies = run.folder / AUDIT_FOLDER, run.folder / WITNESS_FOLDER
    for part in (folder, copies):  # what was cut is made anew
        if part.exists():
            await asyncio.to_thread(shutil.rmtree, part)
    await checkpoint(run.fleet, run.code)
    manifest = await export(run.fleet, run.code, folder)
    witnessed = witness_of(run.fleet).folder(run.code)
    if witnessed.exists():
        await asyncio.to_thread(shutil.copytree, witnessed, copies)
    return {
        "size": int(manifest["size"]),
        "root": str(manifest["root"]),
        "checkpoints": int(manifest["checkpoints"]),
        "witnessed": len(list(copies.glob(f"*{SUFFIX}"))),
    }


async def _roots(run: _Run) -> Facts:
    return {"destroyed": await asyncio.to_thread(run.eraser.destroy_roots)}


async def _caches(run: _Run) -> Facts:
    answers = await asyncio.to_thread(run.eraser.purge_everywhere)
    return answers.facts()


async def _kms(run: _Run) -> Facts:
    """Every key that ever wrapped a root of this municipality: disabled, then its deletion scheduled."""
    kms = run.fleet.kms
    days = run.eraser.tenant.settings.leaving.key_deletion_days
    disabled_at = run.fleet.clock()
    due = run.case.key_deletion_due or disabled_at
    keys = _keys(run)
    states = {key_id: await asyncio.to_thread(kms.state, key_id) for key_id in keys}
    known = run.case.key_deletion_due is not None
    if known and all(state in (KeyState.PENDING_DELETION, KeyState.DELETED) for state in states.values()):
        return _kms_facts(keys, due, days)
    store.forget_key_dates(run.connection, run.case)  # somebody called a deletion back: the days are no longer true
    for key_id, state in states.items():
        if state is KeyState.DELETED or (state is KeyState.PENDING_DELETION and known):
            continue
        if state is KeyState.PENDING_DELETION:  # scheduled by a run that was cut before it could write down the day
            await asyncio.to_thread(kms.cancel_deletion, key_id)
        if state is KeyState.ENABLED:
            await asyncio.to_thread(kms.disable, key_id)
        due = max(due, await asyncio.to_thread(kms.schedule_deletion, key_id, days))
    store.note_key(run.connection, run.case, disabled_at=disabled_at, due=due)
    return _kms_facts(keys, due, days)


def _kms_facts(keys: tuple[str, ...], due: dt.datetime, days: int) -> Facts:
    return {"keys": ", ".join(keys), "due": due.isoformat(timespec="seconds"), "days": days}


async def _schema(run: _Run) -> Facts:
    return {"relations": await asyncio.to_thread(run.eraser.drop_schema)}


async def _roles(run: _Run) -> Facts:
    return {"roles": ", ".join(await asyncio.to_thread(run.eraser.drop_roles))}


async def _queues(run: _Run) -> Facts:
    return {"rows": await asyncio.to_thread(run.eraser.clear_control)}


async def _files(run: _Run) -> Facts:
    files = tenant_files(run.fleet.config.home_path, run.code)
    overwritten = 0
    for path in files:
        overwritten += await asyncio.to_thread(_destroy, path)
    _remove_folders(run.fleet.config.home_path, run.code)
    return {"files": len(files), "bytes": overwritten}


async def _backups(run: _Run) -> Facts:
    """控え that nothing here can reach, declared until the day they expire."""
    today = today_in_japan(run.fleet.clock())
    declared = [
        Backup(
            name=b.name, place=b.place, expires_on=today + dt.timedelta(days=b.keep_days), keys_included=b.keys_included
        )
        for b in run.eraser.tenant.settings.leaving.backups
    ]
    return {"count": len(declared), "declared": msgspec.json.encode(declared).decode()}


async def _tombstone(run: _Run) -> Facts:
    await asyncio.to_thread(run.eraser.entomb, actor=run.case.erased_by)
    run.fleet.forget(run.code)
    return {"state": "erased"}


_ACTS: Final[Mapping[Step, Callable[[_Run], Awaitable[Facts]]]] = {
    Step.INVENTORY: _inventory,
    Step.HANDOVER: _handover,
    Step.ROOTS: _roots,
    Step.CACHES: _caches,
    Step.KMS: _kms,
    Step.SCHEMA: _schema,
    Step.ROLES: _roles,
    Step.QUEUES: _queues,
    Step.FILES: _files,
    Step.BACKUPS: _backups,
    Step.TOMBSTONE: _tombstone,
}


def _keys(run: _Run) -> tuple[str, ...]:
    """The key in use and those of earlier rotations; noted by the inventory, since rotations are cleared later."""
    return store.keys_of(run.connection, run.code)


def tenant_files(home: Path, code: str) -> list[Path]:
    """Files of a municipality below the state folder: every file with the code in its own or a folder's name."""
    found: set[Path] = set()
    for match in _named(home, code):
        found |= {match} if match.is_file() else {p for p in match.rglob("*") if p.is_file()}
    return sorted(found)


def _named(home: Path, code: str) -> list[Path]:
    """Files and folders that carry the code as a word of its own: a neighbour's running numbers hold the same digits."""
    word = re.compile(rf"(?<![0-9A-Za-z])t?{code}(?![0-9A-Za-z])")
    found = (match for match in home.rglob(f"*{code}*") if word.search(match.name))
    return [match for match in found if match.relative_to(home).parts[0] not in _KEPT]


def _destroy(path: Path) -> int:
    """One pass of random bytes over the file, to the disk, then gone; bytes overwritten."""
    path.chmod(0o600)
    size = path.stat().st_size
    with path.open("r+b", buffering=0) as file:
        left = size
        while left > 0:
            left -= file.write(secrets.token_bytes(min(left, 1 << 20)))
        os.fsync(file.fileno())
    path.unlink()
    return size


def _remove_folders(home: Path, code: str) -> None:
    for match in [m for m in _named(home, code) if m.is_dir()]:
        for folder in sorted((p for p in [match, *match.rglob("*")] if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
