"""連携先システム: client credentials with client_secret_jwt (RFC 6749, 7523, 7662), two municipalities."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import jwt
import pytest

from juki import audit
from juki.access import machines
from juki.access.machines import ASSERTION_TYPE, NewClient
from juki.access.model import system
from juki.problem import Conflict, Invalid, JukiError

from .conftest import HIRONO, IWAKI, Town

AUDIENCE = "http://127.0.0.1/072044/oauth/token"
SCOPE = "001:resident:Read"


async def client(town: Town, name: str = "税務システム") -> NewClient:
    boss = system(IWAKI, "test", {"account.approve"})
    until = town.now.date() + dt.timedelta(days=300)
    async with audit.operation(town.fleet, boss, "client.register", purpose="連携") as op:
        return await machines.register(op.work, name, [SCOPE], until)


def assertion(town: Town, made: NewClient, secret: str | None = None, **changes: Any) -> str:
    """A right assertion, with some claims changed; None takes a claim away."""
    now = int(town.now.timestamp())
    claims: dict[str, Any] = {
        "iss": made.client_id, "sub": made.client_id, "aud": AUDIENCE, "iat": now, "exp": now + 60,
        "jti": f"jti-{town.now.timestamp()}",
    } | changes  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret or made.secret, algorithm="HS256")


async def token(town: Town, proof: str, scope: str = SCOPE, kind: str = ASSERTION_TYPE, code: str = IWAKI) -> str:
    issued = await audit.machine_token(town.fleet, code, kind, proof, scope, [AUDIENCE])
    assert (issued.token_type, issued.expires_in, issued.scope) == ("Bearer", 600, SCOPE)
    return issued.access_token


async def test_a_proven_client_gets_a_short_token_with_its_scope(town: Town) -> None:
    """R-A-3.5-LOG-01: a machine acts under its own id, in the log too, and with the rights of its scope only."""
    made = await client(town)
    caller = await audit.machine_caller(town.fleet, IWAKI, await token(town, assertion(town, made)))
    assert (caller.actor_kind, caller.actor_id, caller.rights) == (
        "machine", made.client_id, frozenset({"resident.search", "resident.read"}),
    )  # fmt: skip
    assert len(made.secret) >= 32
    assert made.secret not in repr(made)


async def test_an_assertion_is_used_once(town: Town) -> None:
    """RFC 7523 3: a replayed jti is refused."""
    made = await client(town)
    proof = assertion(town, made)
    await token(town, proof)
    with pytest.raises(JukiError) as replayed:
        await token(town, proof)
    assert replayed.value.code == "access.client_assertion"


BAD: dict[str, dict[str, Any]] = {
    "expired": {"exp": -30},
    "too long": {"exp": 3600},
    "from the future": {"iat": 600},
    "another audience": {"aud": "http://127.0.0.1/075418/oauth/token"},
    "another subject": {"sub": "mc-other"},
    "no jti": {"jti": None},
    "no expiry": {"exp": None},
    "short jti": {"jti": "1"},
    "wrong secret": {"secret": "x" * 43},
    "unknown client": {"iss": "mc-0000000000", "sub": "mc-0000000000"},
    "a client's name that no column holds": {"iss": "mc-\0", "sub": "mc-\0"},
    "an expiry without end": {"exp": float("inf")},
    "an expiry that is no number": {"exp": float("nan")},
    "an expiry beyond all numbers": {"exp": 10**400},
    "an issue that is no number": {"iat": float("nan")},
    "an issue beyond all numbers": {"iat": -(10**400)},
}


@pytest.mark.parametrize("what", BAD)
async def test_a_wrong_assertion_is_refused_with_one_answer(town: Town, what: str) -> None:
    """R-A-3.3-AUT-01: whatever is wrong with the proof, the answer is the same and nothing is issued."""
    made = await client(town)
    changes = dict(BAD[what])
    for name in ("exp", "iat"):
        if isinstance(changes.get(name), int):
            changes[name] += int(town.now.timestamp())
    secret = changes.pop("secret", None)
    with pytest.raises(JukiError) as refused:
        await token(town, assertion(town, made, secret, **changes))
    assert refused.value.code == "access.client_assertion"


@pytest.mark.parametrize("part", [0, 1], ids=["header", "claims"])
async def test_an_assertion_nested_without_end_is_refused_like_any_other(town: Town, part: int) -> None:
    """RFC 8725 2.4: nobody who proves nothing brings the reader down."""
    parts = ["eyJhbGciOiJIUzI1NiJ9", "e30", "AAAA"]
    parts[part] = base64.urlsafe_b64encode(b"[" * 2_900).decode().rstrip("=")
    with pytest.raises(JukiError) as refused:
        await token(town, ".".join(parts))
    assert refused.value.code == "access.client_assertion"


@pytest.mark.filterwarnings("ignore:The HMAC key is")
@pytest.mark.parametrize("algorithm", ["none", "HS512"])
async def test_only_hs256_proves_anything(town: Town, algorithm: str) -> None:
    """RFC 8725 3.1: the algorithm is ours to choose."""
    made = await client(town)
    claims = jwt.decode(assertion(town, made), options={"verify_signature": False})
    key = "" if algorithm == "none" else made.secret
    with pytest.raises(JukiError):
        await token(town, jwt.encode(claims, key, algorithm=algorithm))
    with pytest.raises(JukiError):
        await token(town, assertion(town, made), kind="password")


async def test_a_scope_the_client_does_not_have_is_refused(town: Town) -> None:
    """R-23-3.3-PRV-06: a machine reaches what it was registered for."""
    made = await client(town)
    with pytest.raises(Invalid) as refused:
        await token(town, assertion(town, made), scope="001:change:Enter")
    assert refused.value.code == "access.scope_unknown"


async def test_one_system_has_one_client(town: Town) -> None:
    """R-1-3.3-AUT-02: machines share no account either."""
    await client(town)
    with pytest.raises(Conflict):
        await client(town)


async def test_a_token_ends_by_time_by_revocation_and_with_its_client(town: Town) -> None:
    """R-1-3.3-PRV-05: nothing outlives its right."""
    made = await client(town)
    boss = system(IWAKI, "test", {"account.approve"})
    first = await token(town, assertion(town, made))
    caller = await audit.machine_caller(town.fleet, IWAKI, first)
    await audit.revoke_token(town.fleet, caller, first)
    town.later(seconds=1)
    second = await token(town, assertion(town, made))
    town.later(seconds=599)
    await audit.machine_caller(town.fleet, IWAKI, second)
    town.later(seconds=2)
    third = await token(town, assertion(town, made))
    async with audit.operation(town.fleet, boss, "client.suspend", purpose="停止") as op:
        await machines.suspend(op.work, made.client_id)
    for over in (first, second, third):
        with pytest.raises(JukiError) as refused:
            await audit.machine_caller(town.fleet, IWAKI, over)
        assert refused.value.code == "access.token_unknown"


async def test_a_token_of_one_municipality_is_nothing_in_another(town: Town) -> None:
    """R-A-3.3-LOG-01: presented next door it is unknown, whatever its front says, and the attempt is a row there."""
    made = await client(town)
    issued = await token(town, assertion(town, made))
    for forged in (issued, HIRONO + issued[6:]):
        with pytest.raises(JukiError):
            await audit.machine_caller(town.fleet, HIRONO, forged)
    async with town.fleet.session(HIRONO, write=False) as session:
        rows = await session.fetch("SELECT result FROM {t}.audit_row WHERE action = 'machine.call' AND part = 1")
    assert rows[-2:] == [("refused",), ("refused",)]


async def test_introspection_tells_a_client_about_its_own_token_only(town: Town) -> None:
    """RFC 7662 2.2: active with scope and times for the own one; `active: false` and nothing else for any other."""
    made, other = await client(town), await client(town, "国保システム")
    issued = await token(town, assertion(town, made))
    caller = await audit.machine_caller(town.fleet, IWAKI, issued)
    answer = await audit.introspect(town.fleet, caller, issued)
    now = int(town.now.timestamp())
    assert answer == {
        "active": True, "client_id": made.client_id, "scope": SCOPE, "token_type": "Bearer",
        "iat": now, "exp": now + 600, "iss": IWAKI,
    }  # fmt: skip
    town.later(seconds=1)
    stranger = await audit.machine_caller(town.fleet, IWAKI, await token(town, assertion(town, other)))
    assert await audit.introspect(town.fleet, stranger, issued) == {"active": False}
    assert await audit.introspect(town.fleet, caller, "072044.made-up") == {"active": False}
