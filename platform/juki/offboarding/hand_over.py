"""引渡し: the whole register in the standard layout and the readable log, sealed to the municipality's key, and proved equal.

The proof is threefold: the export is compared with the register it came from; the municipality opens it with its own
key; and, taken into a scratch municipality under other keys, it comes out the same file by file.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Final

import msgspec

from juki import audit, legacy, registry
from juki.access import Caller, roster
from juki.audit import Operation, reading
from juki.audit.model import Filter
from juki.config import Config
from juki.offboarding import store
from juki.offboarding.ask import REQUEST_RIGHT, check_closed, check_wanted
from juki.offboarding.container import Container
from juki.offboarding.leave import STATES, grace_end
from juki.offboarding.model import Case, CaseState, advance
from juki.problem import Conflict
from juki.tenancy import Connection, Eraser, Fleet, Tenant, TenantFile, add, connect, find, list_tenants
from juki.vault import KeyState, Kms

PURPOSE: Final = "利用終了の引渡し"
LOG_FILE: Final = "audit_log.jsonl"
STAFF_FILE: Final = "staff.jsonl"
_PATIENCE_SECONDS: Final = 24 * 3600  # a large city's register takes hours to write and compare
_LOG_PAGE: Final = 500
_SCRATCH: Final = "99"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was handed over and that it balances with the register."""

    folder: str
    digest: str
    files: int
    residents: int
    current_residents: int
    households: int
    log_entries: int
    balanced: bool
    erase_after: str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an opened export, taken into a scratch municipality, came out the same."""

    equal: bool
    rows: dict[str, int]
    differences: tuple[str, ...]


async def export(fleet: Fleet, caller: Caller, folder: Path) -> Exported:
    """Write the export into a new folder; from then on the grace period runs.

    Conflict `offboarding.wrong_state` or `offboarding.counter_open` while the counter is open, `offboarding.withdrawn`,
    `offboarding.export_exists`, `offboarding.export_differs` where the register does not hold what was written. An export that was cut has no manifest and is made anew elsewhere.
    Everybody whose record leaves has a disclosure row of their own; these rows commit with the outcome, so they stand in
    the register's log and in every later export of it, not in the log that goes along here.
    """
    case = await asyncio.to_thread(_case_to_export, fleet.config, caller.tenant)
    async with audit.operation(
        fleet, caller, "offboard.export", purpose=PURPOSE, right=REQUEST_RIGHT, states=STATES,
        patience_seconds=_PATIENCE_SECONDS,
    ) as op:  # fmt: skip
        check_closed(op)
        container = Container(folder, case.public_key.encode())
        manifest = await asyncio.to_thread(legacy.export_standard, fleet, caller.tenant, container.file, now=op.now)
        compared = await asyncio.to_thread(legacy.compare, fleet, caller.tenant, manifest)
        if not compared.equal:
            raise Conflict("offboarding.export_differs", f"{len(compared.differences)} files differ from the register")
        # last, because it opens this operation's transaction, and the server ends one that idles through the long work
        await check_wanted(op)
        staff = await _write_staff(op, container)
        entries = await _write_log(op, container)
        if await registry.disclose_everyone(op, op.tenant.name, PURPOSE, "export") != manifest.residents:
            raise Conflict("offboarding.export_differs", "not everybody on record was written")
        counts = {
            "residents": manifest.residents, "households": manifest.households, "staff": staff, "log_entries": entries,
        }  # fmt: skip
        digest = await asyncio.to_thread(
            container.finish, tenant=caller.tenant, case_no=case.case_no, made_at=op.now.isoformat(),
            layout=f"{manifest.layout} {manifest.layout_version}", balanced=compared.equal,
            counts=counts | dict(compared.rows),
        )  # fmt: skip
        op.fact(residents=manifest.residents, digest=digest)
        days = op.tenant.settings.leaving.grace_days
        now = op.now
    erase_after = grace_end(now, days)
    with store.control(fleet.config) as connection:
        store.note_export(connection, case, at=now, digest=digest, erase_after=erase_after)
        store.move(connection, case, CaseState.EXPORTED)
    return Exported(
        folder=str(folder), digest=digest, files=len(manifest.files) + 3, residents=manifest.residents,
        current_residents=manifest.current_residents, households=manifest.households, log_entries=entries,
        balanced=compared.equal, erase_after=erase_after.isoformat(),
    )  # fmt: skip


def _case_to_export(config: Config, code: str) -> Case:
    with store.control(config) as connection:
        case = store.case_of(connection, code)
        advance(case.state, CaseState.EXPORTED)
        return case


async def _write_staff(op: Operation, container: Container) -> int:
    """操作者名簿: whose ids stand in the log and in the register, without any secret; of no use to a register that takes
    the rest back, and ignored there.
    """
    entries = await roster.listing(op.work)
    with container.file(STAFF_FILE) as file:
        for entry in entries:
            file.write(msgspec.json.encode(entry) + b"\n")
    return len(entries)


async def _write_log(op: Operation, container: Container) -> int:
    """The log in the clear for the municipality, oldest last: once the keys are gone its sealed rows open nowhere."""
    written, before = 0, 0
    with container.file(LOG_FILE) as file:
        while True:
            page = await reading.listing(op, Filter(limit=_LOG_PAGE, before_op=before))
            for entry in page:
                file.write(msgspec.json.encode(entry) + b"\n")
            written += len(page)
            if len(page) < _LOG_PAGE:
                return written
            before = page[-1].op_no


async def compare(config: Config, kms: Kms, code: str, opened: Path) -> Compared:
    """Take an opened export into a scratch municipality of its own keys, compare, and erase the scratch again.

    A scratch that an earlier, interrupted comparison left is removed first. Conflict `offboarding.wrong_state` once the
    erasure has begun: nothing of the municipality is written anew then.
    """
    await asyncio.to_thread(_check_comparable, config, code)
    await asyncio.to_thread(remove_scratches, config, kms, code)
    with connect(config, "deploy") as deploy:
        leaving = find(deploy, code)
        deploy.commit()
        scratch = _free_code(deploy)
        add(deploy, kms, _scratch_file(leaving, scratch), actor="offboard compare")
    try:
        fleet = await Fleet.open(config, kms=kms)
        try:
            reader = legacy.folder_reader(opened)
            await asyncio.to_thread(legacy.import_standard, fleet, scratch, reader)
            found = await asyncio.to_thread(legacy.compare, fleet, scratch, legacy.read_manifest(reader))
        finally:
            await fleet.close()
    finally:
        await asyncio.to_thread(_remove_scratch, config, kms, scratch)
    return Compared(equal=found.equal, rows=dict(found.rows), differences=found.differences)


def _check_comparable(config: Config, code: str) -> None:
    with store.control(config) as connection:
        state = store.case_of(connection, code).state
    if state not in (CaseState.LEAVING, CaseState.EXPORTED):
        raise Conflict(
            "offboarding.wrong_state", f"an export of a case that is {state} is not compared", state=str(state)
        )


def scratches(config: Config, code: str) -> list[str]:
    """Scratch municipalities with this one's register in them, which a comparison that was killed has left."""
    with connect(config, "deploy", autocommit=True) as deploy:
        return [t.code for t in list_tenants(deploy) if t.code.startswith(_SCRATCH) and t.name == _scratch_name(code)]


