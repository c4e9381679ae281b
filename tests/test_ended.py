"""A real process that is told to end: it does so by itself, with the shell's exit code, and leaves no operation open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from juki.config import Config
from juki.tenancy import connect

_PROGRAM = """
import asyncio, os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import juki.__main__ as juki
from juki.access.model import system
from juki.audit import operation
from juki.commands import tenant
from juki.config import load
from juki.tenancy import Fleet

async def work():
    fleet = await Fleet.open(load(os.environ))
    try:
        async with operation(fleet, system("072044", "test"), "registry.search", purpose="test") as op:
            await op.session.fetch("SELECT 1")
            print("ready", flush=True)
            if "HOW" == "waiting":
                await op.session.fetch("SELECT pg_sleep(25)")
            elif "HOW" == "computing":
                while True:
                    sum(range(1000))
            else:
                await asyncio.to_thread(time.sleep, 600)
    finally:
        await fleet.close()

tenant._list = lambda options: asyncio.run(work())
juki._GRACE_SECONDS = 2.0
sys.argv = ["juki", "tenant", "list"]
sys.exit(juki.main())
"""


@pytest.mark.parametrize(
    ("sent", "how"),
    [
        (signal.SIGINT, "waiting"),
        (signal.SIGTERM, "waiting"),
        (signal.SIGTERM, "computing"),
        (signal.SIGINT, "in a thread"),
    ],
)
def test_a_process_ends_when_told_wherever_it_is(fresh_config: Config, sent: signal.Signals, how: str) -> None:
    """R-A-3.3-LOG-01: in a statement, in a computation, in a thread; the intent is closed or left to the sweep."""
    names = ("home", "kms", "dsn_registry")
    env = os.environ | {f"JUKI_{name.upper()}": str(getattr(fresh_config, name)) for name in names}
    program = _PROGRAM.replace("HOW", how)
    with subprocess.Popen(
        [sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n", process.stderr.read() if process.stderr else ""
        process.send_signal(sent)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + sent
    assert [line for line in told.splitlines() if line] == ["中断しました。確定した分は残り、残りは取り消されました。"]
    with closing(connect(fresh_config, "deploy", autocommit=True)) as deploy:
        found = deploy.execute("SELECT kind, result FROM t072044.audit_row ORDER BY op_no, part").fetchall()
    assert found in ([("intent", "")], [("intent", ""), ("outcome", "failed")])
