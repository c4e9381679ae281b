"""パスワード・ワンタイムコード・合言葉: made, digested and checked here."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pyotp import random_base32
from pyotp.totp import TOTP

from juki.access.model import Policy
from juki.problem import Invalid

_T = TypeVar("_T")

OTP_STEP_SECONDS: Final = 30
OTP_DRIFT_STEPS: Final = 1
_HASHES_AT_ONCE: Final = 2
_TOKEN_BYTES: Final = 32
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_CODE_ALPHABET: Final = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_workers: Final = ThreadPoolExecutor(_HASHES_AT_ONCE, thread_name_prefix="argon2")


def new_token(code: str) -> str:
    """A bearer token of one municipality: `CODE.` and 256 random bits."""
    return f"{code}.{secrets.token_urlsafe(_TOKEN_BYTES)}"


def digest(token: str) -> bytes:
    """What is stored of a random token: nobody who reads the table can present it."""
    return hashlib.sha256(token.encode()).digest()


def same(token: str, stored: bytes | None) -> bool:
    """True where the token is the one whose digest is stored."""
    return stored is not None and hmac.compare_digest(digest(token), stored)


def new_enrol_code() -> str:
    """登録コード: 12 letters that can be read aloud and typed."""
    letters = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(12))
    return f"{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def new_password() -> str:
    """A first password of 95 bits without letters that look alike."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def new_otp_secret() -> str:
    """A secret for one-time codes, base32."""
    return random_base32()


def is_otp_secret(text: str) -> bool:
    """True for a base32 secret as `new_otp_secret` draws it."""
    return len(text) == 32 and set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def new_machine_secret() -> str:
    """A secret of 256 bits for signing assertions with HS256."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def check_new_password(password: str, login_name: str, staff_no: str, policy: Policy) -> None:
    """Invalid `access.password_weak` where a password is short, uniform, or made of the account's own names."""
    broken = ""
    if len(password) < policy.password_length_min:
        broken = "too_short"
    elif len(password) > 128:
        broken = "too_long"
    elif len(set(password)) < 5:
        broken = "too_uniform"
    elif login_name in password.lower() or (len(staff_no) >= 4 and staff_no in password):
        broken = "contains_own_name"
    if broken:
        raise Invalid("access.password_weak", "the new password does not satisfy the rule", fields={"password": broken})


async def hash_password(password: str, policy: Policy) -> str:
    """Argon2id digest with the policy's cost; off the event loop, which it would hold up for a tenth of a second."""
    return await _aside(_hasher(policy.argon2_passes, policy.argon2_memory_kib).hash, password)


async def verify_password(password: str, password_digest: str, policy: Policy) -> bool:
    """True where the password is right; takes as long where it is not. Off the event loop."""
    hasher = _hasher(policy.argon2_passes, policy.argon2_memory_kib)
    try:
        return await _aside(hasher.verify, password_digest, password)
    except (VerificationError, InvalidHashError):
        return False


async def waste_time(password: str, policy: Policy) -> None:
    """What a check costs, for a name that does not exist: the answer must not come sooner."""
    await verify_password(password, _decoy(policy.argon2_passes, policy.argon2_memory_kib), policy)


def matching_step(secret: str, code: str, now: dt.datetime, last_step: int) -> int | None:
    """Step of a valid one-time code later than `last_step`; None for a wrong, old or used one (RFC 6238 5.2)."""
    if len(code) != 6 or not code.isascii() or not code.isdigit():
        return None
    totp = TOTP(secret, interval=OTP_STEP_SECONDS)
    current = int(now.timestamp()) // OTP_STEP_SECONDS
    found = None
    for step in range(current - OTP_DRIFT_STEPS, current + OTP_DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.at(step * OTP_STEP_SECONDS), code) and step > last_step:
            found = step
    return found


async def _aside(work: Callable[..., _T], *given: str) -> _T:
    """Done by a worker, so that nobody else's request waits; few at a time, for each takes the memory the policy says."""
    return await asyncio.get_running_loop().run_in_executor(_workers, work, *given)


@lru_cache(maxsize=8)
def _hasher(passes: int, memory_kib: int) -> PasswordHasher:
    return PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)


@lru_cache(maxsize=8)
def _decoy(passes: int, memory_kib: int) -> str:
    return _hasher(passes, memory_kib).hash(secrets.token_urlsafe(_TOKEN_BYTES))
