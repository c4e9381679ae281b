"""T2: finding residents by sealed names, every match opened and compared, beside the same question on plain columns.

Run alone: `python tests/bench/search.py [--full]`. Both live in one database, hold the same people and answer the same
sampled questions: by family name, by full name and by the first kana, drawn as often as people bear them.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from juki import letters, registry
from juki.access.model import Caller
from juki.audit import operation
from juki.config import Config
from juki.dates import from_date
from juki.numbers import in_house_number, my_number_check_digit
from juki.peers.names import given_names, surnames
from juki.peers.places import towns_of
from juki.registry.model import Address, Basic, Domicile, Kind, MyNumber, Notes, Place, Query, Record, Sex, Status
from juki.registry.query import parts_of
from juki.tenancy import Fleet, add, bulk, connect, prepare_control, read_file
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import prepare
from juki.vault import open_kms

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = "072044"
KNOWN = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
QUICK_RESIDENTS, FULL_RESIDENTS = 50_000, 1_000_000
_PLAIN = (
    "atena_no text PRIMARY KEY, name text, kana text, birth text, address text, setai_no text, family_key text, "
    "full_key text, kana_key text"
)
_PLAIN_INDEXES = (
    "CREATE INDEX ON bench.resident (family_key text_pattern_ops)",
    "CREATE INDEX ON bench.resident (full_key text_pattern_ops)",
    "CREATE INDEX ON bench.resident (kana_key text_pattern_ops)",
)
_BY_NAME = (
    "SELECT atena_no, name, kana, birth, address, setai_no FROM bench.resident "
    "WHERE family_key = %(q)s OR full_key = %(q)s LIMIT 51"
)
_BY_KANA = "SELECT atena_no, name, kana, birth, address, setai_no FROM bench.resident WHERE kana_key LIKE %(q)s || '%%' LIMIT 51"


def run(quick: bool = True) -> dict[str, Any]:
    """T2 in the shape that `scripts/bench` gathers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = LocalServer(Path(folder))
        server.start()
        try:
            config = _prepared(server, Path(folder))
            return asyncio.run(_measure(config, server.admin_dsn, QUICK_RESIDENTS if quick else FULL_RESIDENTS, quick))
        finally:
            server.stop()


def _prepared(server: LocalServer, home: Path) -> Config:
    dsns = {f"dsn_{login}": dsn for login, dsn in prepare(server.admin_dsn, "juki").items()}
    config = Config(home=str(home), kms=f"local:{home / 'kms'}", pool_max=2, **dsns)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        file = REPOSITORY / "tenants" / "072044-iwaki.toml"
        add(deploy, open_kms(config.kms_spec), read_file(file), actor="bench")
    return config


async def _measure(config: Config, admin_dsn: str, residents: int, quick: bool) -> dict[str, Any]:
    fleet = await Fleet.open(config)
    try:
        database = psycopg.conninfo.conninfo_to_dict(config.dsn("registry"))["dbname"]
        admin = psycopg.conninfo.make_conninfo(admin_dsn, dbname=database)
        people = await _fill(fleet, admin, residents)
        questions = _questions(people, 150 if quick else 1000)
        async with await psycopg.AsyncConnection.connect(admin) as plain:
            return {"T2": await _compare(fleet, plain, questions, residents)}
    finally:
        await fleet.close()


async def _compare(
    fleet: Fleet, plain: psycopg.AsyncConnection[Any], questions: dict[str, list[tuple[Query, str]]], residents: int
) -> dict[str, Any]:
    clerk = Caller(tenant=CODE, actor_id="bench", rights=frozenset({"resident.search", "resident.read"}))
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    async with operation(fleet, clerk, "bench.search", purpose="計測", write=False) as op:
        for kind, asked in questions.items():
            sql = _BY_KANA if kind == "kana" else _BY_NAME
            for query, _ in asked[:10]:
                await registry.search(op, query)
            ours[kind] = [await _timed(lambda q=query: registry.search(op, q)) for query, _ in asked]
            theirs[kind] = [await _timed(lambda t=text, s=sql: _plainly(plain, s, t)) for _, text in asked]
    names = ours["family"] + ours["full"]
    plain_names = theirs["family"] + theirs["full"]
    return {
        "juki": round(_p95(names), 2),
        "unit": f"ms p95, name search over {residents} residents",
        "peers": {
            "plain columns, btree, ms p95": round(_p95(plain_names), 2),
            "juki name p50": round(statistics.median(names), 2),
            "plain name p50": round(statistics.median(plain_names), 2),
            "juki kana prefix p50": round(statistics.median(ours["kana"]), 2),
            "juki kana prefix p95": round(_p95(ours["kana"]), 2),
            "plain kana prefix p50": round(statistics.median(theirs["kana"]), 2),
        },
        "ratio": round(_p95(names) / _p95(plain_names), 1),
        "versions": {"postgresql": str(plain.info.server_version), "psycopg": version("psycopg")},
    }


async def _plainly(connection: psycopg.AsyncConnection[Any], sql: Any, text: str) -> list[Any]:
    return await (await connection.execute(sql, {"q": text})).fetchall()


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    await work()
    return (time.perf_counter() - begun) * 1000


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


