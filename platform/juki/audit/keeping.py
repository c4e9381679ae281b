"""定期処理: heads at most a second behind the writers, left-open operations closed, pages of ended sessions forgotten, in a serving process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from juki.audit.entrance import forget_pages
from juki.audit.log import LOG_STATES, checkpoint
from juki.audit.operation import written_since
from juki.audit.sweep import sweep
from juki.audit.witness import copy_newest, witnessed_checkpoint
from juki.problem import Conflict, JukiError
from juki.tenancy import Fleet
from juki.tenancy.directory import OPEN_STATES

log = logging.getLogger("juki.audit")

EVERY_SECONDS: Final = 0.5
_SWEEP_EVERY_SECONDS: Final = 60.0
_COPY_EVERY_SECONDS: Final = 10.0


async def keep(fleet: Fleet) -> None:
    """Run until cancelled: a head for every municipality this process has written for, twice a second; copies and sweeps.

    A fault in one municipality (its key is disabled, the database is away) is logged by code and tried again.
    """
    swept = copied = time.monotonic() - _SWEEP_EVERY_SECONDS
    uncopied: set[str] = set()
    while not _told_to_stop():
        await asyncio.sleep(EVERY_SECONDS)
        for code in written_since(fleet):
            await _try(fleet, code, checkpoint)
            uncopied.add(code)
        if time.monotonic() - copied >= _COPY_EVERY_SECONDS:
            copied = time.monotonic()
            for code in sorted(uncopied):
                await _try(fleet, code, copy_newest)
            uncopied.clear()
        if time.monotonic() - swept >= _SWEEP_EVERY_SECONDS:
            swept = time.monotonic()
            await _sweep_all(fleet)


def _told_to_stop() -> bool:
    """A cancellation that met a database answer is swallowed on its way up here; the task remembers that it was told."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _sweep_all(fleet: Fleet) -> None:
    try:
        states = {tenant.code: tenant.state for tenant in await fleet.tenants() if tenant.state in LOG_STATES}
    except JukiError as e:
        log.warning("sweep postponed: %s", e.code)
        return
    for code, state in states.items():
        await _try(fleet, code, sweep)
        await _try(fleet, code, witnessed_checkpoint)
        if state in OPEN_STATES:  # whoever is leaving has no counter and so no pages
            await _try(fleet, code, forget_pages)


async def _try(fleet: Fleet, code: str, what: Callable[[Fleet, str], Awaitable[object]]) -> None:
    try:
        await what(fleet, code)
    except Conflict as e:
        # not a hitch: a copy kept elsewhere says something else than the database
        log.error("%s of %s: %s", what.__name__, code, e.code)
    except JukiError as e:
        log.warning("%s of %s postponed: %s", what.__name__, code, e.code)
    except Exception as e:  # noqa: BLE001  a defect in one municipality must not end the keeping of all others
        log.error("%s of %s failed: %s", what.__name__, code, type(e).__name__)  # its words may quote a row
