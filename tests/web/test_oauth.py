"""Machines: client credentials proved by a signed assertion, scopes, introspection; and what each forgery gets."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import jwt
import pytest
import pytest_asyncio
from httpx import Response
from tests.web.counter import HIRONO, IWAKI, Browser, Town, family, settle

from juki import registry
from juki.access import machines
from juki.access.machines import ASSERTION_TYPE, NewClient
from juki.access.model import system
from juki.audit import operation, reading
from juki.dates import RegistryDate
from juki.registry.model import SupportMeasure
from juki.tenancy import Fleet

ENDPOINT = f"http://127.0.0.1:8000/{IWAKI}/oauth/token"
SCOPE = "001:resident:Read"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(fleet: Fleet) -> NewClient:
    """A consuming system of いわき市."""
    caller = system(IWAKI, "test", {"account.approve"})
    async with operation(fleet, caller, "access.client", purpose="試験", right="account.approve") as op:
        return await machines.register(op.work, "税務システム", [SCOPE], fleet.clock().date() + dt.timedelta(days=365))


def assertion(client: NewClient, fleet: Fleet, secret: str = "", **changed: Any) -> str:
    """A signed assertion of now."""
    now = int(fleet.clock().timestamp())
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": ENDPOINT,
        "iat": now,
        "exp": now + 60,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims | changed, secret or client.secret, algorithm="HS256")


async def ask(
    browser: Browser, given: str, *, code: str = IWAKI, scope: str = SCOPE, grant: str = "client_credentials"
) -> Response:
    """The token endpoint, as a machine without cookies calls it."""
    form = {"grant_type": grant, "client_assertion_type": ASSERTION_TYPE, "client_assertion": given, "scope": scope}
    return await browser.client.post(f"/{code}/oauth/token", data=form)


async def test_a_proved_client_gets_a_token_that_reads_within_its_scope(
    clerk: Browser, client: NewClient, fleet: Fleet, household: tuple[str, ...]
) -> None:
    """client_secret_jwt, HS256, scope 業務:対象:操作; every call names its purpose and is logged as the machine's."""
    granted = await ask(clerk, assertion(client, fleet))
    assert granted.status_code == 200, granted.text
    body = granted.json()
    assert (body["token_type"], body["scope"]) == ("Bearer", SCOPE)
    assert granted.headers["cache-control"] == "no-store"
    bearer = {"authorization": f"Bearer {body['access_token']}"}
    purpose = bearer | {"juki-purpose": "official"}
    path = f"/{IWAKI}/api/v1/records/{household[0]}?groups=basic"
    assert (await clerk.client.get(path, headers=purpose)).status_code == 200
    silent = await clerk.client.get(path, headers=bearer)
    assert (silent.status_code, silent.json()["code"]) == (422, "web.purpose_missing")
    denied = await clerk.client.get(f"/{IWAKI}/api/v1/cases", headers=purpose)
    assert (denied.status_code, denied.json()["code"]) == (403, "access.right_missing")
    number = await clerk.client.get(f"/{IWAKI}/api/v1/records/{household[0]}?groups=my_number", headers=purpose)
    assert number.status_code == 403
    told = await clerk.client.post(f"/{IWAKI}/oauth/introspect", data={"token": body["access_token"]}, headers=bearer)
    assert told.json()["active"] is True
    assert told.json()["client_id"] == client.client_id
    unknown = await clerk.client.post(f"/{IWAKI}/oauth/introspect", data={"token": "072044.other"}, headers=bearer)
    assert unknown.json() == {"active": False}


