"""合言葉: the cookies of a session and a terminal, the bearer token of a machine, and whose they are."""

from __future__ import annotations

from typing import Final

from juki import audit
from juki.access import Caller
from juki.config import Config
from juki.problem import NotFound
from juki.tenancy import Fleet
from juki.web.problems import AnyRequest

_BEARER: Final = "bearer "
MAX_TOKEN: Final = 200


def session_cookie(config: Config) -> str:
    """Name of the session cookie; the browser itself guards a `__Host-` one where the page is served over TLS."""
    return "__Host-juki" if config.cookie_secure else "juki"


def terminal_cookie(config: Config) -> str:
    """Name of the cookie that a terminal keeps from its enrolment on."""
    return "__Host-juki-terminal" if config.cookie_secure else "juki-terminal"
