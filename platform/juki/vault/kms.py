"""KMS: the one thing that can turn a stored, wrapped root back into a key.

Two implementations answer the same contract (tests/vault/test_kms.py): AWS KMS by boto3, and a local key store.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from juki.problem import Invalid, Misconfigured

Clock = Callable[[], dt.datetime]

DELETION_DAYS_MIN: Final = 7
DELETION_DAYS_MAX: Final = 30
ANSWER_SECONDS: Final = 2.0


class KeyState(StrEnum):
    """State of a KMS key; only an ENABLED key wraps and unwraps."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    PENDING_DELETION = "PENDING_DELETION"
    DELETED = "DELETED"


class Kms(Protocol):
    """A key store for tenant keys. Every method is synchronous, thread-safe and raises only vault faults.

    `context` is bound to the blob as associated data: unwrapping needs the very same mapping.
    """

    def create_key(self, alias: str) -> str:
        """Make a key and return its id. Raises AliasTaken."""
        ...

    def find_key(self, alias: str) -> str | None:
        """The id of the key with this alias, so that an interrupted provisioning finds what it made."""
        ...

    def encrypt(self, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap at most 4096 bytes."""
        ...

    def decrypt(self, key_id: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Unwrap. Raises KmsRefused where blob, key and context do not belong together."""
        ...

    def state(self, key_id: str) -> KeyState:
        """State now. A key nobody knows any more is DELETED; a store that keeps its destroyed keys says KeyElsewhere."""
        ...

    def disable(self, key_id: str) -> None:
        """Stop all use at once; reversible."""
        ...

    def enable(self, key_id: str) -> None:
        """Allow use again."""
        ...

    def schedule_deletion(self, key_id: str, days: int) -> dt.datetime:
        """Schedule destruction in 7 to 30 days; returns the instant. Use stops at once."""
        ...

    def cancel_deletion(self, key_id: str) -> None:
        """Take the schedule back; the key is DISABLED afterwards, as in AWS KMS."""
        ...


def check_window(days: int) -> None:
    """Refuse a deletion window outside 7 to 30 days. Raises Invalid `vault.deletion_window`."""
    if not DELETION_DAYS_MIN <= days <= DELETION_DAYS_MAX:
        raise Invalid("vault.deletion_window", "a key is deleted 7 to 30 days after the request", days=days)


def utc_now() -> dt.datetime:
    """The wall clock, in UTC."""
    return dt.datetime.now(dt.UTC)


def open_kms(
    spec: str, *, endpoint: str | None = None, timeout_s: float = ANSWER_SECONDS, clock: Clock = utc_now
) -> Kms:
    """`local:PATH` or `aws:REGION` as a client; `timeout_s` for each answer. Raises Misconfigured `vault.kms_spec`."""
    scheme, _, rest = spec.partition(":")
    if scheme == "local" and rest:
        from juki.vault.local_kms import LocalKms

        return LocalKms(Path(rest), clock)
    if scheme == "aws" and rest:
        from juki.vault.aws_kms import AwsKms  # boto3 costs 0.3 s to import; a local process never pays it

        return AwsKms(rest, endpoint, timeout_s=timeout_s)
    raise Misconfigured(
        "vault.kms_spec", f"JUKI_KMS is {spec}", remedy="write local:PATH or aws:REGION, for example local:.juki/kms"
    )
