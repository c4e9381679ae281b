"""SQL of machines: clients, used assertions, tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from juki.tenancy.session import TenantSession
from juki.vault import TenantRing


class ClientRow(msgspec.Struct, frozen=True, kw_only=True):
    """連携先システム, with its signing secret opened where asked for."""

    client_id: str
    system_name: str
    scopes: tuple[str, ...]
    state: str
    valid_until: dt.date
    secret: str = ""

    def __repr__(self) -> str:
        return f"<ClientRow {self.client_id}>"


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """An access token that is known here, with the client as it is now."""

    client_id: str
    scopes: tuple[str, ...]
    issued_at: dt.datetime
    expires_at: dt.datetime
    live: bool


async def add_client(session: TenantSession, ring: TenantRing, row: ClientRow, now: dt.datetime, by_whom: str) -> None:
    """A new client; Conflict `db.twice` where the system has one."""
    await session.execute(
        """
        INSERT INTO {t}.machine_client (client_id, system_name, scopes, state, valid_until, registered_at,
            registered_by, row_version, secret_sealed)
        VALUES (%(client_id)s, %(system_name)s, %(scopes)s, %(state)s, %(valid_until)s, %(now)s, %(by_whom)s, 1,
            %(secret_sealed)s)
        """,
        {
            "client_id": row.client_id,
            "system_name": row.system_name,
            "scopes": list(row.scopes),
            "state": row.state,
            "valid_until": row.valid_until,
            "now": now,
            "by_whom": by_whom,
            "secret_sealed": ring.seal("machine_client", "secret", row.client_id, 1, row.secret.encode()),
        },
    )


async def client(session: TenantSession, ring: TenantRing, client_id: str) -> ClientRow | None:
    """One client with its secret."""
    row = await session.fetch_one(
        "SELECT client_id, system_name, scopes, state, valid_until, row_version, secret_sealed"
        " FROM {t}.machine_client WHERE client_id = %(client_id)s",
        {"client_id": client_id},
    )
    if row is None:
        return None
    secret = ring.open("machine_client", "secret", row[0], row[5], bytes(row[6]), bytes)
    return ClientRow(
        client_id=row[0],
        system_name=row[1],
        scopes=tuple(row[2]),
        state=row[3],
        valid_until=row[4],
        secret=secret.decode(),
    )


async def clients(session: TenantSession) -> list[ClientRow]:
    """Every client without its secret."""
    rows = await session.fetch(
        "SELECT client_id, system_name, scopes, state, valid_until FROM {t}.machine_client ORDER BY client_id"
    )
    return [
        ClientRow(client_id=row[0], system_name=row[1], scopes=tuple(row[2]), state=row[3], valid_until=row[4])
        for row in rows
    ]


async def set_client_state(session: TenantSession, client_id: str, state: str) -> int:
    """Suspend, reopen or end a client; its tokens stop with it."""
    return await session.execute(
        "UPDATE {t}.machine_client SET state = %(state)s WHERE client_id = %(client_id)s",
        {"client_id": client_id, "state": state},
    )


async def use_assertion(session: TenantSession, client_id: str, digest: bytes, expires_at: dt.datetime) -> bool:
    """Mark an assertion as used; False where it has been used before."""
    return bool(
        await session.execute(
            "INSERT INTO {t}.machine_assertion (client_id, assertion_digest, expires_at)"
            " VALUES (%(client_id)s, %(digest)s, %(expires_at)s) ON CONFLICT DO NOTHING",
            {"client_id": client_id, "digest": digest, "expires_at": expires_at},
        )
    )


async def add_token(
    session: TenantSession,
    token_digest: bytes,
    client_id: str,
    scopes: Sequence[str],
    now: dt.datetime,
    expires_at: dt.datetime,
) -> None:
    """A new access token."""
    await session.execute(
        "INSERT INTO {t}.access_token (token_digest, client_id, scopes, issued_at, expires_at)"
        " VALUES (%(token_digest)s, %(client_id)s, %(scopes)s, %(now)s, %(expires_at)s)",
        {
            "token_digest": token_digest,
            "client_id": client_id,
            "scopes": list(scopes),
            "now": now,
            "expires_at": expires_at,
        },
    )


async def token(session: TenantSession, token_digest: bytes, now: dt.datetime, today: dt.date) -> TokenRow | None:
    """A token as it stands now: not expired, not revoked, its client active and the scope still the client's."""
    row = await session.fetch_one(
        """
        SELECT a.client_id, a.scopes, a.issued_at, a.expires_at,
               a.expires_at > %(now)s AND a.revoked_at IS NULL AND c.state = 'active' AND c.valid_until >= %(today)s
                   AND a.scopes <@ c.scopes
        FROM {t}.access_token a JOIN {t}.machine_client c ON c.client_id = a.client_id
        WHERE a.token_digest = %(token_digest)s
        """,
        {"token_digest": token_digest, "now": now, "today": today},
    )
    if row is None:
        return None
    return TokenRow(client_id=row[0], scopes=tuple(row[1]), issued_at=row[2], expires_at=row[3], live=bool(row[4]))


async def revoke_token(session: TenantSession, token_digest: bytes, now: dt.datetime) -> int:
    """A token stops."""
    return await session.execute(
        "UPDATE {t}.access_token SET revoked_at = %(now)s WHERE token_digest = %(token_digest)s AND revoked_at IS NULL",
        {"token_digest": token_digest, "now": now},
    )


async def forget_expired(session: TenantSession, before: dt.datetime) -> int:
    """Expired tokens and assertions go; the log keeps their use."""
    gone = await session.execute("DELETE FROM {t}.machine_assertion WHERE expires_at < %(before)s", {"before": before})
    return gone + await session.execute(
        "DELETE FROM {t}.access_token WHERE expires_at < %(before)s", {"before": before}
    )
