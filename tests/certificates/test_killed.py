"""kill -9 while a paper is issued: doing it again ends the story with one paper and one number."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from juki import certificates
from juki.access.model import Caller
from juki.audit import operation
from juki.certificates.model import Application, Issued
from juki.config import Config
from juki.registry.model import Record
from juki.tenancy import Fleet

RIGHTS = ("certificate.issue", "resident.read", "resident.my_number", "resident.code")


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def resident(
    fleet: Fleet, caller: Callable[..., Caller], put: Callable[..., Awaitable[None]], japanese: Callable[..., Record]
) -> None:
    async with operation(fleet, caller(), "test.store", purpose="試験") as op:
        await put(op, japanese(1))


@pytest.mark.parametrize(
    ("point", "issued_before"),
    [
        ("drawing", False),
        ("number written", False),
        ("everything written", False),
        ("before the commit", False),
        ("after the commit", True),
    ],
)
async def test_a_killed_issue_is_completed_by_sending_it_again(
    point: str,
    issued_before: bool,
    fleet: Fleet,
    config: Config,
    caller: Callable[..., Caller],
    application: Callable[..., Application],
) -> None:
    """Fault: whatever was cut off, the same token leads to exactly one paper, and the numbers have no gap."""
    clerk = caller(rights=RIGHTS)

    async def run(work: Callable[..., Awaitable[Any]]) -> Any:
        async with operation(fleet, clerk, "certificate.issue", purpose="試験") as op:
            return await work(op)

    async def count() -> int:
        row = await run(lambda op: op.session.fetch_one("SELECT count(*) FROM {t}.certificate_issue"))
        return int(row[0])

    ready = await run(lambda op: certificates.prepare(op, application()))
    before = await count()
    child = [sys.executable, str(Path(__file__).with_name("killed.py")), point, ready.token]
    child += [config.dsn_registry, config.kms, config.home]
    killed = await asyncio.to_thread(subprocess.run, child, capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    assert await count() - before == int(issued_before)
    issued: Issued = await run(lambda op: certificates.issue(op, ready.token))
    assert issued.repeated is issued_before
    assert await count() - before == 1
    rows = "SELECT fiscal_year, array_agg(running_no ORDER BY running_no) FROM {t}.certificate_issue GROUP BY 1"
    for year, numbers in await run(lambda op: op.session.fetch(rows)):
        assert numbers == list(range(1, len(numbers) + 1)), year
    assert issued.issue_no
