"""鍵の交換: KMS key, seal root and index root of a tenant turned while the tenant works.

Each turn is a fixed list of steps. A step may be repeated without harm and is written down when it is done, so a run
that was killed anywhere is finished by running it again. No epoch moves and nobody is turned away: every process is
told, answers, and has let go of the old keys before the next step relies on it (docs/adr/0009).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec
import psycopg
from psycopg import sql

from juki.config import Config
from juki.problem import Unavailable
from juki.tenancy import resealing
from juki.tenancy.directory import Tenant
from juki.tenancy.fleet import connect
from juki.tenancy.keys import other_holder, own_key, tenant_keys
from juki.tenancy.resealing import SealedColumn, SealedTable, tables_of
from juki.tenancy.session import Row
from juki.tenancy.turn import (
    TURN_LOCK,
    Kind,
    Progress,
    Tell,
    Turn,
    Turned,
    alone,
    begin,
    ledger,
    note_step,
    reset,
    tell_processes,
    turned,
    walk,
)
from juki.vault import KeyRing, KeyState, Kms, TenantRing, new_root, rewrap, slot_of, unwrap

__all__ = [
    "PASSES_MAX",
    "TURN_LOCK",
    "IndexedTables",
    "Progress",
    "Refill",
    "Turned",
    "rotate_index",
    "rotate_kms",
    "rotate_root",
]

PASSES_MAX: Final = 20

Refill: TypeAlias = Callable[["psycopg.Connection[Row]", Tenant, TenantRing, str, int, int], int]
"""Fills one index slot from the residents in blocks [first, last): connection under the re-keying role, tenant, ring,
slot, first, last -> rows written. The register gives it; twice the same blocks is harmless."""


class IndexedTables(msgspec.Struct, frozen=True, kw_only=True):
    """What an index rotation needs to know of the register: walked tables with their refill, and the slot tables."""

    refills: tuple[tuple[str, Refill], ...]
    slots: tuple[str, ...]  # table names without the suffix _a or _b


_Step: TypeAlias = tuple[str, Callable[[Turn], None]]


def rotate_kms(config: Config, kms: Kms, code: str, *, actor: str, tell: Tell) -> Turned:
    """KMS鍵の交換: wrap every live root under a new key, prove that it opens them, then disable the old key."""
    steps: tuple[_Step, ...] = (
        ("key created", _create_key),
        ("roots wrapped", _wrap_again),
        ("roots proved", _prove_wrapped),
        ("key named", _name_key),
        ("processes told", tell_processes),
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
        ("processes can open", tell_processes),
        ("root in force", _put_root_in_force),
        ("processes seal anew", tell_processes),
        ("rows re-sealed", lambda turn: _reseal_all(turn, tables)),
        ("old root destroyed", lambda turn: _destroy_root(turn, "seal", tables)),
        ("processes forgot", tell_processes),
    )
    return _run(config, kms, code, "root", actor, steps, tell)


def rotate_index(config: Config, kms: Kms, code: str, *, actor: str, indexed: IndexedTables, tell: Tell) -> Turned:
    """索引鍵の交換: write both slots, fill the new one, search in it, then empty the old slot and destroy its root."""
    steps: tuple[_Step, ...] = (
        ("root created", lambda turn: _create_root(turn, "index")),
        ("slot emptied", lambda turn: _empty_slot(turn, indexed, slot_of(turn.new_version))),
        ("both slots written", lambda turn: _name_slots(turn, slot_of(turn.old_version), slot_of(turn.new_version))),
        ("processes write both", tell_processes),
        ("slot filled", lambda turn: _fill(turn, indexed)),
        ("new slot searched", lambda turn: _name_slots(turn, slot_of(turn.new_version), slot_of(turn.old_version))),
        ("processes search it", tell_processes),
        ("old slot left", lambda turn: _name_slots(turn, slot_of(turn.new_version), None)),
        ("processes left it", tell_processes),
        ("old slot emptied", lambda turn: _empty_slot(turn, indexed, slot_of(turn.old_version))),
        ("old root destroyed", lambda turn: _destroy_root(turn, "index", ())),
        ("processes forgot", tell_processes),
    )
    return _run(config, kms, code, "index", actor, steps, tell)


def _run(config: Config, kms: Kms, code: str, kind: Kind, actor: str, steps: Sequence[_Step], tell: Tell) -> Turned:
    with connect(config, "rekey", autocommit=True) as connection:
        alone(connection, code)
        keyring = KeyRing(kms, lambda asked: tenant_keys(connection, asked))
        try:
            turn, resumed = begin(connection, kms, keyring, code, kind, actor, tell)
            names = [name for name, _ in steps]
            first = names.index(turn.step) + 1 if turn.step in names else 0
            for name, act in steps[first:]:
                tell(Progress(step=name, phase="begin"))
                turn.step = name
                act(turn)
                tell(Progress(step=name, phase="acted"))
                note_step(turn, name, last=name == names[-1])
                tell(Progress(step=name, phase="end"))
            return turned(turn, resumed=resumed)
        finally:
            keyring.close()


# --- KMS key


def _create_key(turn: Turn) -> None:
    alias = f"{turn.tenant.settings.keys.alias}/{turn.number}"
    turn.new_key = own_key(turn.connection, turn.kms, turn.tenant.code, alias)
    turn.connection.execute(
        "UPDATE control.rotation SET new_key = %s WHERE rotation_no = %s", (turn.new_key, turn.number)
    )


def _wrap_again(turn: Turn) -> None:
    for wrapped in tenant_keys(turn.connection, turn.tenant.code).roots:
        if wrapped.key_id == turn.new_key:
            continue
        fresh = rewrap(turn.kms, wrapped, turn.new_key)
        turn.connection.execute(
            "UPDATE control.wrapped_root SET key_id = %s, blob = %s"
            " WHERE tenant_code = %s AND purpose = %s AND version = %s AND key_id = %s",
            (fresh.key_id, fresh.blob, wrapped.tenant, wrapped.purpose, wrapped.version, wrapped.key_id),
        )


def _prove_wrapped(turn: Turn) -> None:
    """Unwrapping checks the commitment, so a blob that holds another root than before is noticed here."""
    for wrapped in tenant_keys(turn.connection, turn.tenant.code).roots:
        if wrapped.key_id != turn.new_key:
            raise Unavailable("rotation.roots_left", "a root is still wrapped under the old key", remedy="run it again")
        root = unwrap(turn.kms, wrapped)
        root[:] = bytes(len(root))


def _name_key(turn: Turn) -> None:
    turn.connection.execute(
        "UPDATE control.tenant SET key_id = %s, changed_at = now() WHERE code = %s", (turn.new_key, turn.tenant.code)
    )
    ledger(turn, "kms key rotated")


def _disable_old_key(turn: Turn) -> None:
    """Disabled, not deleted: a backup taken before may still have to be read; its keeping period decides."""
    if other_holder(turn.connection, turn.tenant.code, turn.old_key):
        return  # a key that two had by mistake stays with the other
    if turn.kms.state(turn.old_key) is KeyState.ENABLED:
        turn.kms.disable(turn.old_key)


# --- roots


def _create_root(turn: Turn, purpose: str) -> None:
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


def _put_root_in_force(turn: Turn) -> None:
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
        ledger(turn, "seal root rotated")


def _mark_roots(turn: Turn, purpose: str) -> None:
    turn.connection.execute(
        "UPDATE control.wrapped_root SET state = CASE WHEN version = %(new)s THEN 'active' ELSE 'retiring' END"
        " WHERE tenant_code = %(code)s AND purpose = %(purpose)s AND state <> 'retired'",
        {"new": turn.new_version, "code": turn.tenant.code, "purpose": purpose},
    )


def _reseal_all(turn: Turn, tables: Sequence[SealedTable]) -> None:
    """Walk, count, walk again what was held or moved under the walk, until the count is nought."""
    ring = turn.ring()
    for _ in range(PASSES_MAX):
        for table in tables:
            walk(turn, table.table, lambda first, last, t=table: _reseal_batch(turn, ring, t, first, last))
        old = [table for table in tables if _count_old(turn, table)]
        if not old:
            return
        for table in old:
            reset(turn, table.table)
    raise Unavailable("rotation.rows_left", "rows under the old root remain", remedy="run it again when it is quieter")


def _reseal_batch(turn: Turn, ring: TenantRing, table: SealedTable, first: int, last: int) -> int:
    return resealing.reseal_blocks(turn.connection, turn.tenant, ring, table, first, last)


def _count_old(turn: Turn, table: SealedTable) -> int:
    with turn.as_tenant():
        return resealing.left(turn.connection, turn.tenant, table, turn.new_version)


def _destroy_root(turn: Turn, purpose: str, tables: Sequence[SealedTable]) -> None:
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


def _name_slots(turn: Turn, active: str, pending: str | None) -> None:
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
            ledger(turn, "index root rotated")
    turn.refresh()


def _fill(turn: Turn, indexed: IndexedTables) -> None:
    ring = turn.ring()
    slot = slot_of(turn.new_version)
    for table, refill in indexed.refills:
        walk(
            turn,
            table,
            lambda first, last, act=refill: act(turn.connection, turn.tenant, ring, slot, first, last),
        )


def _empty_slot(turn: Turn, indexed: IndexedTables, slot: str) -> None:
    """Rows of an earlier turn under an earlier root: they answer nothing any more."""
    with turn.as_tenant():
        for name in indexed.slots:
            turn.connection.execute(
                sql.SQL("DELETE FROM {}").format(sql.Identifier(turn.tenant.schema, f"{name}_{slot}"))
            )
