"""交換の一回: one turn of a key under way, its lock, its steps written down, and how far a walk over a table has come."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

import msgspec
import psycopg

from juki.problem import Conflict, Refused
from juki.tenancy import presence, resealing
from juki.tenancy.directory import Tenant
from juki.tenancy.fleet import role_of
from juki.tenancy.locks import take_lock
from juki.tenancy.provisioning import find
from juki.tenancy.session import Row
from juki.vault import KeyRing, KeyState, Kms, TenantRing

Kind: TypeAlias = Literal["kms", "root", "index"]

TURN_LOCK: Final = 19281
"""First half of the advisory lock of whoever turns or destroys a tenant's keys; the second half is the code."""

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


class Turn(msgspec.Struct, kw_only=True):
    """One turn of one key: what it works with and how far it is."""

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
        """Read the directory row anew."""
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


def alone(connection: psycopg.Connection[Row], code: str) -> None:
    """One run at a time at the keys of a municipality; Conflict `rotation.in_progress`."""
    if not take_lock(connection, TURN_LOCK, int(code)):
        raise Conflict("rotation.in_progress", "another run turns or destroys the keys of this municipality")


def begin(
    connection: psycopg.Connection[Row], kms: Kms, keyring: KeyRing, code: str, kind: Kind, actor: str, tell: Tell
) -> tuple[Turn, bool]:
    """The rotation that was left unfinished, or a new one."""
    tenant = find(connection, code)
    if tenant.state not in _WRITABLE:
        raise Refused("rotation.state", f"keys of a municipality that is {tenant.state} are not turned")
    open_ = _unfinished(connection, code)
    if open_ is not None and open_[1] != kind:
        raise Conflict(
            "rotation.other_kind", f"a rotation of kind {open_[1]} was begun and not finished", remedy="run it first"
        )
    state = kms.state(tenant.key_id)
    if state is KeyState.DELETED or (open_ is None and state is not KeyState.ENABLED):
        raise Refused(
            "rotation.key_state",
            "the municipality's KMS key is not enabled, or not in the KMS that JUKI_KMS names",
            remedy="enable the key, or correct JUKI_KMS, then run again",
        )
    row = open_ or _insert(connection, tenant, kind, actor)
    number, _, step, old_version, new_version, old_key, new_key = row
    turn = Turn(
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


def note_step(turn: Turn, name: str, *, last: bool) -> None:
    """Write down that a step is done; with the last one the turn is finished."""
    turn.connection.execute(
        "UPDATE control.rotation SET step = %s, finished_at = CASE WHEN %s THEN now() END WHERE rotation_no = %s",
        (name, last, turn.number),
    )


def turned(turn: Turn, *, resumed: bool) -> Turned:
    """What became of the turn."""
    row = turn.connection.execute(
        "SELECT coalesce(sum(rows_done), 0)::bigint FROM control.rotation_progress WHERE rotation_no = %s",
        (turn.number,),
    ).fetchone()
    return Turned(
        rotation_no=turn.number, kind=turn.kind, tenant=turn.tenant.code, old_version=turn.old_version,
        new_version=turn.new_version, old_key=turn.old_key, new_key=turn.new_key,
        rows=int(row[0]) if row else 0, resumed=resumed,
    )  # fmt: skip


def tell_processes(turn: Turn) -> None:
    """Every process reads directory and roots anew, and whoever has the old ring in hand finishes first."""

    def waiting(count: int) -> None:
        turn.tell(Progress(step=turn.step, phase="part", part="waiting", position=count, positions=count))

    presence.order(turn.connection, turn.tenant.code, presence.RELOAD, waiting=waiting)


def walk(turn: Turn, part: str, act: Callable[[int, int], int]) -> None:
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


def reset(turn: Turn, part: str) -> None:
    """Walk a table again from its first block."""
    turn.connection.execute(
        "UPDATE control.rotation_progress SET position = 0, finished = false WHERE rotation_no = %s AND part = %s",
        (turn.number, part),
    )


def ledger(turn: Turn, what: str) -> None:
    """One line in the ledger of tenant events."""
    parameters: dict[str, Any] = {"code": turn.tenant.code, "what": what, "number": f"rotation {turn.number}"}
    turn.connection.execute(
        "INSERT INTO control.tenant_event (tenant_code, what, from_state, to_state, epoch, actor, reason)"
        " SELECT t.code, %(what)s, t.state, t.state, t.epoch, r.started_by, %(number)s"
        " FROM control.tenant t JOIN control.rotation r ON r.tenant_code = t.code AND r.finished_at IS NULL"
        " WHERE t.code = %(code)s",
        parameters,
    )
