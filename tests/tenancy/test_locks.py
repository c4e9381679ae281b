"""One run at a time: a lock whose holder is going is waited for, one that is kept is not."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from juki.config import Config
from juki.tenancy import connect, take_lock

LOCK = (77, 1)


def test_a_lock_that_is_let_go_within_a_moment_is_taken(config: Config) -> None:
    with closing(connect(config, "deploy", autocommit=True)) as one, closing(connect(config, "deploy")) as two:
        assert take_lock(one, *LOCK)
        leaving = threading.Timer(0.3, one.close)  # as the server does for a process that was killed
        leaving.start()
        assert take_lock(two, *LOCK, patience=20)
        leaving.join()


def test_a_lock_that_is_kept_is_refused_when_patience_ends(config: Config) -> None:
    with closing(connect(config, "deploy", autocommit=True)) as one, closing(connect(config, "deploy")) as two:
        assert take_lock(one, *LOCK)
        began = time.monotonic()
        assert not take_lock(two, *LOCK, patience=0.2)
        assert time.monotonic() - began >= 0.2
        assert take_lock(one, *LOCK), "whoever has it has it"
