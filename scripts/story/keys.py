"""A key ring of the story's own, built as a service builds its own: to show what opens and what does not."""

from __future__ import annotations

from juki.config import load
from juki.tenancy import connect, kms_of
from juki.tenancy.keys import tenant_keys
from juki.vault import KeyRing, TenantKeys, TenantRing
from story.world import World


def open_ring(world: World, code: str) -> TenantRing:
    """The ring of a municipality as the directory names it now."""
    config = load(world.env())

    def loaded(tenant: str) -> TenantKeys:
        with connect(config, "registry") as connection:
            return tenant_keys(connection, tenant)

    return KeyRing(kms_of(config), loaded).get_sync(code)
