"""証跡: every operation on personal data runs through `operation`, which is the only way to a session.

`refused` records attempts that never became one.
"""

from juki.audit.model import Disclosure, Entry, Filter
from juki.audit.operation import Operation, operation, refused

__all__ = ["Disclosure", "Entry", "Filter", "Operation", "operation", "refused"]
