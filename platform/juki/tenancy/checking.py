"""団体の点検: whether directory, schema, roles, revisions, roots and key of a tenant agree with each other."""

from __future__ import annotations

import msgspec
import psycopg
from psycopg import sql

from juki.problem import JukiError
from juki.tenancy.directory import Tenant
from juki.tenancy.keys import PURPOSES, is_usable, other_holder
from juki.tenancy.migrating import applied
from juki.tenancy.provisioning import find
from juki.tenancy.revisions import load_tree
from juki.tenancy.running import running_numbers
from juki.tenancy.session import Row
from juki.vault import Kms


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at; `fault` is empty when it is as it should be."""

    what: str
    fault: str = ""


def check(
    deploy: psycopg.Connection[Row], kms: Kms, code: str, *, witnessed: tuple[int, str] | None = None
) -> list[Finding]:
    """Every check of one tenant, in the order in which provisioning builds; NotFound `tenant.unknown`.

    `witnessed` is the newest head of its log that was copied elsewhere, size and text.
    """
    tenant = find(deploy, code)
    return [
        Finding(what="directory state", fault="" if tenant.state in ("active", "migrating") else tenant.state),
        Finding(what="KMS key", fault=_key_fault(deploy, kms, tenant)),
        Finding(what="wrapped roots", fault=_roots_fault(deploy, tenant)),
        Finding(what="roles and their members", fault=_roles_fault(deploy, tenant)),
        Finding(what="home and directory agree", fault=_home_fault(deploy, tenant)),
        Finding(what="revisions", fault=_revisions_fault(deploy, tenant)),
        Finding(what="running numbers", fault=_numbers_fault(deploy, tenant)),
        Finding(what="log and its witness", fault=_log_fault(deploy, tenant, witnessed)),
    ]


def _key_fault(deploy: psycopg.Connection[Row], kms: Kms, tenant: Tenant) -> str:
    if other := other_holder(deploy, tenant.code, tenant.key_id):
        return f"shared with {other} (run `juki rotate kms` for one of them)"
    try:
        return "" if is_usable(kms, tenant.key_id) else "not enabled"
    except JukiError as e:
        return e.code


def _roots_fault(deploy: psycopg.Connection[Row], tenant: Tenant) -> str:
    rows = deploy.execute(
        "SELECT purpose, max(version) FROM control.wrapped_root"
        " WHERE tenant_code = %s AND state <> 'retired' GROUP BY purpose",
        (tenant.code,),
    ).fetchall()
    newest = dict(rows)
    if missing := [purpose for purpose in PURPOSES if purpose not in newest]:
        return f"missing: {', '.join(missing)}"
    return "" if newest["seal"] >= tenant.seal_version else "the directory names a seal root that is not there"


def _roles_fault(deploy: psycopg.Connection[Row], tenant: Tenant) -> str:
    rows = deploy.execute(
        """
        SELECT r.rolname, r.rolcanlogin OR r.rolsuper OR r.rolbypassrls OR r.rolcreaterole,
               ARRAY(SELECT m.rolname::text FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member
                     WHERE a.roleid = r.oid AND m.rolname <> 'juki_deploy' ORDER BY 1)
        FROM pg_roles r WHERE r.rolname = ANY(%s)
        """,
        ([f"{tenant.schema}_registry", f"{tenant.schema}_rekey"],),
    ).fetchall()
    found = {name: (strong, members) for name, strong, members in rows}
    for suffix in ("registry", "rekey"):
        strong, members = found.get(f"{tenant.schema}_{suffix}", (True, []))
        if strong or members != [f"juki_{suffix}"]:
            return f"{tenant.schema}_{suffix} is missing, too strong or lent to somebody else"
    return ""


def _home_fault(deploy: psycopg.Connection[Row], tenant: Tenant) -> str:
    try:
        row = deploy.execute(
            sql.SQL("SELECT epoch, state, seal_version, index_active FROM {}.tenant_state").format(
                sql.Identifier(tenant.schema)
            )
        ).fetchone()
    except psycopg.errors.UndefinedTable:
        deploy.rollback()
        return "no schema"
    wanted = (tenant.epoch, tenant.state, tenant.seal_version, tenant.index_active)
    return "" if row == wanted else "epoch, state, seal version or index slot differ"


def _revisions_fault(deploy: psycopg.Connection[Row], tenant: Tenant) -> str:
    wanted = {revision.id: revision.fingerprint for revision in load_tree("tenant")}
    known = applied(deploy, tenant.schema)
    if changed := [id_ for id_, mark in known.items() if wanted.get(id_) != mark]:
        return f"applied with another text: {', '.join(changed)}"
    missing = [id_ for id_ in wanted if id_ not in known]
    return f"missing: {', '.join(missing)} (run `juki migrate`)" if missing else ""


def _numbers_fault(deploy: psycopg.Connection[Row], tenant: Tenant) -> str:
    try:
        behind = [number.name for number in running_numbers(deploy, tenant) if number.behind]
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName):
        deploy.rollback()
        return "cannot be compared before the newest revision is applied"
    return f"behind the numbers in use: {', '.join(behind)} (run `juki tenant numbers`)" if behind else ""


def _log_fault(deploy: psycopg.Connection[Row], tenant: Tenant, witnessed: tuple[int, str] | None) -> str:
    """A log that was put back to an older state lacks a head of which there is a copy, however far it has grown since."""
    if witnessed is None:
        return ""
    size, note = witnessed
    try:
        row = deploy.execute(
            sql.SQL("SELECT note FROM {}.audit_checkpoint WHERE size = %s").format(sql.Identifier(tenant.schema)),
            (size,),
        ).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        deploy.rollback()
        return "no log"
    return "" if row == (note,) else f"the witness has another head of size {size} (restored from a backup, or altered)"
