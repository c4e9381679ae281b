"""鍵の交換: KMS key, seal root and index root of a tenant turned while the tenant works.

Each turn is a fixed list of steps. A step may be repeated without harm and is written down when it is done, so a run
that was killed anywhere is finished by running it again. No epoch moves and nobody is turned away: every process is
told, answers, and has let go of the old keys before the next step relies on it (docs/adr/0009).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

import msgspec
import psycopg
from psycopg import sql

from juki.config import Config
from juki.problem import Conflict, Refused, Unavailable
from juki.tenancy import presence, resealing
from juki.tenancy.directory import Tenant
from juki.tenancy.fleet import connect, role_of
from juki.tenancy.keys import tenant_keys
from juki.tenancy.provisioning import find
from juki.tenancy.resealing import SealedColumn, SealedTable, tables_of
from juki.tenancy.session import Row
from juki.vault import KeyRing, KeyState, Kms, TenantRing, new_root, rewrap, slot_of, unwrap

Kind: TypeAlias = Literal["kms", "root", "index"]

TURN_LOCK: Final = 19281
"""First half of the advisory lock of whoever turns or destroys a tenant's keys; the second half is the code."""

PASSES_MAX: Final = 20
_WRITABLE: Final = frozenset({"migrating", "active", "suspended", "leaving"})


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rotation stands: a step begins, a part of it moved on, it is done, it is written down."""

    step: str
    phase: str  # "begin" | "part" | "acted" | "end": written down
    part: str = ""
    position: int = 0
    positions: int = 0
    rows: int = 0


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """A finished rotation. Versions are of the root that turned; for the KMS key they are 0."""

    rotation_no: int
    kind: Kind
    tenant: str
    old_version: int
    new_version: int
    old_key: str
    new_key: str
    rows: int
    resumed: bool


Tell: TypeAlias = Callable[[Progress], None]

Refill: TypeAlias = Callable[["psycopg.Connection[Row]", Tenant, TenantRing, str, int, int], int]
"""Fills one index slot from the residents in blocks [first, last): connection under the re-keying role, tenant, ring,
slot, first, last -> rows written. The register gives it; twice the same blocks is harmless."""


class IndexedTables(msgspec.Struct, frozen=True, kw_only=True):
    """What an index rotation needs to know of the register: walked tables with their refill, and the slot tables."""

    refills: tuple[tuple[str, Refill], ...]
    slots: tuple[str, ...]  # table names without the suffix _a or _b


class _Turn(msgspec.Struct, kw_only=True):
    connection: psycopg.Connection[Row]
    kms: Kms
    keyring: KeyRing
    tenant: Tenant
    number: int
    kind: Kind
    step: str
    old_version: int
    new_version: int
    old_key: str
    new_key: str
    tell: Tell

    def refresh(self) -> None:
        self.tenant = find(self.connection, self.tenant.code)

    def ring(self) -> TenantRing:
        """A ring of this process over what the directory names now."""
        self.keyring.purge(self.tenant.code)
        return self.keyring.get_sync(self.tenant.code)

    @contextmanager
    def as_tenant(self) -> Generator[None, None, None]:
        """One transaction under the tenant's re-keying role."""
        role = role_of(self.tenant.schema, "rekey")
        with self.connection.transaction():
            self.connection.execute("SELECT set_config('role', %s, true)", (role,))
            yield
            self.connection.execute("SELECT set_config('role', 'none', true)")


_Step: TypeAlias = tuple[str, Callable[[_Turn], None]]


def rotate_kms(config: Config, kms: Kms, code: str, *, actor: str, tell: Tell) -> Turned:
    """KMS鍵の交換: wrap every live root under a new key, prove that it opens them, then disable the old key."""
    steps: tuple[_Step, ...] = (
        ("key created", _create_key),
        ("roots wrapped", _wrap_again),
        ("roots proved", _prove_wrapped),
        ("key named", _name_key),
        ("processes told", _tell_processes),
        ("old key disabled", _disable_old_key),
    )
    return _run(config, kms, code, "kms", actor, steps, tell)


