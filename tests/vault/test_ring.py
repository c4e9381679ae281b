"""Sealing: round trips, and every way a sealed value may be moved or altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from juki.dates import RegistryDate
from juki.personal import SealedGroup
from juki.vault import DoesNotOpen, KeyRing, LocalKms, Purged, TenantKeys, TenantRing, new_root


class Basic(SealedGroup, frozen=True, kw_only=True):
    """Stands for the basic group of the register."""

    name: str
    birth: RegistryDate
    name_kana: str = ""
    sex: str = ""
    head_name: str = ""


BASIC = Basic(name="見本　花子", birth=RegistryDate(1980, 4, 1), name_kana="ミホン ハナコ", sex="2")


def keys_of(kms: LocalKms, tenant: str, *, versions: int = 1) -> TenantKeys:
    """A tenant's key and roots, as provisioning makes them."""
    key = kms.create_key(f"juki-{tenant}")
    roots = [new_root(kms, key, tenant, "seal", v) for v in range(1, versions + 1)]
    return TenantKeys(
        tenant=tenant, roots=(*roots, new_root(kms, key, tenant, "index", 1)), seal_version=versions, index_active="a"
    )


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> TenantRing:
    kms = LocalKms(tmp_path_factory.mktemp("kms"))
    keys = keys_of(kms, "072044")
    return KeyRing(kms, lambda _: keys).get_sync("072044")


def test_a_group_opens_to_what_was_sealed(ring: TenantRing) -> None:
    """R-A-2.6-RET-05: data at rest is only readable with the tenant's key."""
    sealed = ring.seal("resident_version", "basic", "1000000001", 1, BASIC)
    assert ring.open("resident_version", "basic", "1000000001", 1, sealed, Basic) == BASIC
    assert "花子".encode() not in sealed


def test_a_flipped_bit_in_any_byte_does_not_open(ring: TenantRing) -> None:
    """R-A-2.6-RET-05: every byte of the sealed value is authenticated."""
    sealed = ring.seal("resident_version", "basic", "1000000001", 1, BASIC)
    for at in range(len(sealed)):
        broken = sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]
        with pytest.raises(Exception, match=r"vault\.(does_not_open|version_retired)"):
            ring.open("resident_version", "basic", "1000000001", 1, broken, Basic)


def test_a_wiped_ring_opens_nothing(tmp_path: Path) -> None:
    kms = LocalKms(tmp_path)
    keys = keys_of(kms, "072044")
    keyring = KeyRing(kms, lambda _: keys)
    held = keyring.get_sync("072044")
    sealed = held.seal("t", "g", "k", 1, b"x")
    keyring.purge("072044")
    with pytest.raises(Purged):
        held.open("t", "g", "k", 1, sealed, bytes)
    with pytest.raises(DoesNotOpen):
        keyring.get_sync("072044").open("t", "g", "other", 1, sealed, bytes)


def test_searches_find_what_rows_store(ring: TenantRing) -> None:
    index = ring.index
    for household in map(str, range(300)):
        assert index.name_tag("family", "佐藤", household) in index.name_tags("family", "佐藤")
        assert index.name_tag("full", "佐藤　花子", household) in index.name_tags("full", "佐藤花子")
        kana = set(index.kana_tokens("サトウ", "ハナコ", household))
        for query in (index.kana_query("サ"), index.kana_query("サト", "ハ"), index.kana_query("サトウ", "ハナコ")):
            assert all(kana & set(anyof) for anyof in query)
        birth = set(index.birth_tokens("1980-04-01", household))
        assert all(birth & set(anyof) for anyof in index.birth_query(1980, 4, 1) + index.birth_query(1980, 4))
        where = set(index.address_tokens("福島県いわき市平字梅本21番地", household))
        assert all(where & set(anyof) for anyof in index.address_query("平字梅本21"))
