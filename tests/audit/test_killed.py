"""kill -9 while operations run and heads are signed: what remains is one story, and the log is whole."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from juki import audit
from juki.audit import verifier
from juki.config import LOGINS
from juki.tenancy import Fleet

IWAKI = "072044"
CHILD = Path(__file__).with_name("killed.py")


_ITS_SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    " AND pid <> pg_backend_pid() AND NOT pid = ANY(%s)"
)


def killed_after(fleet: Fleet, operations: int) -> None:
    """Start the child, let it do some work, kill it in the middle of whatever it does."""
    settings = {f"JUKI_DSN_{login.upper()}": fleet.config.dsn(login) for login in LOGINS}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JUKI_")}
    environment = clean | settings | {"JUKI_HOME": fleet.config.home, "JUKI_KMS": fleet.config.kms}
    with psycopg.connect(fleet.config.dsn("deploy"), autocommit=True) as watching:
        before = [row[0] for row in watching.execute(_ITS_SESSIONS, ([],)).fetchall()]
    child = subprocess.Popen([sys.executable, str(CHILD)], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    seen = child.stdout.read(operations)
    child.kill()
    child.wait()
    with psycopg.connect(fleet.config.dsn("deploy"), autocommit=True) as watching:
        while watching.execute(_ITS_SESSIONS, (list(before),)).fetchall():  # what it sent last is finished
            time.sleep(0.02)
    assert len(seen) == operations, "the child ended by itself"


async def test_after_kill_9_every_effect_has_its_outcome_and_the_log_is_whole(
    fresh_fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-A-3.3-LOG-01: no effect without its entry, no entry left open, no row lost from the tree, copies complete."""
    for operations in (7, 31, 60):
        killed_after(fresh_fleet, operations)
    later = fresh_fleet.clock() + dt.timedelta(minutes=5)
    monkeypatch.setattr(fresh_fleet, "clock", lambda: later)
    closed = await audit.sweep(fresh_fleet, IWAKI)
    async with fresh_fleet.session(IWAKI, write=False) as session:
        effects = await session.fetch("SELECT reason::bigint FROM {t}.login_failure WHERE terminal_id = 'killed'")
        done = await session.fetch("SELECT op_no FROM {t}.audit_row WHERE part = 1 AND result = 'done'")
        unknown = await session.fetch("SELECT op_no FROM {t}.audit_row WHERE part = 1 AND result = 'unknown'")
        still_open = await session.fetch(
            "SELECT i.op_no FROM {t}.audit_row i WHERE i.part = 0"
            " AND NOT EXISTS (SELECT FROM {t}.audit_row o WHERE o.op_no = i.op_no AND o.part = 1)"
        )
    assert sorted(effects) == sorted(done)
    assert (len(unknown), still_open) == (closed, [])
    witness = audit.witness_of(fresh_fleet)
    made = await audit.witnessed_checkpoint(fresh_fleet, IWAKI, witness)
    await audit.export(fresh_fleet, IWAKI, tmp_path / "export")
    key = verifier.read_key(tmp_path / "export" / "key.pem")
    report = verifier.verify(tmp_path / "export", key, [witness.folder(IWAKI)])
    assert report.findings == ()
    assert report.entries == made.size
    assert 0 < report.witnessed <= report.heads
