"""What can go wrong in the vault. Each fault is also one of the public kinds, so a page or a job needs no vault import."""

from __future__ import annotations

from juki.problem import Conflict, JukiError, Refused, Unavailable


class VaultError(JukiError):
    """Anything the vault refuses or cannot do; never carries plaintext, key material or a sealed value."""

    code = "vault.fault"


class DoesNotOpen(VaultError):
    """The seal is broken: altered, moved to another row, group, version or tenant, or sealed under another root."""

    code = "vault.does_not_open"


class VersionRetired(VaultError):
    """The value names a key version that this ring does not hold (destroyed, or not yet loaded)."""

    code = "vault.version_retired"


class WrongRoot(VaultError):
    """An unwrapped root does not answer to its stored commitment: the store or the KMS handed over another key."""

    code = "vault.wrong_root"


class BudgetSpent(VaultError, Unavailable):
    """2^28 values were sealed under one key; writing stops until the root is rotated (`juki rotate root`)."""

    code = "vault.budget_spent"


class Purged(VaultError, Unavailable):
    """The ring was wiped (erase, revoke or rotation) while somebody still held it; ask the key ring again."""

    code = "vault.purged"


class KmsSlow(VaultError, Unavailable):
    """The KMS did not answer in time."""

    code = "vault.kms_slow"


class KmsGone(VaultError, Unavailable):
    """The KMS cannot be reached, or answers with a fault of its own."""

    code = "vault.kms_gone"


class KeyElsewhere(KmsGone):
    """The key store does not hold this key and never did: it is lost, not mounted, or another one."""

    code = "vault.key_elsewhere"


class KmsRefused(VaultError, Refused):
    """The KMS answered no: no grant, wrong context, or a blob that is not this key's."""

    code = "vault.kms_refused"


class KeyDisabled(VaultError, Refused):
    """The municipality's key is disabled; nothing opens until it is enabled again."""

    code = "vault.key_disabled"


class KeyPendingDeletion(VaultError, Refused):
    """The municipality's key waits for its deletion (7 to 30 days, can be cancelled)."""

    code = "vault.key_pending_deletion"


class KeyDeleted(VaultError, Refused):
    """The key material is destroyed, or never was: what was sealed under it opens nowhere."""

    code = "vault.key_deleted"


class AliasTaken(VaultError, Conflict):
    """A key with this alias exists already."""

    code = "vault.alias_taken"
