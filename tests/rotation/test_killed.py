"""kill -9 at every boundary of a rotation: running again completes the story."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from juki.config import Config
from juki.tenancy import Fleet, connect
from juki.vault import KeyState

from .conftest import CODE, kms_of, opened, put_machines

CHILD = Path(__file__).parent / "killed.py"


def environment(config: Config) -> dict[str, str]:
    """A child's settings are this test's settings."""
    settings = msgspec.to_builtins(config)
    wanted = {f"JUKI_{k.upper()}": str(v) for k, v in settings.items() if k.startswith("dsn") or k in ("home", "kms")}
    return {k: v for k, v in os.environ.items() if not k.startswith("JUKI_")} | wanted


async def kill_often(config: Config, kind: str, code: str, most: int) -> int:
    """Up to `most` processes killed, each one boundary further; how many died."""
    driver = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), kind, code, str(most), env=environment(config),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    told, errors = await driver.communicate()
    assert driver.returncode == 0, errors.decode()[-2000:]
    return int(told)


@pytest.mark.parametrize("kind", ["root", "kms"])
async def test_killed_at_every_boundary_the_rotation_ends_as_if_nothing_had_happened(
    fresh_fleet: Fleet, fresh_config: Config, kind: str
) -> None:
    """Each step is cut before it, after it, and after it was written down; no second version was made."""
    await put_machines(fresh_fleet, 1, 200)
    before = await opened(fresh_fleet)
    old_key = (await fresh_fleet.tenant(CODE)).key_id
    steps = {"root": 7, "kms": 6}[kind]
    assert await kill_often(fresh_config, kind, CODE, 3 * steps) == 3 * steps  # the last dies when all is written down
    assert await opened(fresh_fleet) == before
    with connect(fresh_config, "rekey") as connection:
        runs = connection.execute("SELECT count(*), count(finished_at) FROM control.rotation").fetchone()
        live = connection.execute(
            "SELECT count(*) FROM control.wrapped_root WHERE tenant_code = %s AND purpose = 'seal' AND state <> 'retired'",
            (CODE,),
        ).fetchone()
    assert runs == (1, 1)
    assert live == (1,)
    if kind == "kms":
        assert kms_of(fresh_config).state(old_key) is KeyState.DISABLED