def rotate_root(
    config: Config, kms: Kms, code: str, *, actor: str, sealed: Sequence[SealedColumn], tell: Tell
) -> Turned:
    """根鍵の交換: new writes under a new root at once, old rows behind them, and the old root opens nothing any more."""
    tables = tables_of(sealed)
    steps: tuple[_Step, ...] = (
        ("root created", lambda turn: _create_root(turn, "seal")),
        ("processes can open", _tell_processes),
        ("root in force", _put_root_in_force),
        ("processes seal anew", _tell_processes),
        ("rows re-sealed", lambda turn: _reseal_all(turn, tables)),
        ("old root destroyed", lambda turn: _destroy_root(turn, "seal", tables)),
        ("processes forgot", _tell_processes),
    )
    return _run(config, kms, code, "root", actor, steps, tell)


def rotate_index(config: Config, kms: Kms, code: str, *, actor: str, indexed: IndexedTables, tell: Tell) -> Turned:
    """索引鍵の交換: write both slots, fill the new one, search in it, then empty the old slot and destroy its root."""
    steps: tuple[_Step, ...] = (
        ("root created", lambda turn: _create_root(turn, "index")),
        ("slot emptied", lambda turn: _empty_slot(turn, indexed, slot_of(turn.new_version))),
        ("both slots written", lambda turn: _name_slots(turn, slot_of(turn.old_version), slot_of(turn.new_version))),
        ("processes write both", _tell_processes),
        ("slot filled", lambda turn: _fill(turn, indexed)),
        ("new slot searched", lambda turn: _name_slots(turn, slot_of(turn.new_version), slot_of(turn.old_version))),
        ("processes search it", _tell_processes),
        ("old slot left", lambda turn: _name_slots(turn, slot_of(turn.new_version), None)),
        ("processes left it", _tell_processes),
        ("old slot emptied", lambda turn: _empty_slot(turn, indexed, slot_of(turn.old_version))),
        ("old root destroyed", lambda turn: _destroy_root(turn, "index", ())),
        ("processes forgot", _tell_processes),
    )
    return _run(config, kms, code, "index", actor, steps, tell)


def _run(config: Config, kms: Kms, code: str, kind: Kind, actor: str, steps: Sequence[_Step], tell: Tell) -> Turned:
    with connect(config, "rekey", autocommit=True) as connection:
        _alone(connection, code)
        keyring = KeyRing(kms, lambda asked: tenant_keys(connection, asked))
        try:
            turn, resumed = _begin(connection, kms, keyring, code, kind, actor, tell)
            names = [name for name, _ in steps]
            first = names.index(turn.step) + 1 if turn.step in names else 0
            for name, act in steps[first:]:
                tell(Progress(step=name, phase="begin"))
                turn.step = name
                act(turn)
                tell(Progress(step=name, phase="acted"))
                _note_step(turn, name, last=name == names[-1])
                tell(Progress(step=name, phase="end"))
            return _turned(turn, resumed=resumed)
        finally:
            keyring.close()


def _alone(connection: psycopg.Connection[Row], code: str) -> None:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (TURN_LOCK, int(code))).fetchone()
    if row is None or not row[0]:
        raise Conflict("rotation.in_progress", "another run turns or destroys the keys of this municipality")


def _begin(
    connection: psycopg.Connection[Row], kms: Kms, keyring: KeyRing, code: str, kind: Kind, actor: str, tell: Tell
) -> tuple[_Turn, bool]:
    """The rotation that was left unfinished, or a new one."""
    tenant = find(connection, code)
    if tenant.state not in _WRITABLE:
        raise Refused("rotation.state", f"keys of a municipality that is {tenant.state} are not turned")
    open_ = _unfinished(connection, code)
    if open_ is not None and open_[1] != kind:
        raise Conflict(
            "rotation.other_kind", f"a rotation of kind {open_[1]} was begun and not finished", remedy="run it first"
        )
    if open_ is None and kms.state(tenant.key_id) is not KeyState.ENABLED:
        raise Refused("rotation.key_state", "the municipality's KMS key is not enabled")
    row = open_ or _insert(connection, tenant, kind, actor)
    number, _, step, old_version, new_version, old_key, new_key = row
    turn = _Turn(
        connection=connection, kms=kms, keyring=keyring, tenant=tenant, number=number, kind=kind, step=step,
        old_version=old_version, new_version=new_version, old_key=old_key, new_key=new_key, tell=tell,
    )  # fmt: skip
    return turn, open_ is not None


