"""団体の受け入れ: a municipality moves in step by step, each step durable and harmless to repeat.

registered -> provisioning (key, wrapped roots) -> roles, schema, revisions -> active. A run that was cut anywhere is
completed by running it again; a run over a complete tenant changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from juki.problem import Conflict, Misconfigured, NotFound, Refused
from juki.tenancy.directory import TENANT_COLUMNS, State, Tenant, TenantFile, settings_of, tenant_of
from juki.tenancy.keys import PURPOSES, is_usable, own_key
from juki.tenancy.locks import take_lock
from juki.tenancy.migrating import apply_all, apply_control
from juki.tenancy.revisions import Revision, load_tree
from juki.tenancy.session import Row
from juki.vault import KeyElsewhere, KeyState, Kms, new_root

LOCK_CLASS: Final = 19277
"""First half of the advisory lock that writers share and a change of state takes alone; second half: the code."""

PROVISIONING_LOCK: Final = 19290
"""First half of the advisory lock of a provisioning run; second half: the code."""

_KEYS_ASKED: Final = 5


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """What one run did; empty `done` means that nothing had to be done."""

    code: str
    state: State
    done: tuple[str, ...]


def prepare_control(deploy: psycopg.Connection[Row]) -> tuple[str, ...]:
    """Bring the control schema to its newest revision; the ids applied."""
    return apply_control(deploy, load_tree("control"))


def add(
    deploy: psycopg.Connection[Row],
    kms: Kms,
    file: TenantFile,
    *,
    actor: str,
    revisions: tuple[Revision, ...] | None = None,
) -> Provisioned:
    """Provision a tenant or complete what an earlier run left; Conflict `tenant.differs` where name or cell changed."""
    done: list[str] = []
    deploy.commit()
    _lock(deploy, file.code)
    try:
        _refuse_other_kms(deploy, kms)
        tenant = _registered(deploy, file, actor, done)
        if tenant.state == "erased":
            raise Refused("tenant.erased", "an erased municipality does not come back under the same keys")
        tenant = _settings_current(deploy, tenant, file, actor, done)
        if tenant.state in ("registered", "provisioning"):  # whoever has moved in gets nothing made anew that was lost
            if not tenant.key_id:
                tenant = _with_key(deploy, kms, tenant, done)
            _wrap_roots(deploy, kms, tenant, done)
            _build_schema(deploy, tenant, revisions or load_tree("tenant"), done)
            tenant = change_state(deploy, tenant.code, "active", actor=actor, reason="provisioned")
            done.append("activated")
        return Provisioned(code=tenant.code, state=tenant.state, done=tuple(done))
    finally:
        deploy.rollback()
        deploy.execute("SELECT pg_advisory_unlock(%s, %s)", (PROVISIONING_LOCK, int(file.code)))
        deploy.commit()


def _lock(deploy: psycopg.Connection[Row], code: str) -> None:
    """One provisioning per tenant at a time, over all its transactions."""
    taken = take_lock(deploy, PROVISIONING_LOCK, int(code))
    deploy.commit()
    if not taken:
        raise Conflict("tenant.in_progress", "another run is provisioning this municipality")


def find(deploy: psycopg.Connection[Row], code: str) -> Tenant:
    """A directory row whatever its state; NotFound `tenant.unknown`."""
    row = deploy.execute(
        sql.SQL("SELECT {} FROM control.tenant WHERE code = %s").format(sql.SQL(TENANT_COLUMNS)), (code,)
    ).fetchone()
    if row is None:
        raise NotFound("tenant.unknown", "no such municipality here", remedy="see `juki tenant list`")
    return tenant_of(row)


def list_tenants(connection: psycopg.Connection[Row]) -> list[Tenant]:
    """The whole directory, ordered by code, whatever the state."""
    rows = connection.execute(
        sql.SQL("SELECT {} FROM control.tenant ORDER BY code").format(sql.SQL(TENANT_COLUMNS))
    ).fetchall()
    return [tenant_of(row) for row in rows]


def change_state(deploy: psycopg.Connection[Row], code: str, to: State, *, actor: str, reason: str = "") -> Tenant:
    """Move a tenant to another state under a new epoch, waiting for writers under way; commits.

    From that commit on, a writer that comes with the older epoch is turned away by the database itself.
    """
    deploy.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, int(code)))
    before = find(deploy, code)
    if to not in _NEXT[before.state]:
        deploy.rollback()
        raise Conflict("tenant.state", f"from {before.state} a tenant cannot become {to}")
    epoch = before.epoch + 1
    deploy.execute(
        "UPDATE control.tenant SET state = %s, epoch = %s, changed_at = now() WHERE code = %s", (to, epoch, code)
    )
    if to not in ("registered", "provisioning", "erased"):
        deploy.execute(
            sql.SQL("UPDATE {}.tenant_state SET state = %s, epoch = %s, changed_at = now()").format(
                sql.Identifier(before.schema)
            ),
            (to, epoch),
        )
    record(deploy, before, "state", to, epoch, actor, reason)
    deploy.commit()
    return find(deploy, code)


_NEXT: Final[Mapping[str, frozenset[str]]] = {
    "registered": frozenset({"provisioning", "active"}),
    "provisioning": frozenset({"active"}),
    "migrating": frozenset({"active", "suspended", "leaving"}),
    "active": frozenset({"migrating", "suspended", "leaving"}),
    "suspended": frozenset({"active", "leaving"}),
    "leaving": frozenset({"active", "suspended", "erased"}),
    "erased": frozenset(),
}


def record(
    deploy: psycopg.Connection[Row], before: Tenant, what: str, to: str, epoch: int, actor: str, reason: str = ""
) -> None:
    """One line in the ledger of tenant events, in the caller's transaction."""
    deploy.execute(
        "INSERT INTO control.tenant_event (tenant_code, what, from_state, to_state, epoch, actor, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (before.code, what, before.state, to, epoch, actor, reason),
    )


