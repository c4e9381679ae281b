"""The `juki` command: assembles the nouns, turns an error into one clear message and an exit code."""

from __future__ import annotations

import argparse
import errno
import getpass
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from types import FrameType
from typing import Final, NoReturn

from juki.commands.arguments import Parser
from juki.problem import Invalid, JukiError, Misconfigured, Unavailable, defect
from juki.texts import text_of

COMMANDS: Final = (
    "access",
    "audit",
    "certificates",
    "config_check",
    "db",
    "legacy",
    "migrate",
    "offboard",
    "rotate",
    "serve",
    "tenant",
)

_CHATTY: Final = ("psycopg.pool", "juki.tenancy", "juki.vault")
"""What these say of attempts in the background, a command's one message at its end says better."""

_GRACE_SECONDS: Final = 5.0
"""How long a command that is told to end may take for it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed or refused, 2 usage, 3 unavailable (try again), 4 misconfigured.

    130 and 143 where somebody interrupted or ended it, as a shell has it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        parser().print_help()
        return 0
    ended: list[int] = []
    as_json = "--json" in given
    try:
        quiet = () if given[0] in ("serve", "dev") else _CHATTY
        with _interruptible(ended, alone=arguments is None), _quiet(quiet):
            options = parser(given[0]).parse_args(given)
            return int(options.run(options) or 0)
    except JukiError as e:
        return _tell(e, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing more to say
        return 1
    except OSError as e:
        fault = _refused_by_system(e)
        return _tell(fault, as_json=as_json)
    except KeyboardInterrupt:
        code = _interrupted(ended)
        if arguments is None:
            _leave(code)
        return code
    except Exception as e:  # noqa: BLE001  a trace or a foreign message may quote a person's data
        return _tell(_known(e) or defect(e), as_json=as_json)


def parser(wanted: str = "") -> argparse.ArgumentParser:
    """The command line: of one noun where `wanted` is one, which spares the start of all others; else the whole."""
    top = Parser(prog="juki", description="住基: resident registry for many municipalities")
    top.add_argument("--version", action="version", version=f"juki {version('juki')}")
    nouns = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    module = wanted.replace("-", "_")
    for name in [module] if module in COMMANDS else COMMANDS:
        importlib.import_module(f"juki.commands.{name}").register(nouns)
    return top


def _refused_by_system(error: OSError) -> JukiError:
    """No room is worth another try once there is some; anything else of the file system is not."""
    told = f"{error.strerror or type(error).__name__}{f' ({error.filename})' if error.filename else ''}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("disk.full", told, remedy="make room on that disk, then run again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return JukiError(
            "disk.no_permission",
            f"{told}, user {getpass.getuser()}",
            remedy="give this user the right to write there, or name another place (JUKI_HOME, --out)",
        )
    return JukiError("juki.system", told, remedy="correct that and run again")


@contextmanager
def _quiet(names: Sequence[str]) -> Generator[None, None, None]:
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _interruptible(ended: list[int], *, alone: bool) -> Generator[None, None, None]:
    """Ctrl-C and SIGTERM end a command alike: transactions are rolled back, the log hears of it.

    What does not end in time (a thread in the middle of a long piece of work) ends with the process: the database rolls
    back what was open, and the next sweep of the log closes it. Only a process that is `alone` may end so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        ended.append(number)
        if alone:
            signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)
        raise KeyboardInterrupt

    def give_up(*_: object) -> None:
        _leave(_interrupted(ended))

    wanted = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # so it is in a shell's background job
        wanted.append(signal.SIGINT)
    before = {number: signal.signal(number, end) for number in wanted}
    if alone:
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, give_up)
    try:
        yield
    finally:
        if not (ended and alone):  # a process that is ending keeps its alarm set
            for number, handler in before.items():
                signal.signal(number, handler)


def _interrupted(ended: Sequence[int]) -> int:
    print("中断しました。確定した分は残り、残りは取り消されました。", file=sys.stderr)
    return 128 + (ended[0] if ended else signal.SIGINT)


def _leave(code: int) -> NoReturn:
    """End now: a thread that is still at work would hold up an ordinary end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _known(error: Exception) -> JukiError | None:
    """What the database said, as one of the few kinds a caller knows; its words may quote a row and are dropped."""
    if "psycopg" not in sys.modules:
        return None
    from juki.tenancy.session import known_problem

    return known_problem(error)


def _tell(error: JukiError, *, as_json: bool) -> int:
    if as_json:
        fields = error.fields if isinstance(error, Invalid) else {}
        told = {
            "code": error.code,
            "message": text_of(error.code, error.status),
            "detail": error.detail,
            "remedy": error.remedy,
            "fields": fields,
        }
        print(json.dumps({"error": told}, ensure_ascii=False))
    else:
        print(f"juki: {text_of(error.code, error.status)}", file=sys.stderr)
        print(f"      {error}", file=sys.stderr)
        if error.remedy:
            print(f"      -> {error.remedy}", file=sys.stderr)
    if isinstance(error, Unavailable):
        return 3
    return 4 if isinstance(error, Misconfigured) else 1


if __name__ == "__main__":
    sys.exit(main())