async def _fill(fleet: Fleet, admin_dsn: str, residents: int) -> list[Basic]:
    ring = await fleet.keyring.get(CODE)
    people: list[Basic] = []
    tables: dict[str, list[Any]] = {}
    plain: list[tuple[str, ...]] = []
    with bulk(fleet, CODE) as connection, psycopg.connect(admin_dsn) as admin:
        admin.execute("CREATE SCHEMA bench")
        admin.execute(f"CREATE TABLE bench.resident ({_PLAIN})")
        for record in _town(residents):
            basic, address = record.basic, record.address
            assert basic is not None
            assert address is not None
            people.append(basic)
            for table, rows in registry.copy_rows(ring, record).items():
                tables.setdefault(table, []).extend(rows)
            plain.append(_plain_row(record, basic, address))
            if len(plain) == 5000:
                _copy(connection, admin, tables, plain)
        _copy(connection, admin, tables, plain)
        for statement in _PLAIN_INDEXES:
            admin.execute(statement)
        connection.commit()
        admin.commit()
        admin.autocommit = True
        admin.execute("VACUUM ANALYZE")
    return people


def _plain_row(record: Record, basic: Basic, address: Address) -> tuple[str, ...]:
    family, _ = parts_of(basic.name)
    return (
        record.atena_no,
        basic.name,
        basic.name_kana,
        basic.birth.iso(),
        address.address.text,
        record.setai_no,
        letters.fold(family),
        letters.fold(basic.name),
        "".join(letters.kana_key(part) for part in parts_of(basic.name_kana)),
    )


def _copy(connection: Any, admin: Any, tables: dict[str, list[Any]], plain: list[tuple[str, ...]]) -> None:
    for table, rows in tables.items():
        columns = ", ".join(registry.COPY_COLUMNS[table])
        with connection.cursor().copy(f"COPY t{CODE}.{table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(registry.COPY_TYPES[table])
            for row in rows:
                copy.write_row(row)
        rows.clear()
    with admin.cursor().copy("COPY bench.resident FROM STDIN") as copy:
        for row in plain:
            copy.write_row(row)
    plain.clear()


def _town(residents: int) -> Iterator[Record]:
    """Households of two or three with one surname, at the addresses of the municipality."""
    draw = random.Random(2)
    families, towns = surnames(), towns_of(CODE)
    serial = 0
    while serial < residents:
        family = families.draw(draw)
        town = draw.choice(towns)
        place = Place(text=f"福島県いわき市{town.name}{draw.randint(1, 400)}番地の{draw.randint(1, 30)}")
        setai_no = f"{8_000_000_000 + serial}"
        for position in range(draw.choice((1, 2, 2, 3, 4))):
            serial += 1
            yield _person(draw, serial, setai_no, position, family, place)


def _person(draw: random.Random, serial: int, setai_no: str, position: int, family: Any, place: Place) -> Record:
    born = dt.date(1930, 1, 1) + dt.timedelta(days=draw.randint(0, 35_000))
    sex = draw.choice("12")
    cohort = 0 if born.year < 1950 else 1 if born.year < 1980 else 2 if born.year < 2000 else 3
    names = given_names(sex, cohort)
    given = names.draw(draw)
    body = f"99{serial:09d}"
    return Record(
        atena_no=in_house_number(serial) or f"X{serial}",
        version_no=1,
        setai_no=setai_no,
        member_order=position + 1,
        is_head=position == 0,
        status=Status.RESIDENT,
        kind=Kind.JAPANESE,
        valid_from=dt.date(2020, 4, 1),
        known_from=KNOWN,
        basic=Basic(
            name=f"{family.text}　{given.text}",
            name_kana=f"{family.kana}　{given.kana}",
            birth=from_date(born),
            sex=Sex(sex),
            head_name=f"{family.text}　太郎",
            relationship="世帯主" if position == 0 else "子",
        ),
        address=Address(address=place, resident_since=from_date(born), address_since=from_date(born)),
        domicile=Domicile(registered_domicile=place.text, family_head=f"{family.text}　太郎"),
        my_number=MyNumber(my_number=body + str(my_number_check_digit(body))),
        notes=Notes(),
    )


def _questions(people: list[Basic], count: int) -> dict[str, list[tuple[Query, str]]]:
    """Questions as often asked as people bear the name: (ours, the text for plain columns)."""
    draw = random.Random(3)
    asked: dict[str, list[tuple[Query, str]]] = {"family": [], "full": [], "kana": []}
    for basic in draw.choices(people, k=count):
        family, _ = parts_of(basic.name)
        family_kana, given_kana = parts_of(basic.name_kana)
        asked["family"].append((Query(name=family), letters.fold(family)))
        asked["full"].append((Query(name=basic.name), letters.fold(basic.name)))
        whole = letters.kana_key(family_kana)
        prefix = f"{family_kana}　{given_kana[:1]}"
        asked["kana"].append((Query(kana=prefix), whole + letters.kana_key(given_kana[:1])))
    return asked


if __name__ == "__main__":
    print(json.dumps(run(quick="--full" not in sys.argv), ensure_ascii=False, indent=2))
