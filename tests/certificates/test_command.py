"""`juki certificates clear-spool` over a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable

import pytest

from juki.__main__ import main
from juki.access.model import Caller
from juki.audit import operation
from juki.certificates import store
from juki.certificates.model import Application, Held
from juki.config import Config
from juki.tenancy import Fleet


async def test_the_end_of_day_sweep_forgets_old_papers_of_every_municipality(
    fleet: Fleet,
    config: Config,
    caller: Callable[..., Caller],
    application: Callable[..., Application],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """ADR 0007: the waiting room is emptied; a younger paper stays."""
    for hours in (30, 1):
        async with operation(fleet, caller(), "test.spool", purpose="試験") as op:
            held = Held(application=application(), versions={})
            number = await store.add_application(op, bytes([hours]) * 32, held, op.now + dt.timedelta(days=365))
            await store.spool(op, number, b"%PDF-")
        if hours == 30:
            await _age(config)
    monkeypatch.setenv("JUKI_DSN_REGISTRY", config.dsn_registry)
    monkeypatch.setenv("JUKI_KMS", config.kms)
    monkeypatch.setenv("JUKI_HOME", config.home)
    assert await asyncio.to_thread(main, ["certificates", "clear-spool", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"cleared": {"072044": 1, "075418": 0}}


async def _age(config: Config) -> None:
    from juki.tenancy import connect

    def work() -> None:
        with connect(config, "deploy") as owner:
            owner.execute("UPDATE t072044.certificate_spool SET spooled_at = now() - interval '30 hours'")
            owner.commit()

    await asyncio.to_thread(work)


@pytest.mark.parametrize("hours", ["0", "721", "x"])
def test_an_impossible_age_is_a_usage_error(hours: str) -> None:
    """Bad input: exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main(["certificates", "clear-spool", "--hours", hours])
    assert caught.value.code == 2
