"""採番: after an incumbent's people are in, numbers drawn here must lie beyond the numbers they brought."""

from __future__ import annotations

from juki.tenancy import Fleet, Tenant, beyond_use, bulk, enter_write


def beyond_imported(fleet: Fleet, tenant: Tenant) -> None:
    """Move every running number of the tenant beyond what the register now holds."""
    with bulk(fleet, tenant.code) as connection, connection.transaction():
        enter_write(connection, tenant)
        beyond_use(connection, tenant)
