"""AWS KMS by boto3: short time-outs, few retries, every answer turned into a fault of the vault.

The caller of these methods is the key ring's loader thread, provisioning or off-boarding; never a request.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)

from juki.problem import JukiError, Misconfigured
from juki.vault.faults import (
    AliasTaken,
    KeyDeleted,
    KeyDisabled,
    KeyPendingDeletion,
    KmsGone,
    KmsRefused,
    KmsSlow,
)
from juki.vault.kms import ANSWER_SECONDS, KeyState, check_window

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient

CONNECT_TIMEOUT_S: Final = 1.0
ATTEMPTS_MAX: Final = 3

_STATES: Final = {
    "Enabled": KeyState.ENABLED,
    "Disabled": KeyState.DISABLED,
    "PendingDeletion": KeyState.PENDING_DELETION,
}
_FAULTS: Final[dict[str, type[JukiError]]] = {
    "DisabledException": KeyDisabled,
    "NotFoundException": KeyDeleted,
    "AlreadyExistsException": AliasTaken,
    "ThrottlingException": KmsSlow,
    "DependencyTimeoutException": KmsSlow,
    "LimitExceededException": KmsSlow,
    "RequestTimeout": KmsSlow,
    "KMSInternalException": KmsGone,
    "KeyUnavailableException": KmsGone,
    "InternalFailure": KmsGone,
    "ServiceUnavailable": KmsGone,
    # our own credentials or clock, not the municipality's word
    "ExpiredTokenException": KmsGone,
    "RequestExpired": KmsGone,
    "UnrecognizedClientException": KmsGone,
    "InvalidClientTokenId": KmsGone,
    "InvalidSignatureException": KmsGone,  # what AWS says to a clock that is minutes off
    "IncompleteSignature": KmsGone,
    "IncompleteSignatureException": KmsGone,
    "MissingAuthenticationToken": KmsGone,
    "MissingAuthenticationTokenException": KmsGone,
}
_AGAIN: Final = "check the way to the KMS and JUKI_KMS_ENDPOINT, then try again; nothing was changed"
_POLICY: Final = "check the key's policy and the role of this process in AWS"
_REMEDIES: Final = {
    "NotFoundException": "check region and account of JUKI_KMS: the key is not there, or is destroyed",
    "DisabledException": "enable the key in AWS KMS, if its owner agrees",
    "AlreadyExistsException": "choose another alias",
} | dict.fromkeys((name for name, kind in _FAULTS.items() if kind in (KmsSlow, KmsGone)), _AGAIN)


class AwsKms:
    """A `Kms` in AWS. Credentials come from the environment of the process (a role), never from settings."""

    def __init__(
        self,
        region: str,
        endpoint: str | None = None,
        *,
        timeout_s: float = ANSWER_SECONDS,
        client: KMSClient | None = None,
    ) -> None:
        self._client = client or _connect(region, endpoint, timeout_s)

    def create_key(self, alias: str) -> str:
        """Make a key and name it. Raises AliasTaken, leaving no second key behind."""
        if self.find_key(alias) is not None:
            raise AliasTaken(detail=alias)
        try:
            key_id = self._client.create_key(Description=alias)["KeyMetadata"]["KeyId"]
            try:
                self._client.create_alias(AliasName=_alias(alias), TargetKeyId=key_id)
            except ClientError:
                if self.find_key(alias) != key_id:  # a first answer lost on the way: the second says that it exists
                    self._client.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
                    raise
        except (ClientError, BotoCoreError) as error:
            self._fail(error)
        return key_id

    def find_key(self, alias: str) -> str | None:
        """The id of the key with this alias."""
        try:
            return self._client.describe_key(KeyId=_alias(alias))["KeyMetadata"]["KeyId"]
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "NotFoundException":
                return None
            self._fail(error)

    def encrypt(self, key_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap at most 4096 bytes under an enabled key."""
        try:
            return self._client.encrypt(KeyId=key_id, Plaintext=plaintext, EncryptionContext=context)["CiphertextBlob"]
        except (ClientError, BotoCoreError) as error:
            self._fail(error, key_id)

    def decrypt(self, key_id: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Unwrap under an enabled key."""
        try:
            return self._client.decrypt(KeyId=key_id, CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]
        except (ClientError, BotoCoreError) as error:
            self._fail(error, key_id)

    def state(self, key_id: str) -> KeyState:
        """State now; unknown is DELETED."""
        try:
            metadata = self._client.describe_key(KeyId=key_id)["KeyMetadata"]
        except (ClientError, BotoCoreError) as error:
            if _code(error) == "NotFoundException":
                return KeyState.DELETED
            self._fail(error)
        return _STATES.get(metadata.get("KeyState", ""), KeyState.DISABLED)

    def disable(self, key_id: str) -> None:
        """Stop all use."""
        try:
            self._client.disable_key(KeyId=key_id)
        except (ClientError, BotoCoreError) as error:
            self._fail(error, key_id)

    def enable(self, key_id: str) -> None:
        """Allow use again."""
        try:
            self._client.enable_key(KeyId=key_id)
        except (ClientError, BotoCoreError) as error:
            self._fail(error, key_id)

    def schedule_deletion(self, key_id: str, days: int) -> dt.datetime:
        """Schedule destruction; returns the instant AWS names."""
        check_window(days)
        try:
            return self._client.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=days)["DeletionDate"]
        except (ClientError, BotoCoreError) as error:
            self._fail(error, key_id)

    def cancel_deletion(self, key_id: str) -> None:
        """Take the schedule back; the key is DISABLED afterwards."""
        try:
            self._client.cancel_key_deletion(KeyId=key_id)
        except (ClientError, BotoCoreError) as error:
            self._fail(error, key_id)

    def _fail(self, error: ClientError | BotoCoreError, key_id: str = "") -> NoReturn:
        code = _code(error)
        if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
            raise KmsSlow(detail=f"AWS KMS: {type(error).__name__}", remedy=_AGAIN) from error
        if isinstance(error, NoCredentialsError | PartialCredentialsError | TokenRetrievalError):
            raise Misconfigured(
                "vault.kms_credentials",
                f"this process has no credentials for AWS KMS ({type(error).__name__})",
                remedy="give the process its role (instance, task or pod), or AWS_PROFILE on a desk",
            ) from None
        if code is None:
            raise KmsGone(detail=f"AWS KMS: {type(error).__name__}", remedy=_AGAIN) from error
        if code == "KMSInvalidStateException":  # AWS names no state here: ask, so that staff learn which it is
            state = self.state(key_id)
            if state is KeyState.PENDING_DELETION:
                raise KeyPendingDeletion(detail=key_id) from error
            raise (KeyDisabled if state is KeyState.DISABLED else KmsRefused)(detail=key_id) from error
        raise _FAULTS.get(code, KmsGone if _status(error) >= 500 else KmsRefused)(detail=code) from error


def _connect(region: str, endpoint: str | None, timeout_s: float) -> KMSClient:
    try:
        return _client(region, endpoint, timeout_s)
    except (ValueError, BotoCoreError) as error:  # an address or a region of a shape that none has
        raise Misconfigured(
            "config.wrong",
            f"JUKI_KMS=aws:{region} or JUKI_KMS_ENDPOINT is not usable ({type(error).__name__})",
            remedy="write JUKI_KMS=aws:ap-northeast-1, and JUKI_KMS_ENDPOINT as https://host[:port] or not at all",
        ) from None


def _client(region: str, endpoint: str | None, timeout_s: float) -> KMSClient:
    sdk: Any = boto3  # only the KMS stubs are installed; the overloads of the other services are unknown to a checker
    return sdk.client(
        "kms",
        region_name=region,
        endpoint_url=endpoint,
        config=BotoConfig(
            connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
            read_timeout=timeout_s,
            retries={"max_attempts": ATTEMPTS_MAX, "mode": "standard"},
        ),
    )


def _alias(alias: str) -> str:
    return alias if alias.startswith("alias/") else f"alias/{alias}"


def _code(error: ClientError | BotoCoreError) -> str | None:
    return error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None


def _status(error: ClientError | BotoCoreError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) if isinstance(error, ClientError) else 0
