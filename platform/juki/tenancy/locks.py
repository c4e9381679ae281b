"""単独実行: locks that a session of the database holds, so that one run at a time does what only one may do."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg

PATIENCE_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.05


def take_lock(connection: psycopg.Connection[Any], lock: int, key: int, *, patience: float = PATIENCE_SECONDS) -> bool:
    """Take a lock for the rest of the session; False where another session has it and keeps it.

    A process that was killed leaves its lock to the server, which may end a statement before it looks for the client: whoever
    runs the command again at once is not told of another run that is none.
    """
    until = time.monotonic() + patience
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (lock, key)).fetchone()
        if row is not None and row[0]:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
