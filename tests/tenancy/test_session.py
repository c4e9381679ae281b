"""TenantSession: the role wall at the database, seen from the service login."""

from __future__ import annotations

from juki.tenancy import Fleet


async def test_a_session_reads_its_own_home_under_its_own_role(fleet: Fleet) -> None:
    """R-A-3.3-ACC: the role of the tenant and no other is in force."""
    async with fleet.session("072044", write=False) as session:
        row = await session.fetch_one("SELECT current_user, s.state, s.epoch FROM {t}.tenant_state s")
    assert row == ("t072044_registry", "active", 2)
