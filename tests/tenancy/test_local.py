"""The embedded server and the logins: started, stopped, started again, prepared twice."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from juki.config import LOGINS, load
from juki.problem import Misconfigured, Unavailable
from juki.tenancy import prepare_control
from juki.tenancy.local import LocalServer
from juki.tenancy.logins import prepare


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of its own; under root it is closed to the server's user, as /root is."""
    folder = tmp_path_factory.mktemp("state")
    yield folder
    server = LocalServer(folder)
    server.stop()
    shutil.rmtree(server.data.parent, ignore_errors=True)


def _juki(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("JUKI_")}, "JUKI_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "juki", *arguments], capture_output=True, text=True, check=False, env=env
    )


def test_one_command_gives_a_server_with_its_logins(home: Path) -> None:
    """Also under root: the server runs as a system user of its own, and the file with the passwords is closed."""
    started = _juki(home, "db", "start", "--json")
    assert started.returncode == 0, started.stderr
    assert json.loads(started.stdout)["running"] is True
    written = home / "juki.toml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    config = load({"JUKI_HOME": str(home)}, require=("registry", "rekey", "deploy", "control"))
    with psycopg.connect(config.dsn("deploy")) as deploy:
        assert deploy.execute("SELECT count(*) FROM control.tenant").fetchone() == (0,)


def test_a_connection_without_the_password_is_refused(home: Path) -> None:
    """A local socket is no reason for trust."""
    server = LocalServer(home)
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.admin_dsn, password="wrong")


def test_starting_twice_and_stopping_twice_is_harmless(home: Path) -> None:
    """Data outlives the server; logins outlive a second start."""
    before = (home / "juki.toml").read_text() if _juki(home, "db", "start").returncode == 0 else ""
    again = _juki(home, "db", "start")
    assert again.returncode == 0, again.stderr
    assert (home / "juki.toml").read_text() == before
    assert [_juki(home, "db", "stop").returncode for _ in range(2)] == [0, 0]
    assert _juki(home, "db", "status").returncode == 1
    listed = _juki(home, "tenant", "list")
    assert listed.returncode == 3
    assert "db.gone" in listed.stderr
    pooled = _juki(home, "legacy", "report", "--tenant", "072044")
    assert pooled.returncode == 3
    assert [line[:8] for line in pooled.stderr.splitlines()] == ["juki: デー", "      db", "      ->"], (
        "the driver's tries"
    )
    assert _juki(home, "db", "start").returncode == 0
    assert "団体はまだありません" in _juki(home, "tenant", "list").stdout


def test_preparing_a_server_again_changes_passwords_and_nothing_else(home: Path) -> None:
    """An administrator may turn the passwords at any time; the old ones stop working."""
    server = LocalServer(home)
    server.start()
    old = prepare(server.admin_dsn, "again")
    new = prepare(server.admin_dsn, "again")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(old["registry"])
    psycopg.connect(new["registry"]).close()
    written = home / "juki.toml"
    written.write_text(written.read_text() + "port = 8123\n")
    assert _juki(home, "db", "start").returncode == 0
    assert load({"JUKI_HOME": str(home)}).port == 8123
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "団体はまだありません" in _juki(home, "tenant", "list").stdout


def test_the_master_user_of_a_managed_server_prepares_it_and_no_password_is_written_down(tmp_path: Path) -> None:
    """R-1-3.3-AUT: an administrator without superuser rights is enough, and keeps no way in; the log has digests only."""
    server = LocalServer(tmp_path, durable=False)
    server.start()
    try:
        with psycopg.connect(server.admin_dsn, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET log_statement = 'all'")
            admin.execute("SELECT pg_reload_conf()")
            admin.execute("CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'x'")
            admin.execute("CREATE ROLE nobody_much LOGIN PASSWORD 'x'")
        master, weak = (
            make_conninfo(server.admin_dsn, user=user, password="x", dbname="postgres")
            for user in ("master", "nobody_much")
        )
        with pytest.raises(Misconfigured) as caught:
            prepare(weak, "juki")
        assert caught.value.code == "db.admin"
        old, new = prepare(master, "juki"), prepare(master, "juki")
        for login in LOGINS:
            psycopg.connect(new[login]).close()
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(old[login])
        with psycopg.connect(new["deploy"]) as deploy:
            prepare_control(deploy)
        with psycopg.connect(server.admin_dsn) as admin:
            members = admin.execute(
                "SELECT FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"
                " WHERE r.rolname = 'juki_deploy' AND m.rolname = 'master' AND (a.inherit_option OR a.set_option)"
            ).fetchall()
        assert members == []
        written = (server.data / "server.log").read_text()
        assert "SCRAM-SHA-256" in written
        assert not [one for one in (*old.values(), *new.values()) if conninfo_to_dict(one)["password"] in written]
    finally:
        server.stop()


def test_a_socket_folder_that_leads_elsewhere_is_not_taken_over(tmp_path: Path) -> None:
    """Anybody may create a name in the folder for temporary files; its rights are not changed through a link."""
    server = LocalServer(tmp_path / "home")
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    sockets = server.sockets
    sockets.symlink_to(victim)
    try:
        with pytest.raises(Misconfigured) as caught:
            server.start()
    finally:
        sockets.unlink()
        server.stop()
        shutil.rmtree(server.data.parent, ignore_errors=True)
    assert caught.value.code == "db.foreign_folder"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755


def test_another_server_is_prepared_although_the_file_names_one_already(home: Path) -> None:
    """`db prepare` follows the administrator's address, not what an earlier server left in the file."""
    server = LocalServer(home)
    server.start()
    env = {**os.environ, "JUKI_HOME": str(home), "JUKI_ADMIN_DSN": server.admin_dsn}
    command = [sys.executable, "-m", "juki", "db", "prepare", "--database", "elsewhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "dbname=elsewhere" in load({"JUKI_HOME": str(home)}).dsn("registry")
    assert _juki(home, "db", "start").returncode == 0
    assert "dbname=juki" in load({"JUKI_HOME": str(home)}).dsn("registry")


def test_an_administrator_that_is_not_there_is_a_clear_answer() -> None:
    """db.gone, without the password."""
    with pytest.raises(Unavailable) as caught:
        prepare("host=/nowhere user=postgres password=geheim", "juki")
    assert caught.value.code == "db.gone"
    assert "geheim" not in str(caught.value)


def test_a_wrong_command_line_is_a_usage_error(home: Path) -> None:
    """Exit codes: 2 usage, 4 misconfigured, 1 refused."""
    assert _juki(home, "tenant", "ad", "x").returncode == 2
    assert _juki(home, "migrate", "--workers", "0").returncode == 2
    assert _juki(home, "db", "prepare").returncode == 4
    assert _juki(home, "tenant", "add", "nowhere.toml").returncode == 1
    assert json.loads(_juki(home, "tenant", "show", "131016", "--json").stdout)["error"]["code"] == "tenant.unknown"
