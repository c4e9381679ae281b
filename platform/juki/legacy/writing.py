"""区切りの書込み: chunks judged, sealed and written in one process, the next one judged while the one before is on its way."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from juki.legacy.plan import Plan
from juki.legacy.store import chunk
from juki.legacy.store.ledger import Run
from juki.tenancy import Connection, Fleet, Tenant

_TURN_SECONDS: Final = 0.001


def write_chunks(
    fleet: Fleet,
    tenant: Tenant,
    plan: Plan,
    run: Run,
    connection: Connection,
    numbers: Iterable[int],
    written: Callable[[int], None],
) -> None:
    """Write chunks by number, in the order given; `written` is told of each that is committed. Never more than two are held.

    The ring is asked for anew with every chunk, so keys that were purged or rotated are not used on.
    """
    place = {file.name: number for number, file in enumerate(plan.source.files)}
    with at_full_speed(), ThreadPoolExecutor(1) as writer:
        writing: tuple[int, Future[None]] | None = None
        for number in numbers:
            ring = fleet.keyring.get_sync(tenant.code)
            result = plan.chunk(number)
            ready = chunk.ready_chunk(ring, run, number, result, place, plan.survey.first_of_kind)
            if writing is not None:
                writing[1].result()
                written(writing[0])
            writing = number, writer.submit(chunk.write_chunk, connection, tenant, run, ready)
        if writing is not None:
            writing[1].result()
            written(writing[0])


@contextmanager
def at_full_speed() -> Generator[None, None, None]:
    """For millions of short-lived values without a cycle among them, whose walking doubles the time; and for two threads of
    which one mostly waits for the database: it gets its turn after a millisecond, not after five.
    """
    was, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if was:
            gc.enable()