def _registered(deploy: psycopg.Connection[Row], file: TenantFile, actor: str, done: list[str]) -> Tenant:
    inserted = deploy.execute(
        "INSERT INTO control.tenant (code, name, prefecture, schema_name, cell, state, epoch, settings)"
        " VALUES (%s, %s, %s, %s, %s, 'registered', 1, %s) ON CONFLICT (code) DO NOTHING",
        (file.code, file.name, file.prefecture, f"t{file.code}", file.cell, _json(settings_of(file))),
    )
    tenant = find(deploy, file.code)
    if inserted.rowcount:
        record(deploy, tenant, "registered", "registered", 1, actor)
        done.append("registered")
    deploy.commit()
    if (tenant.name, tenant.prefecture, tenant.cell) != (file.name, file.prefecture, file.cell):
        raise Conflict(
            "tenant.differs",
            "name, prefecture or cell differ from the directory",
            remedy="these change by a merger only",
        )
    return tenant


def _settings_current(
    deploy: psycopg.Connection[Row], tenant: Tenant, file: TenantFile, actor: str, done: list[str]
) -> Tenant:
    wanted = settings_of(file)
    if msgspec.to_builtins(tenant.settings) == wanted:
        return tenant
    if tenant.key_id and tenant.settings.keys.alias != file.keys.alias:
        raise Conflict("tenant.key_alias", "the key alias changes by `juki rotate kms` only")
    _refuse_shorter_retention(tenant, file)
    deploy.execute(
        "UPDATE control.tenant SET settings = %s, changed_at = now() WHERE code = %s", (_json(wanted), tenant.code)
    )
    record(deploy, tenant, "settings", tenant.state, tenant.epoch, actor)
    deploy.commit()
    done.append("settings")
    return find(deploy, tenant.code)


def _refuse_shorter_retention(tenant: Tenant, file: TenantFile) -> None:
    for name in tenant.settings.retention.__struct_fields__:
        if getattr(file.retention, name) < getattr(tenant.settings.retention, name):
            raise Refused("tenant.retention", f"retention.{name} may not be shortened")