_ROTATION: Final = "rotation_no, kind, step, old_version, new_version, old_key, new_key"


def _unfinished(connection: psycopg.Connection[Row], code: str) -> Row | None:
    return connection.execute(
        f"SELECT {_ROTATION} FROM control.rotation WHERE tenant_code = %s AND finished_at IS NULL", (code,)
    ).fetchone()


def _insert(connection: psycopg.Connection[Row], tenant: Tenant, kind: Kind, actor: str) -> Row:
    old, new = 0, 0
    if kind != "kms":
        purpose = "seal" if kind == "root" else "index"
        old, new = _versions(connection, tenant, purpose)
    row = connection.execute(
        "INSERT INTO control.rotation (tenant_code, kind, step, old_version, new_version, old_key, started_by)"
        f" VALUES (%s, %s, 'begun', %s, %s, %s, %s) RETURNING {_ROTATION}",
        (tenant.code, kind, old, new, tenant.key_id, actor),
    ).fetchone()
    if row is None:
        raise RuntimeError("an insert that returns a row gave none")
    return row


def _versions(connection: psycopg.Connection[Row], tenant: Tenant, purpose: str) -> tuple[int, int]:
    """Version in force and the next never used; an index slot follows from its version, so slots alternate."""
    rows = connection.execute(
        "SELECT version, state FROM control.wrapped_root WHERE tenant_code = %s AND purpose = %s ORDER BY version",
        (tenant.code, purpose),
    ).fetchall()
    live = [version for version, state in rows if state != "retired"]
    return max(live), max(version for version, _ in rows) + 1


def _note_step(turn: _Turn, name: str, *, last: bool) -> None:
    turn.connection.execute(
        "UPDATE control.rotation SET step = %s, finished_at = CASE WHEN %s THEN now() END WHERE rotation_no = %s",
        (name, last, turn.number),
    )


def _turned(turn: _Turn, *, resumed: bool) -> Turned:
    row = turn.connection.execute(
        "SELECT coalesce(sum(rows_done), 0)::bigint FROM control.rotation_progress WHERE rotation_no = %s",
        (turn.number,),
    ).fetchone()
    return Turned(
        rotation_no=turn.number, kind=turn.kind, tenant=turn.tenant.code, old_version=turn.old_version,
        new_version=turn.new_version, old_key=turn.old_key, new_key=turn.new_key,
        rows=int(row[0]) if row else 0, resumed=resumed,
    )  # fmt: skip


def _tell_processes(turn: _Turn) -> None:
    """Every process reads directory and roots anew, and whoever has the old ring in hand finishes first."""

    def waiting(count: int) -> None:
        turn.tell(Progress(step=turn.step, phase="part", part="waiting", position=count, positions=count))

    presence.order(turn.connection, turn.tenant.code, presence.RELOAD, waiting=waiting)


# --- KMS key


def _create_key(turn: _Turn) -> None:
    alias = f"{turn.tenant.settings.keys.alias}/{turn.number}"
    turn.new_key = turn.kms.find_key(alias) or turn.kms.create_key(alias)
    turn.connection.execute(
        "UPDATE control.rotation SET new_key = %s WHERE rotation_no = %s", (turn.new_key, turn.number)
    )


def _wrap_again(turn: _Turn) -> None:
    for wrapped in tenant_keys(turn.connection, turn.tenant.code).roots:
        if wrapped.key_id == turn.new_key:
            continue
        fresh = rewrap(turn.kms, wrapped, turn.new_key)
        turn.connection.execute(
            "UPDATE control.wrapped_root SET key_id = %s, blob = %s"
            " WHERE tenant_code = %s AND purpose = %s AND version = %s AND key_id = %s",
            (fresh.key_id, fresh.blob, wrapped.tenant, wrapped.purpose, wrapped.version, wrapped.key_id),
        )


