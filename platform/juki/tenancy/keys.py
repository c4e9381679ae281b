"""Where a tenant's wrapped roots live and how the key ring is fed with them."""

from __future__ import annotations

from typing import Final

import psycopg

from juki.config import Config
from juki.problem import Conflict, NotFound
from juki.tenancy.session import Row
from juki.vault import KeyState, Kms, TenantKeys, WrappedRoot, open_kms

PURPOSES: Final = ("seal", "index", "sign")


def tenant_keys(connection: psycopg.Connection[Row], code: str) -> TenantKeys:
    """Every live wrapped root of a tenant with the versions the directory names; NotFound `tenant.unknown`."""
    known = connection.execute(
        "SELECT seal_version, index_active, index_pending FROM control.tenant WHERE code = %s AND state <> 'erased'",
        (code,),
    ).fetchone()
    if known is None:
        raise NotFound("tenant.unknown", "no such municipality here")
    rows = connection.execute(
        "SELECT tenant_code, purpose, version, key_id, blob, commitment FROM control.wrapped_root"
        " WHERE tenant_code = %s AND state <> 'retired' ORDER BY purpose, version",
        (code,),
    ).fetchall()
    return TenantKeys(
        tenant=code,
        roots=tuple(_wrapped_root(row) for row in rows),
        seal_version=known[0],
        index_active=known[1],
        index_pending=known[2],
    )


def _wrapped_root(row: Row) -> WrappedRoot:
    tenant, purpose, version, key_id, blob, commitment = row
    return WrappedRoot(
        tenant=tenant,
        purpose=purpose,
        version=version,
        key_id=key_id,
        blob=bytes(blob),
        commitment=bytes(commitment),
    )


def is_usable(kms: Kms, key_id: str) -> bool:
    """Whether the key may be used now."""
    return kms.state(key_id) is KeyState.ENABLED


def kms_of(config: Config) -> Kms:
    """The KMS that the settings name."""
    return open_kms(config.kms_spec, endpoint=config.kms_endpoint or None, timeout_s=config.kms_timeout_seconds)


def own_key(connection: psycopg.Connection[Row], kms: Kms, code: str, alias: str) -> str:
    """The KMS key of this alias, found again or made; Conflict `tenant.key_shared` where it is another municipality's.

    One key for two would open both, and go with whichever of them leaves first.
    """
    key_id = kms.find_key(alias) or kms.create_key(alias)
    if other := other_holder(connection, code, key_id):
        raise Conflict(
            "tenant.key_shared",
            f"the key of alias {alias} is that of municipality {other}",
            remedy="give this municipality an alias of its own under [keys], then run again",
        )
    return key_id


def other_holder(connection: psycopg.Connection[Row], code: str, key_id: str) -> str:
    """Code of another municipality that has or had this KMS key; empty where there is none."""
    row = connection.execute(
        "SELECT code FROM control.tenant WHERE key_id = %(key)s AND code <> %(code)s"
        " UNION SELECT tenant_code FROM control.wrapped_root WHERE key_id = %(key)s AND tenant_code <> %(code)s"
        " UNION SELECT tenant_code FROM control.rotation WHERE %(key)s IN (old_key, new_key) AND tenant_code <> %(code)s"
        " ORDER BY 1 LIMIT 1",
        {"key": key_id, "code": code},
    ).fetchone()
    return str(row[0]) if row else ""
