"""Vault: sealing, blind indexes, keys. The only importer of cryptography and of the KMS client."""

from juki.vault.faults import (
    BudgetSpent,
    DoesNotOpen,
    KeyDeleted,
    KeyDisabled,
    KeyElsewhere,
    KeyPendingDeletion,
    KmsGone,
    KmsRefused,
    KmsSlow,
    Purged,
    VaultError,
    VersionRetired,
    WrongRoot,
)
from juki.vault.indexer import Indexer
from juki.vault.keyring import KeyRing
from juki.vault.kms import KeyState, Kms, open_kms
from juki.vault.local_kms import LocalKms
from juki.vault.ring import Spending, TenantRing
from juki.vault.roots import TenantKeys, WrappedRoot, new_root, rewrap, slot_of, unwrap

__all__ = [
    "BudgetSpent",
    "DoesNotOpen",
    "Indexer",
    "KeyDeleted",
    "KeyDisabled",
    "KeyElsewhere",
    "KeyPendingDeletion",
    "KeyRing",
    "KeyState",
    "Kms",
    "KmsGone",
    "KmsRefused",
    "KmsSlow",
    "LocalKms",
    "Purged",
    "Spending",
    "TenantKeys",
    "TenantRing",
    "VaultError",
    "VersionRetired",
    "WrappedRoot",
    "WrongRoot",
    "new_root",
    "open_kms",
    "rewrap",
    "slot_of",
    "unwrap",
]