def _prove_wrapped(turn: _Turn) -> None:
    """Unwrapping checks the commitment, so a blob that holds another root than before is noticed here."""
    for wrapped in tenant_keys(turn.connection, turn.tenant.code).roots:
        if wrapped.key_id != turn.new_key:
            raise Unavailable("rotation.roots_left", "a root is still wrapped under the old key", remedy="run it again")
        root = unwrap(turn.kms, wrapped)
        root[:] = bytes(len(root))


def _name_key(turn: _Turn) -> None:
    turn.connection.execute(
        "UPDATE control.tenant SET key_id = %s, changed_at = now() WHERE code = %s", (turn.new_key, turn.tenant.code)
    )
    _ledger(turn, "kms key rotated")


def _disable_old_key(turn: _Turn) -> None:
    """Disabled, not deleted: a backup taken before may still have to be read; its keeping period decides."""
    if turn.kms.state(turn.old_key) is KeyState.ENABLED:
        turn.kms.disable(turn.old_key)


# --- roots


def _create_root(turn: _Turn, purpose: str) -> None:
    known = turn.connection.execute(
        "SELECT 1 FROM control.wrapped_root WHERE tenant_code = %s AND purpose = %s AND version = %s",
        (turn.tenant.code, purpose, turn.new_version),
    ).fetchone()
    if known:
        return
    root = new_root(turn.kms, turn.tenant.key_id, turn.tenant.code, purpose, turn.new_version)
    turn.connection.execute(
        "INSERT INTO control.wrapped_root (tenant_code, purpose, version, key_id, blob, commitment, state)"
        " VALUES (%s, %s, %s, %s, %s, %s, 'pending')",
        (root.tenant, root.purpose, root.version, root.key_id, root.blob, root.commitment),
    )


def _put_root_in_force(turn: _Turn) -> None:
    with turn.as_tenant():
        turn.connection.execute(
            sql.SQL("UPDATE {}.tenant_state SET seal_version = %s, changed_at = now()").format(
                sql.Identifier(turn.tenant.schema)
            ),
            (turn.new_version,),
        )
        turn.connection.execute("SELECT set_config('role', 'none', true)")
        turn.connection.execute(
            "UPDATE control.tenant SET seal_version = %s, changed_at = now() WHERE code = %s",
            (turn.new_version, turn.tenant.code),
        )
        _mark_roots(turn, "seal")
        _ledger(turn, "seal root rotated")


def _mark_roots(turn: _Turn, purpose: str) -> None:
    turn.connection.execute(
        "UPDATE control.wrapped_root SET state = CASE WHEN version = %(new)s THEN 'active' ELSE 'retiring' END"
        " WHERE tenant_code = %(code)s AND purpose = %(purpose)s AND state <> 'retired'",
        {"new": turn.new_version, "code": turn.tenant.code, "purpose": purpose},
    )


def _reseal_all(turn: _Turn, tables: Sequence[SealedTable]) -> None:
    """Walk, count, walk again what was held or moved under the walk, until the count is nought."""
    ring = turn.ring()
    for _ in range(PASSES_MAX):
        for table in tables:
            _walk(turn, table.table, lambda first, last, t=table: _reseal_batch(turn, ring, t, first, last))
        old = [table for table in tables if _count_old(turn, table)]
        if not old:
            return
        for table in old:
            _reset(turn, table.table)
    raise Unavailable("rotation.rows_left", "rows under the old root remain", remedy="run it again when it is quieter")


def _reseal_batch(turn: _Turn, ring: TenantRing, table: SealedTable, first: int, last: int) -> int:
    return resealing.reseal_blocks(turn.connection, turn.tenant, ring, table, first, last)


def _count_old(turn: _Turn, table: SealedTable) -> int:
    with turn.as_tenant():
        return resealing.left(turn.connection, turn.tenant, table, turn.new_version)


