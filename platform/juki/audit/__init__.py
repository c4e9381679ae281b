"""証跡: every operation on personal data runs through `operation`, which is the only way to a session.

`refused` records attempts that never became one; the names of `entrance` are what happens before there is a session.
"""

from juki.access.sessions import Login, Opened
from juki.audit.entrance import (
    change_password,
    enrol_terminal,
    introspect,
    machine_caller,
    machine_token,
    resume,
    revoke_token,
    sign_in,
    sign_out,
    terminal_id,
)
from juki.audit.model import Disclosure, Entry, Filter
from juki.audit.operation import Operation, operation, refused

__all__ = [
    "Disclosure",
    "Entry",
    "Filter",
    "Login",
    "Opened",
    "Operation",
    "change_password",
    "enrol_terminal",
    "introspect",
    "machine_caller",
    "machine_token",
    "operation",
    "refused",
    "resume",
    "revoke_token",
    "sign_in",
    "sign_out",
    "terminal_id",
]
