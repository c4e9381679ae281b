"""連携先システム: OAuth2 client credentials with `client_secret_jwt` (RFC 6749 4.4, RFC 7523, HS256), one client a system.

Tokens are opaque, short-lived and stored as digests; a scope is `001:resident:Read`: duty, thing, act.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any, Final

import jwt
import msgspec

from juki.access import credentials, machine_store
from juki.access.machine_store import ClientRow
from juki.access.model import SCOPE_RIGHTS, Caller, NotSignedIn, scope_rights
from juki.access.work import Work
from juki.problem import Invalid, NotFound

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
BEARER: Final = "Bearer"
_SECRET_BYTES_MIN: Final = 32
_CLIENT_ID: Final = re.compile(r"mc-[0-9a-z]{4,32}")
_INSTANT_MAX: Final = 2**40  # seconds; beyond it, and beside the numbers, lies no time of ours
_CLOCK_LEEWAY_SECONDS: Final = 10


class NewClient(msgspec.Struct, frozen=True, kw_only=True):
    """What a consuming system is handed once."""

    client_id: str
    secret: str

    def __repr__(self) -> str:
        return f"<NewClient {self.client_id} withheld>"


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of the token endpoint (RFC 6749 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str

    def __repr__(self) -> str:
        return "<Issued withheld>"


async def register(work: Work, system_name: str, scopes: Sequence[str], valid_until: dt.date) -> NewClient:
    """Register one system. Invalid `access.scope_unknown`, Conflict `db.twice` where the system has a client."""
    if not scopes or set(scopes) - set(SCOPE_RIGHTS):
        raise Invalid("access.scope_unknown", "an unknown scope, or none", fields={"scopes": "unknown"})
    made = NewClient(client_id=f"mc-{secrets.token_hex(5)}", secret=credentials.new_machine_secret())
    row = ClientRow(
        client_id=made.client_id,
        system_name=system_name,
        scopes=tuple(scopes),
        state="active",
        valid_until=valid_until,
        secret=made.secret,
    )
    await machine_store.add_client(work.session, work.ring, row, work.now, work.by.actor_id)
    return made


async def suspend(work: Work, client_id: str) -> None:
    """停止: its tokens stop at once."""
    if not await machine_store.set_client_state(work.session, client_id, "suspended"):
        raise NotFound("access.client_unknown", "no such client")


async def issue(work: Work, assertion_type: str, assertion: str, scope: str, audiences: Collection[str]) -> Issued:
    """Token for a proven client. NotSignedIn `access.client_assertion` whatever is wrong with the proof.

    Invalid `access.scope_unknown` for a scope the client does not have.
    """
    client = await _prove(work, assertion_type, assertion, audiences)
    asked = tuple(dict.fromkeys(scope.split())) or client.scopes
    if set(asked) - set(client.scopes):
        raise Invalid("access.scope_unknown", "the client does not have this scope", fields={"scope": "not_granted"})
    token = credentials.new_token(work.session.tenant.code)
    expires = work.now + dt.timedelta(seconds=work.policy.token_seconds)
    await machine_store.add_token(work.session, credentials.digest(token), client.client_id, asked, work.now, expires)
    await machine_store.forget_expired(work.session, work.now - dt.timedelta(days=1))
    return Issued(access_token=token, token_type=BEARER, expires_in=work.policy.token_seconds, scope=" ".join(asked))


async def _prove(work: Work, assertion_type: str, assertion: str, audiences: Collection[str]) -> ClientRow:
    fault = NotSignedIn("access.client_assertion", "the assertion does not prove a client")
    if assertion_type != ASSERTION_TYPE or len(assertion) > 4096:
        raise fault
    try:
        unproven = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise fault from None
    named = str(unproven.get("iss", ""))
    client = await machine_store.client(work.session, work.ring, named) if _CLIENT_ID.fullmatch(named) else None
    if client is None or client.state != "active" or client.valid_until < work.today:
        raise fault
    if len(client.secret.encode()) < _SECRET_BYTES_MIN:
        raise fault
    claims = _claims(assertion, client, audiences)
    if claims is None:
        raise fault
    now = work.now.timestamp()
    expires = float(claims["exp"])
    leeway = _CLOCK_LEEWAY_SECONDS
    if not now - leeway < expires <= now + work.policy.assertion_seconds_max + leeway:
        raise fault
    if float(claims["iat"]) > now + leeway:
        raise fault
    until = dt.datetime.fromtimestamp(expires + leeway, dt.UTC)
    digest = credentials.digest(str(claims["jti"]))
    if not await machine_store.use_assertion(work.session, client.client_id, digest, until):
        raise fault
    return client


def _claims(assertion: str, client: ClientRow, audiences: Collection[str]) -> dict[str, Any] | None:
    """Signature, issuer, subject and audience; times are compared with our own clock by the caller."""
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            client.secret,
            algorithms=["HS256"],
            audience=list(audiences),
            issuer=client.client_id,
            options={
                "require": ["iss", "sub", "aud", "exp", "iat", "jti"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidTokenError:
        return None
    if claims["sub"] != client.client_id or not 8 <= len(str(claims["jti"])) <= 128:
        return None
    if not all(isinstance(claims[name], int | float) and 0 < claims[name] < _INSTANT_MAX for name in ("exp", "iat")):
        return None
    return claims


async def authenticate(work: Work, token: str) -> Caller:
    """Who presents a bearer token. NotSignedIn `access.token_unknown` for any other municipality's, old or made-up one."""
    found = await _live(work, token)
    if found is None:
        raise NotSignedIn("access.token_unknown", "no such token here")
    return Caller(
        tenant=work.session.tenant.code,
        actor_id=found.client_id,
        actor_kind="machine",
        terminal_id=found.client_id,
        rights=scope_rights(found.scopes),
        duty=" ".join(found.scopes),
    )


async def introspect(work: Work, token: str) -> dict[str, Any]:
    """Answer of RFC 7662 2.2: everything about a live token, and only `active: false` about any other."""
    found = await _live(work, token)
    if found is None:
        return {"active": False}
    return {
        "active": True,
        "client_id": found.client_id,
        "scope": " ".join(found.scopes),
        "token_type": BEARER,
        "iat": int(found.issued_at.timestamp()),
        "exp": int(found.expires_at.timestamp()),
        "iss": work.session.tenant.code,
    }


async def revoke(work: Work, token: str) -> None:
    """RFC 7009: the token stops; an unknown one is not an error."""
    await machine_store.revoke_token(work.session, credentials.digest(token), work.now)


async def _live(work: Work, token: str) -> machine_store.TokenRow | None:
    if not token.startswith(f"{work.session.tenant.code}."):
        return None
    found = await machine_store.token(work.session, credentials.digest(token), work.now, work.today)
    return found if found is not None and found.live else None


async def listing(work: Work) -> list[dict[str, Any]]:
    """Every client without its secret."""
    return [
        {"client_id": c.client_id, "system": c.system_name, "scopes": list(c.scopes), "state": c.state}
        for c in await machine_store.clients(work.session)
    ]
