"""A municipality with its first accounts, and a clock that stands still on a working day."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from pyotp.totp import TOTP

from juki import audit
from juki.access.bootstrap import Made, bootstrap, read_people
from juki.access.model import Caller, system
from juki.access.sessions import Login, Opened
from juki.config import Config
from juki.tenancy import Fleet, connect

IWAKI, HIRONO = "072044", "075418"
TUESDAY_NOON = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)  # 12:00 in Japan


class Town:
    """One municipality under test: its people's first secrets, its terminals, a clock to turn, and shorthands."""

    def __init__(self, fleet: Fleet, code: str = IWAKI) -> None:
        self.fleet = fleet
        self.code = code
        self.now = TUESDAY_NOON
        self.made = Made()
        fleet.clock = lambda: self.now

    def later(self, **span: float) -> None:
        """Turn the clock on."""
        self.now += dt.timedelta(**span)

    def login(self, login: str, *, password: str | None = None, otp: str | None = None, rules: bool = False) -> Login:
        """What this person types now."""
        secret = next(s for s in self.made.operators if s.login == login)
        code = TOTP(secret.otp_secret).at(self.now) if otp is None else otp
        return Login(
            login_name=login, password=secret.password if password is None else password, otp=code, accepts_rules=rules
        )

    def token(self, terminal: str) -> str:
        """What this terminal's cookie holds."""
        return next(t.token for t in self.made.terminals if t.id == terminal)

    def id_of(self, login: str) -> str:
        return next(s.operator_id for s in self.made.operators if s.login == login)

    async def sign_in(self, login: str, terminal: str = "IWK-HON-01", **typed: str | bool) -> Opened:
        """Log in as this person; the clock moves on, so that the one-time code is fresh each time."""
        self.later(seconds=31)
        return await audit.sign_in(self.fleet, self.code, self.login(login, **typed), self.token(terminal))  # pyright: ignore

    async def resume(self, opened: Opened, terminal: str = "IWK-HON-01") -> Caller:
        return await audit.resume(self.fleet, self.code, opened.token, self.token(terminal))


def quick(config: Config) -> Config:
    """Argon2id at a cost that suits tests; its strength is not what they prove."""
    return msgspec.structs.replace(config, argon2_passes=1, argon2_memory_kib=64)


async def settled(fleet: Fleet) -> Town:
    """A town with the accounts of people.toml."""
    town = Town(fleet)
    people = read_people(Path(__file__).parent / "people.toml")
    people = msgspec.structs.replace(people, outside_hours=None)
    boss = system(IWAKI, "bootstrap", {"account.manage"})
    async with audit.operation(fleet, boss, "access.bootstrap", purpose="初期登録") as op:
        town.made = await bootstrap(op.work, people)
    return town


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town_fleet(config: Config) -> AsyncIterator[Fleet]:
    fleet = await Fleet.open(quick(config))
    yield fleet
    await fleet.close()


@pytest_asyncio.fixture(loop_scope="session")
async def town(town_fleet: Fleet) -> Town:
    """The accounts of people.toml in an otherwise empty town; the owner of the schema clears what a test left."""
    with connect(town_fleet.config, "deploy") as owner:
        owner.execute(
            "TRUNCATE t072044.operator, t072044.credential, t072044.account_event, t072044.login_failure,"
            " t072044.duty_grant, t072044.revocation_ledger, t072044.account_review, t072044.terminal,"
            " t072044.hours_approval, t072044.staff_session, t072044.machine_client, t072044.machine_assertion,"
            " t072044.access_token"
        )
    return await settled(town_fleet)


@pytest.fixture
def people_file() -> Path:
    return Path(__file__).parent / "people.toml"