def _refuse_other_kms(deploy: psycopg.Connection[Row], kms: Kms) -> None:
    """A key store that knows no key of those who live here is not theirs; a new key in it would begin a second one."""
    rows = deploy.execute(
        "SELECT key_id FROM control.tenant WHERE key_id <> '' AND state IN ('active', 'migrating', 'suspended')"
        " ORDER BY changed_at DESC LIMIT %s",
        (_KEYS_ASKED,),
    ).fetchall()
    deploy.commit()
    if rows and not any(_is_known(kms, str(row[0])) for row in rows):
        raise Misconfigured(
            "tenant.other_kms",
            "the key store that JUKI_KMS names holds no key of the municipalities that live here",
            remedy="have JUKI_KMS name the store they were provisioned with, or put its backup back;"
            " nothing was changed, and a new store would not open what is recorded",
        )


def _is_known(kms: Kms, key_id: str) -> bool:
    try:
        return kms.state(key_id) is not KeyState.DELETED
    except KeyElsewhere:
        return False


def _with_key(deploy: psycopg.Connection[Row], kms: Kms, tenant: Tenant, done: list[str]) -> Tenant:
    # a run that was cut after the KMS answered left a key behind: it is found by its alias, not made twice
    deploy.execute("SELECT pg_advisory_xact_lock(%s, 0)", (PROVISIONING_LOCK,))  # two files with one alias meet here
    key_id = own_key(deploy, kms, tenant.code, tenant.settings.keys.alias)
    deploy.execute(
        "UPDATE control.tenant SET key_id = %s, state = 'provisioning', changed_at = now() WHERE code = %s",
        (key_id, tenant.code),
    )
    deploy.commit()
    done.append("key")
    return find(deploy, tenant.code)


def _wrap_roots(deploy: psycopg.Connection[Row], kms: Kms, tenant: Tenant, done: list[str]) -> None:
    rows = deploy.execute("SELECT DISTINCT purpose FROM control.wrapped_root WHERE tenant_code = %s", (tenant.code,))
    present = {row[0] for row in rows.fetchall()}
    if missing := [purpose for purpose in PURPOSES if purpose not in present]:
        if not is_usable(kms, tenant.key_id):
            raise Misconfigured(
                "tenant.key_state",
                "the municipality's KMS key is not enabled",
                remedy="enable it in the KMS, or take its deletion back, then run again",
            )
        for purpose in missing:
            root = new_root(kms, tenant.key_id, tenant.code, purpose, 1)
            deploy.execute(
                "INSERT INTO control.wrapped_root (tenant_code, purpose, version, key_id, blob, commitment)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (tenant.code, purpose, root.version, root.key_id, root.blob, root.commitment),
            )
        done.append("roots")
    deploy.commit()


def _build_schema(
    deploy: psycopg.Connection[Row], tenant: Tenant, revisions: tuple[Revision, ...], done: list[str]
) -> None:
    """Roles, schema and revisions of a new tenant in one transaction; an existing schema is left to `juki migrate`."""
    schema = sql.Identifier(tenant.schema)
    if deploy.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (tenant.schema,)).fetchone():
        deploy.commit()
        return
    for suffix in ("registry", "rekey"):
        _ensure_role(deploy, f"{tenant.schema}_{suffix}", f"juki_{suffix}")
    deploy.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    apply_all(deploy, tenant.schema, revisions)
    deploy.execute(
        sql.SQL(
            "INSERT INTO {}.tenant_state (epoch, state, seal_version, index_active) VALUES (%s, 'provisioning', %s, %s)"
        ).format(schema),
        (tenant.epoch, tenant.seal_version, tenant.index_active),
    )
    deploy.commit()
    done.append("schema")


def _ensure_role(deploy: psycopg.Connection[Row], role: str, login: str) -> None:
    """A tenant role without login and its one member; NOINHERIT of the login keeps the right asleep until it is taken."""
    if not deploy.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        deploy.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(sql.Identifier(role)))
    deploy.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(login)))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
