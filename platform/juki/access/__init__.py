"""操作者・端末・事務・承認: who may do what, from where, until when.

Functions here take a session, because access lies below the log; `juki.audit` opens it.
"""

from juki.access.model import RIGHTS, Caller, Duty, Policy, duties, system, visitor

__all__ = ["RIGHTS", "Caller", "Duty", "Policy", "duties", "system", "visitor"]
