"""証跡: every operation on personal data runs through `operation`, which is the only way to a session.

`refused` records attempts that never became one; the names of `entrance` are what happens before there is a session.
"""

from juki.access.pages import Kept
from juki.access.sessions import Login, Opened
from juki.audit.analyses import Finding, Limits, analyse
from juki.audit.entrance import (
    change_otp,
    change_password,
    enrol_terminal,
    forget_pages,
    introspect,
    keep_page,
    kept_page,
    machine_caller,
    machine_token,
    resume,
    revoke_token,
    sign_in,
    sign_out,
    terminal_id,
)
from juki.audit.export import export
from juki.audit.keeping import keep
from juki.audit.log import Checkpoint, Proof, checkpoint, prove_consistency, prove_inclusion
from juki.audit.model import Disclosure, Entry, Filter, Intent, Subject
from juki.audit.operation import Operation, operation, refused
from juki.audit.reading import about, entry, heads, listing, proof
from juki.audit.sweep import sweep
from juki.audit.witness import DirectoryWitness, Witness, copy_newest, witness_in, witness_of, witnessed_checkpoint

__all__ = [
    "Checkpoint",
    "DirectoryWitness",
    "Disclosure",
    "Entry",
    "Filter",
    "Finding",
    "Intent",
    "Kept",
    "Limits",
    "Login",
    "Opened",
    "Operation",
    "Proof",
    "Subject",
    "Witness",
    "about",
    "analyse",
    "change_otp",
    "change_password",
    "checkpoint",
    "copy_newest",
    "enrol_terminal",
    "entry",
    "export",
    "forget_pages",
    "heads",
    "introspect",
    "keep",
    "keep_page",
    "kept_page",
    "listing",
    "machine_caller",
    "machine_token",
    "operation",
    "proof",
    "prove_consistency",
    "prove_inclusion",
    "refused",
    "resume",
    "revoke_token",
    "sign_in",
    "sign_out",
    "sweep",
    "terminal_id",
    "witness_in",
    "witness_of",
    "witnessed_checkpoint",
]
