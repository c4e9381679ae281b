"""接続: a connection to the database, or the one reason why there is none: gone, refusing this login, or misnamed.

A server that does not answer is worth another try; a wrong password, database or address is not. What counts is how far
the attempt came; the server's own words, which may be in any language, are read only where that leaves two answers.
"""

from __future__ import annotations

import re
import select
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from juki.problem import JukiError, Misconfigured, Unavailable
from juki.tenancy.session import Row

Connection: TypeAlias = psycopg.Connection[Row]
"""A connection of its own, outside the pool."""

SOCKET: Final = {
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 4000,
    "connect_timeout": 5,
}
"""A server that vanished without a word is noticed within seconds; a long statement of a living one is not disturbed."""

_PINNED: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""What the program relies on, whatever a server, database or login was told by ALTER SYSTEM, DATABASE or ROLE.

A writer that may not see what was committed while it waited would pass the comparison of epochs with an old answer.
`default_transaction_read_only` is not among them: whoever sets it wants nothing to be written.
"""

_START: Final = "start it (`juki db start` where it is the embedded one) or correct {setting}, then run again"
_RIGHTS: Final = "correct {setting} (login, password, database name); `juki db start` or `juki db prepare` writes it"
_ABOUT_THE_LOGIN: Final = re.compile(
    "authentication failed|does not exist|not permitted to log in|not accepting connections|not currently accepting"
    "|permission denied for database|no password supplied|invalid value for parameter"
    "|認証に失敗|存在しません|ログインが許可|接続を受け付け|権限がありません"
)
_ANSWERED: Final = "FATAL:"  # no password is asked for where the server trusts a certificate, a system user or a socket
_LOOKS: Final = 4


def pinned(dsn: str, **more: str) -> str:
    """`options` of a connection: what the address itself says, then what this program relies on, then `more`."""
    parts = [f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in (_PINNED | more).items()]
    return " ".join([str(conninfo_to_dict(dsn).get("options") or ""), *parts]).strip()


def reach(dsn: str, setting: str, **options: Any) -> Connection:
    """A connection; Unavailable `db.gone`, Misconfigured `db.login_refused` or `config.wrong` name the setting, no secret."""
    try:
        return psycopg.connect(make_conninfo(dsn, **(SOCKET | _given(dsn)), options=pinned(dsn)), **options)
    except psycopg.OperationalError as e:
        raise _unreached(e, dsn, setting) from None
    except psycopg.ProgrammingError:
        # the driver's words quote the string, and the string holds a password
        raise Misconfigured(
            "config.wrong",
            f"{setting} is not a PostgreSQL connection string",
            remedy=f'write {setting} as "host=... dbname=... user=... password=..." or postgresql://...',
        ) from None


def is_alive(connection: psycopg.AsyncConnection[Row]) -> bool:
    """Whether the other end of an idle connection is still there, without asking it anything.

    An idle connection that can be read from has been sent a farewell, or nothing any more.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    for _ in range(_LOOKS):
        if not waiting.poll(0):
            return True
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
    return False


def _given(dsn: str) -> dict[str, Any]:
    """What the address itself says of time-outs has the word."""
    return {name: value for name, value in conninfo_to_dict(dsn).items() if name in SOCKET}


def _unreached(error: psycopg.OperationalError, dsn: str, setting: str) -> JukiError:
    told = conninfo_to_dict(dsn)
    place = f"{told.get('host') or told.get('hostaddr') or 'this machine'}, database {told.get('dbname') or '(none)'}"
    attempt = error.pgconn
    # a server that asked for a password, or said why not, is up; its words are about this login, or about itself
    if attempt is not None and (attempt.used_password or _ANSWERED in str(error)):
        if _ABOUT_THE_LOGIN.search(str(error)):
            return Misconfigured(
                "db.login_refused",
                f"the server refuses the login of {setting} ({told.get('user') or 'no user'} at {place})",
                remedy=_RIGHTS.format(setting=setting),
            )
        said = str(error).rpartition("FATAL:")[2].strip().splitlines()
        return Unavailable(
            "db.not_open",
            f"the server of {setting} lets nobody in ({place}): {said[0] if said else 'it gives no reason'}",
            remedy="its log says more: room on its disk, free connections, a start that is not over; then try again",
        )
    return Unavailable(
        "db.gone", f"the database of {setting} does not answer ({place})", remedy=_START.format(setting=setting)
    )
