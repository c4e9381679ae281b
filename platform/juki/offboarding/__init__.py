"""利用終了: a municipality asks to leave, takes its data with it, and what is left is erased with evidence."""

from juki.offboarding.ask import APPROVE_RIGHT, REQUEST_RIGHT, approve, request, wish, withdraw
from juki.offboarding.certify import Issued, check, checks_of, is_finished, issue, look, try_backup
from juki.offboarding.container import open_export
from juki.offboarding.erase import carry_out, start
from juki.offboarding.hand_over import Compared, Exported, compare, export
from juki.offboarding.leave import STATES, begin, case_folder, check_withdrawable, give_back
from juki.offboarding.status import Status, status
from juki.offboarding.store import Wish
from juki.offboarding.witness import (
    RIGHTS,
    Signatory,
    appoint,
    read_signatory,
    sign,
)

__all__ = [
    "APPROVE_RIGHT",
    "REQUEST_RIGHT",
    "RIGHTS",
    "STATES",
    "Compared",
    "Exported",
    "Issued",
    "Signatory",
    "Status",
    "Wish",
    "appoint",
    "approve",
    "begin",
    "carry_out",
    "case_folder",
    "check",
    "check_withdrawable",
    "checks_of",
    "compare",
    "export",
    "give_back",
    "is_finished",
    "issue",
    "look",
    "open_export",
    "read_signatory",
    "request",
    "sign",
    "start",
    "status",
    "try_backup",
    "wish",
    "withdraw",
]
