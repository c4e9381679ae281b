"""A counter with its people, for tests of the web: accounts, terminals, a household to look at. Everybody is invented."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import pyotp
from httpx import Response
from litestar import Litestar
from litestar.testing import AsyncTestClient

from juki import app as composition
from juki import registry
from juki.access.bootstrap import Made, OutsideHours, People, Person, bootstrap
from juki.access.model import Caller, system
from juki.audit import operation
from juki.config import LOGINS, Config
from juki.dates import JST, RegistryDate, from_date
from juki.numbers import my_number_check_digit, resident_code_check_digit
from juki.registry.model import (
    Document,
    MoveIn,
    Newcomer,
    NumberSource,
    Place,
    Reception,
    Sex,
)
from juki.tenancy import Fleet

IWAKI, HIRONO = "072044", "075418"
OFFICE = {IWAKI: "市民課", HIRONO: "町民税務課"}
POLICY = {IWAKI: "情報政策課", HIRONO: "総務課"}
ENTRY = frozenset(
    {"resident.search", "resident.read", "resident.my_number", "resident.code", "change.enter", "protection.read"}
)
CHECK = frozenset({"resident.search", "resident.read", "resident.my_number", "change.confirm", "protection.read"})
_serial = itertools.count(1)


def my_number() -> str:
    """A fresh 個人番号 with the visible prefix 99."""
    body = f"99{next(_serial) + 500_000:09d}"
    return body + str(my_number_check_digit(body))


def resident_code() -> str:
    """A fresh 住民票コード."""
    body = f"{8_000_000_000 + next(_serial):010d}"
    return body + str(resident_code_check_digit(body))


def newcomer(name: str, kana: str, relationship: str, birth: RegistryDate, sex: Sex = Sex.MALE) -> Newcomer:
    """One invented person with numbers."""
    return Newcomer(
        name=name,
        name_kana=kana,
        relationship=relationship,
        birth=birth,
        sex=sex,
        registered_domicile="福島県いわき市平字梅本21番地",
        family_head=name,
        my_number=my_number(),
        my_number_source=NumberSource.CERTIFICATE,
        resident_code=resident_code(),
    )


def family(surname: str = "渡邊", kana: str = "ワタナベ") -> tuple[Newcomer, ...]:
    """Head, wife and child."""
    return (
        newcomer(f"{surname}　一郎", f"{kana}　イチロウ", "世帯主", RegistryDate(1984, 5, 2, "S")),
        newcomer(f"{surname}　花子", f"{kana}　ハナコ", "妻", RegistryDate(1986, 8, 20, "S"), Sex.FEMALE),
        newcomer(f"{surname}　空", f"{kana}　ソラ", "子", RegistryDate(2017, 3, 3, "H"), Sex.FEMALE),
    )


async def settle(fleet: Fleet, persons: Sequence[Newcomer], code: str = IWAKI) -> tuple[str, ...]:
    """転入 of these persons by two clerks; their 宛名番号."""
    day = dt.date(2026, 11, 2)
    clerk = Caller(tenant=code, actor_id="op-seed1", terminal_id="SEED-01", rights=ENTRY)
    second = Caller(tenant=code, actor_id="op-seed2", terminal_id="SEED-02", rights=CHECK)
    change = MoveIn(
        occurred_on=from_date(day),
        notified_on=day,
        persons=tuple(persons),
        address=Place(text="福島県いわき市平字梅本21番地の1", building="梅本ハイツ203号", postal="9700000"),
        previous_address=Place(text="宮城県仙台市青葉区国分町三丁目7番1号"),
    )
    reception = Reception(
        form_no=f"R8-{next(_serial):04d}",
        notifier=persons[0].name,
        document=Document.DRIVING_LICENCE,
        checked_by=clerk.actor_id,
    )
    async with operation(fleet, clerk, "change.enter", purpose="届出の受付", right="change.enter") as op:
        seen = await registry.examine(op, change, reception)
        alerts = {a.code: "書類で確かめた" for a in seen.findings.alerts}
        number = await registry.enter(op, change, reception, acknowledged=alerts)
    async with operation(fleet, second, "change.confirm", purpose="照合", right="change.confirm") as op:
        typed = {"occurred_on": "R8.11.2", "notified_on": "R8.11.2"}
        for n, person in enumerate(persons):
            birth = person.birth
            typed |= {
                f"persons.{n}.birth": f"{birth.year:04d}{birth.month:02d}{birth.day:02d}",
                f"persons.{n}.my_number": person.my_number,
                f"persons.{n}.resident_code": person.resident_code,
            }
        done = await registry.confirm(op, number, typed)
    return done.new_atena_nos


def people(code: str) -> People:
    """初期登録簿 of one municipality: two clerks, a second person, a supervisor, two for protection, audit, the head."""
    tail = code[-2:]
    rows = (
        ("uketsuke", "白河　花子", OFFICE[code], ("窓口",)),
        ("shogo", "相馬　次郎", OFFICE[code], ("照合",)),
        ("kakari", "郡山　三郎", OFFICE[code], ("係長",)),
        ("shien", "会津　四葉", OFFICE[code], ("支援措置",)),
        ("iko", "二本松　五月", OFFICE[code], ("移行",)),
        ("kansa", "喜多方　六花", POLICY[code], ("監査",)),
        ("kacho", "須賀川　七海", POLICY[code], ("管理者",)),
        ("hogo", "田村　八重", OFFICE[code], ("支援措置",)),
    )
    operators = tuple(
        Person(login=f"{login}{tail}", name=name, staff_no=f"{code}{n:03d}", office=office, duties=duties)
        for n, (login, name, office, duties) in enumerate(rows)
    )
    return People(
        approved_by=f"kacho{tail}",
        operator=operators,
        outside_hours=OutsideHours(hours=24, reason="試験"),
        change_password_at_first_login=False,
    )


@dataclass
class Town:
    """One municipality with the secrets of its people and terminals."""

    code: str
    made: Made
    steps: dict[str, int] = field(default_factory=dict)

    def secrets(self, login: str) -> Any:
        """First secrets of a person by the first part of the log-in name."""
        return next(s for s in self.made.operators if s.login.startswith(login))

    def otp(self, login: str, now: dt.datetime) -> str:
        """A one-time code that was not used before (the window reaches one step ahead)."""
        step = max(int(now.timestamp()) // 30 - 1, self.steps.get(login, 0) + 1)
        self.steps[login] = step
        return pyotp.TOTP(self.secrets(login).otp_secret).at(step * 30)


async def open_town(fleet: Fleet, code: str) -> Town:
    """Hand in the list."""
    caller = system(code, "bootstrap", {"account.manage"})
    async with operation(fleet, caller, "access.bootstrap", purpose="試験の準備", right="account.manage") as op:
        return Town(code=code, made=await bootstrap(op.work, people(code)))


class Browser:
    """A browser at one terminal, as far as a test without scripts needs one: cookies, forms, the page's own token."""

    def __init__(self, application: Litestar, town: Town, terminal: int = 0) -> None:
        self.client = AsyncTestClient(application, base_url="http://127.0.0.1:8000")
        self.town = town
        self.terminal = town.made.terminals[terminal]
        self.html = ""

    async def __aenter__(self) -> Browser:
        await self.client.__aenter__()
        self.client.cookies.set("juki-terminal", self.terminal.token)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.__aexit__(None, None, None)

    def path(self, path: str) -> str:
        return path if path.startswith(f"/{self.town.code}") else f"/{self.town.code}{path}"

    async def get(self, path: str, **more: Any) -> Response:
        answer = await self.client.get(self.path(path), headers={"accept": "text/html"}, follow_redirects=True, **more)
        self.html = answer.text
        return answer

    async def post(
        self,
        path: str,
        data: Mapping[str, Any] | None = None,
        *,
        follow: bool = True,
        origin: str | None = "http://127.0.0.1:8000",
    ) -> Response:
        headers = {"accept": "text/html"} | ({"origin": origin} if origin else {})
        sent = {"form_token": self.token, **(data or {})}
        answer = await self.client.post(self.path(path), data=sent, headers=headers, follow_redirects=follow)
        self.html = answer.text
        return answer

    @property
    def token(self) -> str:
        """The form token of the page last seen."""
        found = re.search(r'name="form_token" value="([0-9a-f]*)"', self.html)
        return found[1] if found else ""

    def hidden(self) -> dict[str, list[str]]:
        """Hidden fields of the page last seen."""
        found: dict[str, list[str]] = {}
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.html):
            found.setdefault(unescape(name), []).append(unescape(value))
        return found

    async def log_in(self, login: str, now: dt.datetime) -> Response:
        """Log in as the person whose name starts so."""
        await self.get("/login")
        secret = self.town.secrets(login)
        answer = await self.post(
            "/login", {"login": secret.login, "password": secret.password, "otp": self.town.otp(login, now)}
        )
        assert "業務の一覧" in answer.text, re.sub(r"<[^>]+>", " ", answer.text)[:2000]
        return answer

    async def state_purpose(self, purpose: str = "notification") -> None:
        """Choose the purpose of the case."""
        await self.get("/purpose")
        await self.post("/purpose", {"purpose": purpose, "next": self.path("/search")})


def text_of(html: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def build(fleet: Fleet) -> Litestar:
    """The application over an open fleet."""
    return composition.build(fleet.config, fleet=fleet)


def today(fleet: Fleet) -> dt.date:
    """The business day."""
    return fleet.clock().astimezone(JST).date()


@contextmanager
def serving(config: Config, folder: Path) -> Iterator[str]:
    """`juki serve` as a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")}
    env |= {f"JUKI_DSN_{login.upper()}": config.dsn(login) for login in LOGINS}
    env |= {
        "JUKI_HOME": config.home,
        "JUKI_KMS": config.kms_spec,
        "JUKI_COOKIE_SECURE": "false",
        "JUKI_ENVIRONMENT": "test",
    }
    if config.font_dir:
        env["JUKI_FONT_DIR"] = config.font_dir
    log = folder / "server.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "juki", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1_200):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
