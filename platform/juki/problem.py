"""The few kinds of failure a caller can meet; everything else is a defect and answers 500.

A message here never carries personal data: it names a rule, a code and an internal number at most. The Japanese
text shown to staff is looked up by `code`, so the same fault reads the same on every page and in every log.
"""

from __future__ import annotations

import traceback


class JukiError(Exception):
    """A failure with a stable code, a sentence for engineers and the next step for whoever met it."""

    status = 500
    code = "juki.fault"

    def __init__(self, code: str | None = None, detail: str = "", *, remedy: str = "", **facts: str | int) -> None:
        self.code = code or type(self).code
        self.detail = detail
        self.remedy = remedy
        self.facts = facts
        super().__init__(f"{self.code}: {detail}" if detail else self.code)


class NotFound(JukiError):
    """Unknown here, or not for this caller to know of: both answer the same."""

    status = 404
    code = "not_found"


class Conflict(JukiError):
    """Somebody else changed it first, or it was sent twice."""

    status = 409
    code = "conflict"


class Refused(JukiError):
    """Understood and not allowed."""

    status = 403
    code = "refused"


class Invalid(JukiError):
    """The input breaks a rule; `fields` names each field and the code of its rule."""

    status = 422
    code = "invalid"

    def __init__(
        self,
        code: str | None = None,
        detail: str = "",
        *,
        remedy: str = "",
        fields: dict[str, str] | None = None,
        **facts: str | int,
    ) -> None:
        super().__init__(code, detail, remedy=remedy, **facts)
        self.fields = fields or {}


class Unavailable(JukiError):
    """A thing we depend on (database, KMS, disk) does not answer; nothing was changed and a retry is safe."""

    status = 503
    code = "unavailable"


class Misconfigured(JukiError):
    """A setting is missing, unknown or wrong; the process does not start."""

    status = 500
    code = "misconfigured"


def defect(error: Exception) -> JukiError:
    """An error nobody foresaw, told by where it broke: what it says itself may quote a person's data."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/juki/" in frame.filename] or frames
    place = f"{ours[-1].filename.rpartition('/juki/')[2]}:{ours[-1].lineno}"
    return JukiError(
        "juki.fault", f"{type(error).__name__} in {place}", remedy="this is a defect: report the line above"
    )
