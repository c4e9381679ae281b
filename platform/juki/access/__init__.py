"""操作者・端末・事務・承認: who may do what, from where, until when.

Use cases take a `Work` (`op.work` of a running operation), because access lies below the log; `juki.audit` opens it.
"""

from juki.access import accounts, grants, hours, machines, pages, roster, sessions, terminals
from juki.access.accounts import FirstSecrets, NewOperator, ReviewLine
from juki.access.model import FUNCTIONS, RIGHTS, Caller, Duty, NotSignedIn, Policy, duties, system, visitor
from juki.access.work import Work

__all__ = [
    "FUNCTIONS",
    "RIGHTS",
    "Caller",
    "Duty",
    "FirstSecrets",
    "NewOperator",
    "NotSignedIn",
    "Policy",
    "ReviewLine",
    "Work",
    "accounts",
    "duties",
    "grants",
    "hours",
    "machines",
    "pages",
    "roster",
    "sessions",
    "system",
    "terminals",
    "visitor",
]