def _destroy_root(turn: _Turn, purpose: str, tables: Sequence[SealedTable]) -> None:
    """Overwrite the wrapped blob, then take it away; the row stays as a mark that this version existed."""
    for table in tables:
        if _count_old(turn, table):
            raise Unavailable(
                "rotation.rows_left", f"{table.table} holds rows under the old root", remedy="run it again"
            )
    for blob in (secrets.token_bytes(128), b""):
        turn.connection.execute(
            "UPDATE control.wrapped_root SET blob = %s, state = 'retired', retired_at = now()"
            " WHERE tenant_code = %s AND purpose = %s AND version < %s AND (state <> 'retired' OR blob <> '')",
            (blob, turn.tenant.code, purpose, turn.new_version),
        )


# --- index slots


def _name_slots(turn: _Turn, active: str, pending: str | None) -> None:
    with turn.as_tenant():
        turn.connection.execute(
            sql.SQL("UPDATE {}.tenant_state SET index_active = %s, index_pending = %s, changed_at = now()").format(
                sql.Identifier(turn.tenant.schema)
            ),
            (active, pending),
        )
        turn.connection.execute("SELECT set_config('role', 'none', true)")
        turn.connection.execute(
            "UPDATE control.tenant SET index_active = %s, index_pending = %s, changed_at = now() WHERE code = %s",
            (active, pending, turn.tenant.code),
        )
        if pending is None:
            _mark_roots(turn, "index")
            _ledger(turn, "index root rotated")
    turn.refresh()


def _fill(turn: _Turn, indexed: IndexedTables) -> None:
    ring = turn.ring()
    slot = slot_of(turn.new_version)
    for table, refill in indexed.refills:
        _walk(
            turn,
            table,
            lambda first, last, act=refill: act(turn.connection, turn.tenant, ring, slot, first, last),
        )


def _empty_slot(turn: _Turn, indexed: IndexedTables, slot: str) -> None:
    """Rows of an earlier turn under an earlier root: they answer nothing any more."""
    with turn.as_tenant():
        for name in indexed.slots:
            turn.connection.execute(
                sql.SQL("DELETE FROM {}").format(sql.Identifier(turn.tenant.schema, f"{name}_{slot}"))
            )


# --- progress


def _walk(turn: _Turn, part: str, act: Callable[[int, int], int]) -> None:
    """`act` on each run of blocks of a table; block and work are noted in one transaction, so a kill repeats nothing."""
    with turn.as_tenant():
        end = resealing.blocks(turn.connection, turn.tenant, part)
    row = turn.connection.execute(
        "INSERT INTO control.rotation_progress (rotation_no, part, position, positions) VALUES (%s, %s, 0, %s)"
        " ON CONFLICT (rotation_no, part) DO UPDATE SET positions = greatest(rotation_progress.positions, excluded.positions)"
        " RETURNING position, rows_done",
        (turn.number, part, end),
    ).fetchone()
    first, rows = (int(row[0]), int(row[1])) if row else (0, 0)
    for start, stop in resealing.ranges(first, end):
        with turn.as_tenant():
            rows += act(start, stop)
            turn.connection.execute("SELECT set_config('role', 'none', true)")
            turn.connection.execute(
                "UPDATE control.rotation_progress SET position = %s, rows_done = %s, finished = %s, changed_at = now()"
                " WHERE rotation_no = %s AND part = %s",
                (stop, rows, stop >= end, turn.number, part),
            )
        turn.tell(Progress(step=turn.step, phase="part", part=part, position=stop, positions=end, rows=rows))


def _reset(turn: _Turn, part: str) -> None:
    turn.connection.execute(
        "UPDATE control.rotation_progress SET position = 0, finished = false WHERE rotation_no = %s AND part = %s",
        (turn.number, part),
    )


def _ledger(turn: _Turn, what: str) -> None:
    parameters: dict[str, Any] = {"code": turn.tenant.code, "what": what, "number": f"rotation {turn.number}"}
    turn.connection.execute(
        "INSERT INTO control.tenant_event (tenant_code, what, from_state, to_state, epoch, actor, reason)"
        " SELECT t.code, %(what)s, t.state, t.state, t.epoch, r.started_by, %(number)s"
        " FROM control.tenant t JOIN control.rotation r ON r.tenant_code = t.code AND r.finished_at IS NULL"
        " WHERE t.code = %(code)s",
        parameters,
    )