def remove_scratches(config: Config, kms: Kms, code: str) -> None:
    """Take away what comparisons that were killed have left."""
    for former in scratches(config, code):
        _remove_scratch(config, kms, former)


def _free_code(deploy: Connection) -> str:
    """A code of no prefecture, so that no municipality can ever have it."""
    taken = {tenant.code for tenant in list_tenants(deploy)}
    deploy.commit()
    while (code := f"{_SCRATCH}{secrets.randbelow(10_000):04d}") in taken:
        pass
    return code


def _scratch_name(code: str) -> str:
    return f"照合用 {code}"


def _scratch_file(leaving: Tenant, scratch: str) -> TenantFile:
    settings = msgspec.to_builtins(leaving.settings)
    own = {"code": scratch, "name": _scratch_name(leaving.code), "prefecture": leaving.prefecture, "cell": leaving.cell}
    return msgspec.convert(settings | own | {"keys": {"alias": f"juki/scratch/{scratch}"}}, TenantFile)


def _remove_scratch(config: Config, kms: Kms, scratch: str) -> None:
    """What a comparison made, taken away whole: it was never a municipality, so no mark of it stays either."""
    eraser = Eraser(config, scratch)
    try:
        key_id = eraser.tenant.key_id
        eraser.destroy_roots()
        eraser.purge_everywhere()
        if key_id and kms.state(key_id) is KeyState.ENABLED:
            kms.disable(key_id)
            kms.schedule_deletion(key_id, eraser.tenant.settings.leaving.key_deletion_days)
        eraser.drop_schema()
        eraser.drop_roles()
        eraser.clear_control()
        eraser.strike_out()
    finally:
        eraser.close()