async def test_whatever_a_machine_is_answered_stands_in_the_log_as_handed_out_person_by_person(
    clerk: Browser, client: NewClient, fleet: Fleet, household: tuple[str, ...]
) -> None:
    """security: one disclosure row per person whose data leaves, with the items, the system and the purpose it named."""
    token = (await ask(clerk, assertion(client, fleet))).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "juki-purpose": "official"}
    root = f"/{IWAKI}/api/v1"
    found = await clerk.client.get(f"{root}/records/{household[0]}?groups=basic,address", headers=headers)
    setai_no = found.json()["setai_no"]
    assert (await clerk.client.get(f"{root}/records/{household[0]}/history", headers=headers)).status_code == 200
    assert (await clerk.client.get(f"{root}/households/{setai_no}?groups=basic", headers=headers)).status_code == 200
    asked = {"atena_no": household[0]}
    assert (await clerk.client.post(f"{root}/search", json=asked, headers=headers)).json()["hits"]
    async with operation(
        fleet, system(IWAKI, "test", {"audit.read"}), "audit.listing", purpose="試験", right="audit.read", write=False
    ) as op:
        entries = [e for e in await reading.about(op, household[0]) if e.intent.actor_id == client.client_id][:4]
    handed = [(e.action, d.items, d.to, d.basis, d.medium) for e in entries for d in e.disclosures]
    own = {action: rest for action, *rest in handed if action != "resident.household"}
    assert own["resident.read"] == [("basic", "address"), client.client_id, "official", "api"]
    assert own["resident.history"] == [("history", "basic", "address"), client.client_id, "official", "api"]
    assert own["resident.search"][0][:2] == ("name", "name_kana")
    assert sum(action == "resident.household" for action, *_ in handed) == len(household)


async def test_a_machine_is_not_handed_the_home_of_whoever_lives_with_a_protected_person(
    clerk: Browser, client: NewClient, fleet: Fleet
) -> None:
    """R-1-B2-DAT-04: the answer says who and not where, and the log says what was handed out and no more."""
    head, wife, _child = await settle(fleet, family("秘匿", "ヒトク"))
    setai_no = await protect(fleet, head)
    token = (await ask(clerk, assertion(client, fleet))).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "juki-purpose": "official"}
    root = f"/{IWAKI}/api/v1"
    groups = "basic,address,domicile,removal,notes"
    answer = await clerk.client.get(f"{root}/records/{wife}?groups={groups}", headers=headers)
    body = answer.json()
    assert (answer.status_code, body["basic"]["name"], body["setai_no"]) == (200, "秘匿　花子", "")
    assert [body[name] for name in ("address", "domicile", "removal", "notes")] == [None] * 4
    for one in (head, "0000000000"):
        unknown = await clerk.client.get(f"{root}/records/{one}", headers=headers)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "registry.unknown_resident")
    for one in (setai_no, "0000000000"):
        unknown = await clerk.client.get(f"{root}/households/{one}", headers=headers)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "registry.unknown_household")
    found = await clerk.client.post(f"{root}/search", json={"atena_no": wife}, headers=headers)
    assert [(hit["address"], hit["setai_no"]) for hit in found.json()["hits"]] == [("", "")]
    async with operation(
        fleet, system(IWAKI, "test", {"audit.read"}), "audit.listing", purpose="試験", right="audit.read", write=False
    ) as op:
        entries = [e for e in await reading.about(op, wife) if e.intent.actor_id == client.client_id]
    handed = {e.action: d.items for e in entries for d in e.disclosures}
    assert handed["resident.read"] == ("basic",)
    assert {"address", "relationship"} & {*handed["resident.search"]} == set()


async def protect(fleet: Fleet, atena_no: str) -> str:
    """支援措置の開始 for one resident; the number of the household."""
    content = SupportMeasure(
        name="秘匿", birth=RegistryDate(1984, 5, 2), address="平", atena_no=atena_no, starts_on=dt.date(2026, 11, 1)
    )
    rights = {"protection.enter", "resident.read"}
    async with operation(fleet, system(IWAKI, "test", rights), "protection.enter", purpose="試験") as op:
        await registry.enter_protection(op, content)
        return (await registry.record(op, atena_no, groups=())).setai_no


