"""A municipality with sealed rows of its own making, so that the walk is tested apart from the register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from juki.config import Config
from juki.tenancy import Fleet, bulk, enter_write

CODE = "072044"
MACHINES = (("machine_client", "secret", "client_id", "row_version", "secret_sealed"),)


async def put_machines(fleet: Fleet, first: int, count: int) -> None:
    """`count` rows of `machine_client`, sealed under the root in force."""
    tenant = await fleet.tenant(CODE)
    ring = await fleet.keyring.get(CODE)
    with bulk(fleet, CODE) as connection:
        enter_write(connection, tenant)
        connection.cursor().executemany(
            "INSERT INTO t072044.machine_client (client_id, system_name, scopes, state, valid_until, registered_at,"
            " registered_by, row_version, secret_sealed)"
            " VALUES (%s, %s, '{}', 'active', '2030-01-01', now(), 'test', 1, %s)",
            [_machine(ring.seal, number) for number in range(first, first + count)],
        )
        connection.commit()


def _machine(seal: Callable[..., bytes], number: int) -> tuple[Any, ...]:
    key = f"mc-{number:06d}"
    return key, f"system {number}", seal("machine_client", "secret", key, 1, f"secret {number}".encode())


async def opened(fleet: Fleet) -> dict[str, str]:
    """Every secret, opened through the service's own ring."""
    ring = await fleet.keyring.get(CODE)
    async with fleet.session(CODE, write=False) as session:
        rows = await session.fetch("SELECT client_id, row_version, secret_sealed FROM {t}.machine_client ORDER BY 1")
    return {key: ring.open("machine_client", "secret", key, v, bytes(s), bytes).decode() for key, v, s in rows}


@pytest.fixture
def quiet() -> Callable[[object], None]:
    """A listener that does nothing."""
    return lambda _: None


def kms_of(config: Config) -> Any:
    """The key store of a test's municipality."""
    from juki.vault import open_kms

    return open_kms(config.kms_spec)
