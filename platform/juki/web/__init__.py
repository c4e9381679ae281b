"""What stands between the network and the rooms: one table of problems, the caller, limits and headers.

Route handlers declare `opt={"right": ..., "purpose": ..., "action": ...}`; `admit` reads them before the body is read.
"""

from juki.texts import text_of
from juki.web.admission import (
    PUBLIC,
    admit,
    form_of,
    form_token,
    provide_caller,
    provide_fleet,
    provide_purpose,
    public,
    purpose_of,
    route,
    token_of,
)
from juki.web.described import describe_problems
from juki.web.headers import security_headers
from juki.web.limits import Limits, Pace, Turnstile
from juki.web.problems import AnyRequest, Problem, error_handlers, problem_of

__all__ = [
    "PUBLIC",
    "AnyRequest",
    "Limits",
    "Pace",
    "Problem",
    "Turnstile",
    "admit",
    "describe_problems",
    "error_handlers",
    "form_of",
    "form_token",
    "problem_of",
    "provide_caller",
    "provide_fleet",
    "provide_purpose",
    "public",
    "purpose_of",
    "route",
    "security_headers",
    "text_of",
    "token_of",
]
