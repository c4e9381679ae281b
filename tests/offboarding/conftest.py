"""A third municipality that comes and goes, so that the two of the template stay as they are in every other test."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from juki import audit, offboarding
from juki.access.model import Caller
from juki.config import Config
from juki.numbers import is_municipality_code
from juki.offboarding import store
from juki.offboarding.model import Case, CaseState
from juki.tenancy import Fleet, TenantFile, add, bulk, connect, enter_write, read_file
from juki.vault import box, open_kms

ROOT = Path(__file__).resolve().parents[2]


class Leaver(msgspec.Struct, kw_only=True):
    """A municipality with some sealed rows, the fleet that serves it, and the key to which its export is sealed."""

    code: str
    fleet: Fleet
    config: Config
    admin_dsn: str
    private_key: bytes
    public_key: bytes

    def person(self, account: str, *rights: str) -> Caller:
        """Somebody of this municipality."""
        return Caller(tenant=self.code, actor_id=account, terminal_id="TRM-01", rights=frozenset(rights))

    async def operate(self, caller: Caller, act: Callable[[audit.Operation], Any], right: str | None = None) -> Any:
        """One recorded operation."""
        async with audit.operation(
            self.fleet, caller, "offboard.test", purpose="試験", right=right, states=offboarding.STATES
        ) as op:
            return await act(op)

    @property
    def asker(self) -> Caller:
        """情報政策課長."""
        return self.person("op-asks", "offboard.request", "audit.read")

    @property
    def approver(self) -> Caller:
        """所属長."""
        return self.person("op-approves", "offboard.approve")

    @property
    def auditor(self) -> Caller:
        """監査の担当."""
        return self.person("op-audits", "audit.read")

    async def ask(self) -> offboarding.Wish:
        """申出."""
        text = self.public_key.decode()
        return await self.operate(self.asker, lambda op: offboarding.request(op, text), "offboard.request")

    async def approved(self) -> Case:
        """申出 and 承認, the counter closed."""
        await self.ask()
        mark = box.fingerprint(self.public_key)
        wish = await self.operate(self.approver, lambda op: offboarding.approve(op, mark), "offboard.approve")
        return offboarding.begin(self.config, self.code, wish)

    async def appointed(self) -> dict[str, str]:
        """Codes of whoever will verify and validate."""
        return {
            "verified": await self.operate(self.auditor, lambda op: offboarding.appoint(op, self.config, "verified")),
            "validated": await self.operate(
                self.approver, lambda op: offboarding.appoint(op, self.config, "validated")
            ),
        }

    def handed_over(self, days: int = 0) -> None:
        """As if the export had been written and compared."""
        with store.control(self.config) as connection:
            case = store.case_of(connection, self.code)
            now = self.fleet.clock()
            store.note_export(
                connection, case, at=now, digest="d" * 64, erase_after=offboarding.leave.grace_end(now, days)
            )
            store.move(connection, case, CaseState.EXPORTED)

    async def erasing(self) -> dict[str, str]:
        """Everything up to the first step of the erasure; the witnesses' codes."""
        await self.approved()
        codes = await self.appointed()
        self.handed_over()
        await offboarding.start(self.fleet, self.asker, signatory("", "実施"))
        return codes

    def case(self) -> Case:
        """The case as it stands."""
        with store.control(self.config) as connection:
            return store.case_of(connection, self.code)


def signatory(code: str, name: str) -> offboarding.Signatory:
    """Somebody who signs."""
    return offboarding.Signatory(
        code=code, name=f"試験 {name}", title="課長", organisation="試験町総務課", place="本庁", contact="内線100"
    )


def free_code() -> str:
    """A municipality code with a right check digit that no template holds."""
    while True:
        code = f"{random.randrange(30_000, 46_000) * 10 + random.randrange(10):06d}"
        if is_municipality_code(code):
            return code


def tenant_file(code: str) -> TenantFile:
    """広野町's settings under another code and key."""
    given = msgspec.to_builtins(read_file(ROOT / "tenants" / "075418-hirono.toml"))
    return msgspec.convert(given | {"code": code, "name": "試験町", "keys": {"alias": f"juki/{code}"}}, TenantFile)


@pytest_asyncio.fixture(loop_scope="session")
async def leaver(server: str, fresh_config: Config, fresh_fleet: Fleet) -> AsyncIterator[Leaver]:
    """A third municipality with 50 sealed rows."""
    code = free_code()
    with connect(fresh_config, "deploy") as deploy:
        add(deploy, open_kms(fresh_config.kms_spec), tenant_file(code), actor="test")
    private, public = box.new_key_pair()
    yield_to = Leaver(
        code=code, fleet=fresh_fleet, config=fresh_config, admin_dsn=server, private_key=private, public_key=public
    )
    await put_rows(yield_to, 50)
    yield yield_to
    await fresh_fleet.close()
    _drop_roles(server, fresh_config, code)


async def put_rows(leaver: Leaver, count: int) -> None:
    """Sealed rows under the municipality's root."""
    tenant = await leaver.fleet.tenant(leaver.code)
    ring = await leaver.fleet.keyring.get(leaver.code)
    rows = [
        (key, key, ring.seal("machine_client", "secret", key, 1, b"secret"))
        for key in (f"mc-{number:06d}" for number in range(count))
    ]
    with bulk(leaver.fleet, leaver.code) as connection:
        enter_write(connection, tenant)
        connection.cursor().executemany(
            sql.SQL(
                "INSERT INTO {}.machine_client (client_id, system_name, scopes, state, valid_until, registered_at,"
                " registered_by, row_version, secret_sealed)"
                " VALUES (%s, %s, '{{}}', 'active', '2030-01-01', now(), 'test', 1, %s)"
            ).format(sql.Identifier(tenant.schema)),
            rows,
        )
        connection.commit()


def _drop_roles(server: str, config: Config, code: str) -> None:
    database = conninfo_to_dict(config.dsn("deploy"))["dbname"]
    with psycopg.connect(make_conninfo(server, dbname=str(database)), autocommit=True) as admin:
        for role in (f"t{code}_registry", f"t{code}_rekey"):
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                admin.execute(sql.SQL("DROP OWNED BY {0}").format(sql.Identifier(role)))
                admin.execute(sql.SQL("DROP ROLE {0}").format(sql.Identifier(role)))


@pytest.fixture
def quiet() -> Callable[..., None]:
    """A listener that does nothing."""
    return lambda *_: None
