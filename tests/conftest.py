"""Shared fixtures: a real PostgreSQL, two municipalities in a template database, and a clone of it per module.

The server comes from the first rung that holds: `JUKI_TEST_DSN` (an administrator's DSN), a container engine, the
embedded server. The embedded one lives in `.juki/test` and keeps running between sessions, so a second run starts at
once; `juki db stop --home .juki/test` ends it. The template is rebuilt only when revisions, tenant files or the formats
of the vault change.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import make_conninfo

from juki.access.model import Caller
from juki.config import LOGINS, Config, Login
from juki.numbers import municipality_check_digit
from juki.tenancy import Fleet, add, connect, prepare_control, read_file
from juki.tenancy.directory import Keys
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import ensure_database, login_dsn, prepare
from juki.vault import open_kms

ROOT = Path(__file__).resolve().parents[1]
TEST_HOME = Path(os.environ.get("JUKI_TEST_HOME", ROOT / ".juki" / "test")).resolve()
TEMPLATE_SECONDS = 6 * 3600
ENGINE_SECONDS = 20
START_SECONDS = 60
TENANT_FILES = ("072044-iwaki.toml", "075418-hirono.toml")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """DSN of a PostgreSQL administrator, for tests only: nothing of the product holds one."""
    if given := os.environ.get("JUKI_TEST_DSN"):
        yield given
        return
    with _container() as dsn:
        if dsn:
            yield dsn
            return
    local = LocalServer(TEST_HOME, durable=False)
    local.start()
    yield local.admin_dsn


@contextmanager
def _container() -> Iterator[str | None]:
    """The container rung: only where an engine answers and the image can be had. Each xdist worker has its own server."""
    if not (os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists()):
        yield None
        return
    try:
        engine = _start_container(os.environ.get("JUKI_TEST_IMAGE", "postgres:17"))
    except Exception as e:  # noqa: BLE001  whatever an engine lacks, the next rung holds
        # as a warning, because the summary of every run shows it
        told = " ".join(str(getattr(e, "explanation", None) or e).split())[:300]
        warnings.warn(f"embedded server instead of a container: {type(e).__name__}: {told}", stacklevel=1)
        yield None
        return
    dsn = engine.get_connection_url(driver=None)
    try:
        yield dsn
    finally:
        engine.stop()
        shutil.rmtree(TEST_HOME / f"tpl-{_fingerprint(dsn)}", ignore_errors=True)  # the keys of a template that is gone


def _start_container(image: str) -> Any:
    import docker
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.config import testcontainers_config as patience

    # an engine that does not answer, or a registry that no byte comes from, is given up soon
    client = docker.from_env(timeout=ENGINE_SECONDS)
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        client.images.pull(image)
    finally:
        client.close()
    patience.max_tries, patience.sleep_time = 5 * START_SECONDS, 0.2
    # the password is new each time: the port may be open to other machines
    engine = PostgresContainer(
        image, driver=None, username="postgres", password=secrets.token_urlsafe(24), dbname="postgres"
    ).with_command("-c max_connections=200 -c fsync=off -c synchronous_commit=off -c full_page_writes=off")
    try:
        return engine.start()
    except BaseException as e:
        with suppress(Exception):
            engine.stop()
        if isinstance(e, TimeoutError):  # its own words hold the password
            raise TimeoutError(f"the server of {image} was not ready within {START_SECONDS} seconds") from None
        raise


def _passwords(admin_dsn: str) -> dict[Login, str]:
    """The same passwords in every session on the same server, so that sessions do not lock each other out."""
    return {login: hashlib.sha256(f"{admin_dsn} {login}".encode()).hexdigest()[:32] for login in LOGINS}


def _config(admin_dsn: str, database: str, home: Path) -> Config:
    secret = _passwords(admin_dsn)
    dsns = {f"dsn_{login}": login_dsn(admin_dsn, database, login, secret[login]) for login in LOGINS}
    return Config(home=str(home), kms=f"local:{home / 'kms'}", pool_max=4, cookie_secure=False, **dsns)


def _fingerprint(admin_dsn: str) -> str:
    digest = hashlib.sha256(admin_dsn.encode())
    sources = [*ROOT.glob("migrations/*/versions/*.py"), *ROOT.glob("platform/juki/tenancy/*.py")]
    sources += [*ROOT.glob("platform/juki/vault/*.py"), *(ROOT / "tenants" / name for name in TENANT_FILES)]
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@pytest.fixture(scope="session")
def template(server: str) -> tuple[str, Path]:
    """Name of a database with both tenants active and no residents, and the key folder that belongs to it."""
    mark = _fingerprint(server)
    name, home = f"juki_tpl_{mark}", TEST_HOME / f"tpl-{mark}"
    TEST_HOME.mkdir(parents=True, exist_ok=True)
    with (TEST_HOME / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _template_complete(server, name, home):
            _build_template(server, name, home)
        (home / "complete").touch()
    return name, home


def _template_complete(server: str, name: str, home: Path) -> bool:
    with psycopg.connect(server, autocommit=True) as admin:
        known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return known is not None and (home / "complete").exists()


def _build_template(server: str, name: str, home: Path) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        for old in [name, *_forgotten_templates(admin)]:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(old)))
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    prepare(server, name, _passwords(server))
    config = _config(server, name, home)
    kms = open_kms(config.kms_spec)
    with connect(config, "deploy") as deploy:
        prepare_control(deploy)
        for file in TENANT_FILES:
            add(deploy, kms, read_file(ROOT / "tenants" / file), actor="test")
    (home / "complete").touch()


def _forgotten_templates(admin: psycopg.Connection[Any]) -> list[str]:
    """Templates of this folder that no session has used for hours; younger ones may serve another session right now."""
    old = [mark for mark in TEST_HOME.glob("tpl-*/complete") if time.time() - mark.stat().st_mtime > TEMPLATE_SECONDS]
    for mark in old:
        shutil.rmtree(mark.parent, ignore_errors=True)
    names = [f"juki_tpl_{mark.parent.name.removeprefix('tpl-')}" for mark in old]
    known = admin.execute("SELECT datname FROM pg_database WHERE datname = ANY(%s)", (names,)).fetchall()
    return [row[0] for row in known]


@contextmanager
def _clone(server: str, template: tuple[str, Path], home: Path) -> Iterator[Config]:
    name, source = template
    database = f"juki_t_{secrets.token_hex(6)}"
    shutil.copytree(source / "kms", home / "kms", dirs_exist_ok=True)
    with psycopg.connect(server, autocommit=True) as admin:
        with (TEST_HOME / "clone.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # CREATE DATABASE refuses a template that is being copied
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER juki_deploy").format(
                    sql.Identifier(database), sql.Identifier(name)
                )
            )
        ensure_database(admin, database)
        try:
            yield _config(server, database, home)
        finally:
            extra = _newcomers_roles(server, database)
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
            for role in extra:
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def _newcomers_roles(server: str, database: str) -> list[str]:
    """Roles that only this database knows; they go with it."""
    with psycopg.connect(make_conninfo(server, dbname=database)) as admin:
        codes = admin.execute("SELECT code FROM control.tenant WHERE code >= '9'").fetchall()
    return [f"t{code}_{suffix}" for (code,) in codes for suffix in ("registry", "rekey")]


@pytest.fixture(scope="module")
def config(server: str, template: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """Settings of a clone of the template that lives as long as the test module."""
    with _clone(server, template, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(config: Config) -> AsyncIterator[Fleet]:
    """The registry's runtime over the module's clone: いわき市 and 広野町, both active, no residents."""
    opened = await Fleet.open(config)
    yield opened
    await opened.close()


@pytest.fixture
def fresh_config(server: str, template: tuple[str, Path], tmp_path: Path) -> Iterator[Config]:
    """Settings of a clone for one test, which may break it."""
    with _clone(server, template, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_fleet(fresh_config: Config) -> AsyncIterator[Fleet]:
    """A runtime over a clone for one test, for destructive tests."""
    opened = await Fleet.open(fresh_config)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def caller() -> Callable[..., Caller]:
    """Factory of callers: `caller("resident.search", tenant="075418", actor="op-2")`; rights also as `rights=`."""

    def make(
        *rights: str,
        tenant: str = "072044",
        actor: str = "op-0001",
        kind: Literal["operator", "machine", "system"] = "operator",
        terminal: str = "IWK-HON-01",
        **more: Any,
    ) -> Caller:
        held = frozenset(rights) | frozenset(more.pop("rights", ()))
        return Caller(tenant=tenant, actor_id=actor, actor_kind=kind, terminal_id=terminal, rights=held, **more)

    return make


@pytest.fixture
def newcomer() -> Callable[[Config], str]:
    """Provisions one more municipality under a fresh code and returns the code; for tests that erase or suspend one.

    Roles belong to the whole server, so the two standing municipalities can never be erased from it in a test; a
    newcomer's roles are in no other database.
    """

    def move_in(settings: Config) -> str:
        with connect(settings, "deploy") as deploy:
            code = _unused_code(deploy)
            file = read_file(ROOT / "tenants" / TENANT_FILES[1])
            file = msgspec.structs.replace(file, code=code, name=f"試験{code}町", keys=Keys(alias=f"juki/{code}"))
            add(deploy, open_kms(settings.kms_spec), file, actor="test")
        return code

    return move_in


def _unused_code(deploy: psycopg.Connection[Any]) -> str:
    """A code whose roles no database of this server knows, so that two newcomers are never one."""
    while True:
        body = f"{secrets.randbelow(8999) + 91000:05d}"
        code = f"{body}{municipality_check_digit(body)}"
        if not deploy.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (f"t{code}_registry",)).fetchone():
            return code
