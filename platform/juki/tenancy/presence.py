"""在席: every process that may hold keys is known, is told to forget them, and is known to have forgotten them.

A process keeps one session of its own open with an advisory lock in it. The server drops the lock with the session, so
a process is gone when its lock is gone, and nobody guesses from silence. The other way round, a process that loses its
session forgets every key before it does anything else, and loads none until it is registered again.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo

from juki.problem import Unavailable
from juki.tenancy.reaching import SOCKET, pinned
from juki.tenancy.session import Row, problem_of

log = logging.getLogger("juki.tenancy")

PROCESS_LOCK: Final = 19280
"""First half of the advisory lock of a living process; the second half is its process number."""

CHANNEL: Final = "juki_purge"
RELOAD: Final = "reload"
"""Reason of an order that asks for a fresh ring; any other reason asks to forget at once."""

_POLL_SECONDS: Final = 1.0
_SETTLING_SECONDS: Final = 0.05
_FENCE_SECONDS: Final = 6.0  # longer than a process needs to notice that its own session is cut


class Holder(Protocol):
    """What holds keys in a process."""

    def reload(self, code: str) -> Callable[[], bool]:
        """Let the next operation build the tenant's ring anew; those under way finish with the old one.

        The answer says whether they have finished.
        """
        ...

    def purge(self, code: str) -> None:
        """Forget the tenant's keys at once; operations under way are cut."""
        ...

    def purge_all(self) -> None:
        """Forget every key."""
        ...


class Presence:
    """One process among the living. `start` before the first key is loaded, `stop` after the last is forgotten."""

    def __init__(self, dsn: str, holder: Holder) -> None:
        self._dsn = dsn
        self._holder = holder
        self._stopping = threading.Event()
        self._registered = threading.Event()
        self._thread: threading.Thread | None = None
        self._settling: dict[int, Callable[[], bool]] = {}
        self._bell, self._ringer = socket.socketpair()
        self.process_no = 0
        self._orders_before = 0
        self._table = 0

    def start(self) -> None:
        """Register; Unavailable `db.gone` when the database does not answer, `db.full` when it takes nothing any more."""
        try:
            connection = self._register()
        except psycopg.Error as e:
            raise problem_of(e) from None
        self._thread = threading.Thread(target=self._watch, args=(connection,), name="juki-presence", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Forget every key, then leave: the lock goes with the session."""
        self._stopping.set()
        self._ringer.close()
        if self._thread is not None:
            self._thread.join(timeout=2 * _POLL_SECONDS + 5)
        self._bell.close()
        self._holder.purge_all()

    def check(self) -> None:
        """Raise Unavailable `tenancy.not_present` while this process is not among the registered ones."""
        if not self._registered.is_set():
            raise Unavailable("tenancy.not_present", "this process is not registered", remedy="try again in a moment")

    def check_database(self) -> None:
        """Raise Unavailable `db.gone` while this process has lost its session and could not open another yet."""
        if self._thread is not None and not self._registered.is_set() and not self._stopping.is_set():
            raise Unavailable("db.gone", "the database does not answer", remedy="try again in a moment")

    def _register(self) -> psycopg.Connection[Row]:
        connection: psycopg.Connection[Row] = psycopg.connect(
            make_conninfo(self._dsn, application_name="juki presence", options=pinned(self._dsn), **SOCKET),
            autocommit=True,
        )
        try:
            connection.execute(f"LISTEN {CHANNEL}")
            row = connection.execute("SELECT nextval('control.process_seq')").fetchone()
            number = int(row[0]) if row else 0
            row = connection.execute(
                "SELECT coalesce(max(order_no), 0), 'control.process'::regclass::oid FROM control.purge_order"
            ).fetchone()
            self._orders_before, self._table = (int(row[0]), int(row[1])) if row else (0, 0)
            # the lock comes before the row: whoever sees the row may rely on the lock
            connection.execute("SELECT pg_advisory_lock(%s, %s)", (PROCESS_LOCK, number))
            connection.execute(
                "INSERT INTO control.process (process_no, host, pid) VALUES (%s, %s, %s)",
                (number, socket.gethostname(), os.getpid()),
            )
        except BaseException:
            connection.close()
            raise
        self.process_no = number
        self._registered.set()
        return connection

    def _watch(self, connection: psycopg.Connection[Row]) -> None:
        current: psycopg.Connection[Row] | None = connection
        lost = False
        while not self._stopping.is_set():
            try:
                if current is None:
                    current = self._register()
                    log.warning("the database is back; work goes on")
                self._obey(current)
                pause = _SETTLING_SECONDS if self._settling else _POLL_SECONDS
                _await_readable(pause, current.fileno(), self._bell.fileno())
                for _ in current.notifies(timeout=0):
                    pass
                lost = False
            except Exception as e:  # noqa: BLE001  a listener that dies would leave keys that nobody can call back
                if not isinstance(e, psycopg.Error):
                    log.error("presence stumbled: %s", type(e).__name__)
                self._registered.clear()
                self._holder.purge_all()
                self._settling.clear()
                if current is not None:
                    current.close()
                current = None
                if lost:
                    self._stopping.wait(_POLL_SECONDS)
                else:  # only this session may have been cut: look at once whether the server is there
                    lost = True
                    log.warning("the database is gone; keys are forgotten until it is back")
        self._registered.clear()
        self._holder.purge_all()
        if current is not None:
            current.close()

    def _check_same(self, connection: psycopg.Connection[Row]) -> None:
        """A database put back under us knows neither this process nor, it may be, the keys that it holds."""
        row = connection.execute(
            "SELECT 'control.process'::regclass::oid, EXISTS (SELECT FROM control.process WHERE process_no = %s)",
            (self.process_no,),
        ).fetchone()
        if row is None or (int(row[0]), row[1]) != (self._table, True):
            raise Replaced

    def _obey(self, connection: psycopg.Connection[Row]) -> None:
        self._check_same(connection)
        # an order given before this process was there needs no answer, yet answering it is harmless: the margin
        # covers orders that were being committed while this process registered; a clock that was put back hides no order
        orders = connection.execute(
            "SELECT o.order_no, o.tenant_code, o.reason FROM control.purge_order o, control.process p"
            " WHERE p.process_no = %(me)s"
            " AND (o.order_no > %(before)s OR o.ordered_at > p.started_at - interval '1 minute')"
            " AND NOT EXISTS (SELECT FROM control.purge_ack a WHERE a.order_no = o.order_no AND a.process_no = %(me)s)"
            " ORDER BY o.order_no",
            {"me": self.process_no, "before": self._orders_before},
        ).fetchall()
        for number, code, reason in orders:
            if reason != RELOAD:
                self._holder.purge(code)
                self._acknowledge(connection, number)
            elif number not in self._settling:
                self._settling[number] = self._holder.reload(code)
        for number in [n for n, settled in self._settling.items() if settled()]:
            self._acknowledge(connection, number)
            del self._settling[number]

    def _acknowledge(self, connection: psycopg.Connection[Row], number: int) -> None:
        connection.execute(
            "INSERT INTO control.purge_ack (order_no, process_no, outcome) VALUES (%s, %s, 'acknowledged')"
            " ON CONFLICT DO NOTHING",
            (number, self.process_no),
        )


class Replaced(Exception):
    """The directory is not the one in which this process registered: a backup was put back while it ran."""


def _await_readable(seconds: float, *files: int) -> None:
    """`poll`, because `select` ends at 1,024 open files."""
    waiting = select.poll()
    for file in files:
        waiting.register(file, select.POLLIN)
    waiting.poll(seconds * 1000)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one process did with an order."""

    process_no: int
    outcome: str  # "acknowledged" | "session closed"


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """An order and what became of it; `seconds` until the last process had answered."""

    order_no: int
    answers: tuple[Answer, ...]
    seconds: float

    def facts(self) -> dict[str, int | str]:
        """Counts for a ledger line."""
        closed = sum(1 for answer in self.answers if answer.outcome != "acknowledged")
        return {
            "order": self.order_no,
            "processes": len(self.answers),
            "acknowledged": len(self.answers) - closed,
            "session_closed": closed,
            "milliseconds": round(self.seconds * 1000),
        }


def order(
    connection: psycopg.Connection[Row],
    code: str,
    reason: str,
    *,
    wait_seconds: float = 60.0,
    waiting: Callable[[int], None] | None = None,
) -> Answers:
    """Tell every process to reload (`reason` RELOAD) or purge a tenant, and wait until each has answered or is gone.

    `connection` is in autocommit. What the processes must no longer find has to be committed before. Unavailable
    `rotation.process_silent` names how many neither answered nor left in time; running again asks again.
    """
    began = time.monotonic()
    row = connection.execute(
        "INSERT INTO control.purge_order (tenant_code, reason) VALUES (%s, %s) RETURNING order_no", (code, reason)
    ).fetchone()
    number = int(row[0]) if row else 0
    connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(number)))
    asked = _living(connection)
    lost: dict[int, float] = {}
    while True:
        answered = _answered(connection, number)
        living = _living(connection)
        open_ = asked - answered
        for process in open_ - living:
            lost.setdefault(process, time.monotonic())
        gone = {process for process, since in lost.items() if time.monotonic() - since >= _FENCE_SECONDS}
        for process in gone - answered:
            _note_closed(connection, number, process)
        open_ -= gone
        if not open_:
            break
        if time.monotonic() - began > wait_seconds:
            raise Unavailable("rotation.process_silent", "a living process did not answer", processes=len(open_))
        if waiting is not None:
            waiting(len(open_))
        time.sleep(0.02)
    return Answers(order_no=number, answers=_outcomes(connection, number), seconds=time.monotonic() - began)


