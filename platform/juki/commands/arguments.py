"""The command line's own errors: what was not understood, how the command is used, and what was probably meant."""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, cast

from juki.dates import JST

_CHOICE: Final = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")
_VALUE: Final = re.compile(r"argument (\S+): invalid (\S+) value: (.*)")
_UNKNOWN: Final = "unrecognized arguments: "
_KINDS: Final = {
    "int": "a whole number",
    "_count": "a whole number",
    "_hours": "a whole number",
    "fromisoformat": "a date as YYYY-MM-DD",
    "moment": "a date or time as YYYY-MM-DD or YYYY-MM-DDTHH:MM",
}


def moment(text: str) -> dt.datetime:
    """A day or a moment in ISO form; without an offset in Japan, whatever zone this machine is in."""
    told = dt.datetime.fromisoformat(text)
    return told if told.tzinfo else told.replace(tzinfo=JST)


class Parser(argparse.ArgumentParser):
    """argparse with a next step in each error; sub-commands are made of the same class. Exit code 2."""

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  the overloads say the same in three ways
        self, args: Any = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Whoever meets a strange word tells it with their own usage, not with the usage of everything."""
        found, strange = super().parse_known_args(args, namespace)
        if strange:
            self.error(_UNKNOWN + " ".join(strange))
        return found, strange

    def error(self, message: str) -> NoReturn:
        """Usage, the error and a hint on standard error, then the end with exit code 2."""
        self.print_usage(sys.stderr)
        told = self._plain(message)
        self.exit(2, f"{self.prog}: {told}\n      -> {self._hint(message)}`{self.prog} --help` says more\n")

    def _plain(self, message: str) -> str:
        if choice := _CHOICE.search(message):
            return f"there is no `{choice[1]}`"
        if value := _VALUE.match(message):
            return f"{value[1]}: expected {_KINDS.get(value[2], value[2])}, found {value[3]}"
        return message

    def _hint(self, message: str) -> str:
        if choice := _CHOICE.search(message):
            known = re.findall(r"'([^']*)'", choice[2])
            return _meant(choice[1], known) or f"one of: {', '.join(known)}; "
        if message.startswith(_UNKNOWN):
            word = message.removeprefix(_UNKNOWN).split()[0]
            return _meant(word.partition("=")[0], list(self._option_string_actions))
        if "required: VERB" in message or "required: COMMAND" in message:
            return f"one of: {', '.join(self._verbs())}; "
        return ""

    def _verbs(self) -> list[str]:
        for action in self._actions:
            if isinstance(action.choices, Mapping):
                return [str(name) for name in cast("Mapping[str, Any]", action.choices)]
        return []


def _meant(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`? " if near else ""
