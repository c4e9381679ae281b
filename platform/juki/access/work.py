"""What every use case of access works with."""

from __future__ import annotations

import datetime as dt

import msgspec

from juki.access.model import JAPAN, Caller, Policy
from juki.config import Config
from juki.tenancy.session import TenantSession
from juki.vault import TenantRing


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction with its keys, its moment, its limits and the one who acts."""

    session: TenantSession
    ring: TenantRing
    now: dt.datetime
    by: Caller
    policy: Policy = Policy()

    @property
    def today(self) -> dt.date:
        """The day in Japan."""
        return self.now.astimezone(JAPAN).date()


def policy_of(config: Config) -> Policy:
    """Limits of this installation."""
    return Policy(argon2_passes=config.argon2_passes, argon2_memory_kib=config.argon2_memory_kib)