def _living(connection: psycopg.Connection[Row]) -> set[int]:
    """Processes whose session holds its lock now."""
    rows = connection.execute(
        "SELECT p.process_no FROM control.process p JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted"
        " AND l.objsubid = 2 AND l.classid::bigint = %s AND l.objid::bigint = p.process_no"
        " AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())",
        (PROCESS_LOCK,),
    ).fetchall()
    return {int(row[0]) for row in rows}


def _answered(connection: psycopg.Connection[Row], number: int) -> set[int]:
    rows = connection.execute("SELECT process_no FROM control.purge_ack WHERE order_no = %s", (number,)).fetchall()
    return {int(row[0]) for row in rows}


def _note_closed(connection: psycopg.Connection[Row], number: int, process: int) -> None:
    connection.execute(
        "INSERT INTO control.purge_ack (order_no, process_no, outcome) VALUES (%s, %s, 'session closed')"
        " ON CONFLICT DO NOTHING",
        (number, process),
    )


def _outcomes(connection: psycopg.Connection[Row], number: int) -> tuple[Answer, ...]:
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT process_no, outcome FROM control.purge_ack WHERE order_no = %s ORDER BY process_no", (number,)
    ).fetchall()
    return tuple(Answer(process_no=process, outcome=outcome) for process, outcome in rows)


def order_reload(connection: psycopg.Connection[Row], code: str) -> Answers:
    """Have every process read a tenant's directory row and keys anew."""
    return order(connection, code, RELOAD)
