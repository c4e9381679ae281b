"""証明書: 住民票の写し and 除票の写し, from the application at the counter to paper, number and history."""

from juki.certificates.issue import clear_spool, dispose, fetch_again, hand_over, history, issue, waits
from juki.certificates.prepare import check, prepare, preview, standing

__all__ = [
    "check",
    "clear_spool",
    "dispose",
    "fetch_again",
    "hand_over",
    "history",
    "issue",
    "prepare",
    "preview",
    "standing",
    "waits",
]
