"""What every step of the story shares: folders, the `juki` command, the running service and the people who use it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
IWAKI = "072044"
HIRONO = "075418"


class NotProved(AssertionError):
    """A step claimed something and the system did not bear it out."""


def proved(condition: object, claim: str) -> None:
    """Stop the story unless `condition` holds; `claim` says in plain words what was expected."""
    if not condition:
        raise NotProved(claim)


@dataclass
class Outcome:
    """What a command did: exit code, its JSON answer where it gave one, and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last JSON document on standard output."""
        return json.loads(self.out)


@dataclass
class World:
    """One run of the story."""

    out: Path
    home: Path
    residents: int
    port: int
    say: Callable[[str], None]
    environment: dict[str, str] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the service listens."""
        return f"http://127.0.0.1:{self.port}"

    def env(self) -> dict[str, str]:
        """The environment of every process of this run: nothing of JUKI_* leaks in from outside."""
        outside = {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")}
        return (
            outside
            | {"JUKI_HOME": str(self.home), "JUKI_ENVIRONMENT": "test", "JUKI_COOKIE_SECURE": "false"}
            | self.environment
        )

    def juki(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 3600,
        progress: bool = False,
    ) -> Outcome:
        """Run the `juki` command as an operator would; with `check` a non-zero exit stops the story."""
        command = [sys.executable, "-m", "juki", *arguments]
        done = subprocess.run(
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=None if progress and sys.stderr.isatty() else subprocess.PIPE,
            text=True,
            env=self.env(),
            cwd=REPOSITORY,
            timeout=timeout,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr or "")
        if check and done.returncode != 0:
            shown = " ".join(a if len(a) < 60 else a[:57] + "..." for a in arguments)
            raise NotProved(f"juki {shown} ended with {done.returncode}: {outcome.err[-800:] or outcome.out[-800:]}")
        return outcome

    def spawn(self, name: str, *arguments: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Start a long-running process, its log in the run's folder, and wait until it is ready."""
        log = (self.out / f"{name}.log").open("ab")
        child = subprocess.Popen(
            [sys.executable, "-m", "juki", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.env(),
            cwd=REPOSITORY,
            start_new_session=True,
        )
        self.children[name] = child
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if child.poll() is not None:
                break
            if ready():
                return
            time.sleep(0.1)
        tail = (self.out / f"{name}.log").read_text(errors="replace")[-800:]
        raise NotProved(f"{name} did not become ready: {tail}")

    def stop(self, name: str) -> None:
        """End a process of ours and everything it started."""
        child = self.children.pop(name, None)
        if child is None or child.poll() is not None:
            return
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(10)

    def stop_all(self) -> None:
        """End all that this run started, the database last."""
        for name in list(self.children):
            self.stop(name)
        self.juki("db", "stop", check=False, timeout=120)


def free_port(wanted: int) -> int:
    """`wanted` where nothing listens there, else a port the system offers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of what the figures depend on."""
    from importlib.metadata import version

    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