async def test_a_machine_reads_no_page_of_the_staff_where_nothing_is_written_of_what_leaves(
    clerk: Browser, client: NewClient, fleet: Fleet, household: tuple[str, ...]
) -> None:
    """R-1-1.1-ISS-01: a bearer token opens the routes that write disclosure rows and nothing else."""
    token = (await ask(clerk, assertion(client, fleet))).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "juki-purpose": "official", "accept": "text/html"}
    for path in (f"/residents/{household[0]}", "/search", ""):
        answer = await clerk.client.get(f"/{IWAKI}{path}", headers=headers)
        assert answer.status_code == 403
        assert "渡邊" not in answer.text
    posted = await clerk.client.post(f"/{IWAKI}/search", data={"kana": "ワタナベ"}, headers=headers)
    assert posted.status_code == 403


async def test_the_token_of_one_municipality_finds_nothing_in_another(
    clerk: Browser, client: NewClient, fleet: Fleet, hirono: Town, household: tuple[str, ...]
) -> None:
    """R-A-3.3-AUT-01: the same answer as for an unknown municipality."""
    token = (await ask(clerk, assertion(client, fleet))).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "juki-purpose": "official"}
    answer = await clerk.client.get(f"/{HIRONO}/api/v1/records/{household[0]}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "changed",
    [
        {"secret": "x" * 43},
        {"aud": "http://127.0.0.1:8000/075418/oauth/token"},
        {"exp": 1},
        {"sub": "mc-other"},
        {"iss": "mc-other"},
        {"jti": ""},
    ],
)
async def test_an_assertion_that_proves_nothing_is_refused_in_one_way(
    clerk: Browser, client: NewClient, fleet: Fleet, changed: dict[str, Any]
) -> None:
    """RFC 6749 5.2: invalid_client, whatever is wrong."""
    clerk.client.app.state.pace._tries.clear()
    answer = await ask(clerk, assertion(client, fleet, **changed))
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})


async def test_an_assertion_is_good_once_and_unsigned_ones_never(
    clerk: Browser, client: NewClient, fleet: Fleet
) -> None:
    """RFC 7523: a repeated jti and `alg: none` are refused."""
    clerk.client.app.state.pace._tries.clear()
    once = assertion(client, fleet)
    assert (await ask(clerk, once)).status_code == 200
    assert (await ask(clerk, once)).status_code == 401
    claims = jwt.decode(once, options={"verify_signature": False})
    unsigned = jwt.encode(claims | {"jti": uuid.uuid4().hex}, None, algorithm="none")
    assert (await ask(clerk, unsigned)).status_code == 401


async def test_other_grants_and_scopes_are_refused_by_name(clerk: Browser, client: NewClient, fleet: Fleet) -> None:
    """unsupported_grant_type, invalid_scope."""
    clerk.client.app.state.pace._tries.clear()
    answer = await ask(clerk, assertion(client, fleet), grant="password")
    assert (answer.status_code, answer.json()) == (400, {"error": "unsupported_grant_type"})
    answer = await ask(clerk, assertion(client, fleet), scope="001:everything:Write")
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_scope"})


async def test_machines_that_ask_too_often_are_told_to_wait(clerk: Browser, client: NewClient, fleet: Fleet) -> None:
    """The pace of proofs is limited like that of log-ins."""
    clerk.client.app.state.pace._tries.clear()
    answers = [(await ask(clerk, "no")).status_code for _ in range(12)]
    assert set(answers[:10]) == {401}
    assert answers[10:] == [429, 429]
    clerk.client.app.state.pace._tries.clear()


async def test_machines_that_prove_themselves_do_not_use_up_each_others_tries(
    clerk: Browser, client: NewClient, fleet: Fleet
) -> None:
    """Behind one address stand all systems of a town hall: only failed proofs count."""
    clerk.client.app.state.pace._tries.clear()
    answers = [(await ask(clerk, assertion(client, fleet))).status_code for _ in range(12)]
    assert answers == [200] * 12
    clerk.client.app.state.pace._tries.clear()
