"""Sealing: round trips, and every way a sealed value may be moved or altered."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import assume, given
from hypothesis import strategies as st

from juki.dates import RegistryDate
from juki.personal import SealedGroup
from juki.vault import BudgetSpent, DoesNotOpen, Indexer, Purged, Spending, TenantRing, VersionRetired
from juki.vault.ring import MESSAGES_PER_KEY_MAX, ROTATION_DUE_AT
from juki.vault.roots import derive


class Basic(SealedGroup, frozen=True, kw_only=True):
    """Stands for the basic group of the register."""

    name: str
    birth: RegistryDate
    name_kana: str = ""
    sex: str = ""
    head_name: str = ""


BASIC = Basic(name="見本　花子", birth=RegistryDate(1980, 4, 1), name_kana="ミホン ハナコ", sex="2")


def roots(*versions: int) -> dict[int, bytearray]:
    """Roots that are the same in every run, so a failing example fails again."""
    return {v: bytearray(bytes((v % 256,)) * 32) for v in versions}


def ring_of(tenant: str = "072044", *versions: int, **options: Any) -> TenantRing:
    """A ring without a KMS."""
    held = versions or (1,)
    return TenantRing(tenant, roots(*held), max(held), {}, "", **options)


RING = ring_of()
PLACES = st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=8), st.text(max_size=12), st.integers(0, 2**63))
VALUES = st.builds(
    Basic,
    name=st.text(max_size=40),
    birth=st.builds(RegistryDate, st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31)),
    name_kana=st.text(max_size=40),
    sex=st.sampled_from("012"),
    head_name=st.text(max_size=20),
)


@given(PLACES, VALUES)
def test_a_group_opens_to_what_was_sealed(place: tuple[str, str, str, int], value: Basic) -> None:
    """R-1-2.6-RET-05: data at rest is readable with the tenant's key, as it was entered."""
    assert RING.open(*place, RING.seal(*place, value), Basic) == value


@given(PLACES, st.binary(max_size=300))
def test_bytes_open_to_what_was_sealed(place: tuple[str, str, str, int], value: bytes) -> None:
    assert RING.open(*place, RING.seal(*place, value), bytes) == value


@given(PLACES, PLACES)
def test_a_value_opens_nowhere_but_in_its_place(
    here: tuple[str, str, str, int], there: tuple[str, str, str, int]
) -> None:
    """R-1-2.6-RET-05: copied to another table, group, row or row version, a value does not open."""
    assume(here != there)
    sealed = RING.seal(*here, b"x")
    with pytest.raises(DoesNotOpen):
        RING.open(*there, sealed, bytes)


@given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
def test_no_two_places_read_the_same(one: str, two: str, three: str) -> None:
    """Names that only differ in where they are cut (ab|c, a|bc) are different places."""
    joined = one + two + three
    for cut in range(len(joined) + 1):
        table, group = joined[:cut], joined[cut:]
        if (table, group) != (one + two, three):
            with pytest.raises(DoesNotOpen):
                RING.open(table, group, "k", 1, RING.seal(one + two, three, "k", 1, b"x"), bytes)


def test_any_changed_or_missing_byte_does_not_open() -> None:
    """R-1-2.6-RET-05: header, nonce, content and tag are all bound."""
    sealed = RING.seal("resident_version", "basic", "1000000001", 1, BASIC)
    for at in range(len(sealed)):
        for bit in (1, 0x80):
            broken = sealed[:at] + bytes((sealed[at] ^ bit,)) + sealed[at + 1 :]
            with pytest.raises((DoesNotOpen, VersionRetired)):
                RING.open("resident_version", "basic", "1000000001", 1, broken, Basic)
        with pytest.raises(DoesNotOpen):
            RING.open("resident_version", "basic", "1000000001", 1, sealed[:at], Basic)
    with pytest.raises(DoesNotOpen):
        RING.open("resident_version", "basic", "1000000001", 1, sealed + b"\0", Basic)


def test_the_same_root_under_another_tenants_code_opens_nothing() -> None:
    """The tenant is part of what is bound, not only of the key."""
    sealed = ring_of("072044").seal("t", "g", "k", 1, b"x")
    with pytest.raises(DoesNotOpen):
        ring_of("075418").open("t", "g", "k", 1, sealed, bytes)


def test_another_service_has_other_keys() -> None:
    """R-1-2.6-RET-04: what the registry sealed the audit service cannot open, though the root is one."""
    sealed = ring_of().seal("t", "g", "k", 1, b"x")
    with pytest.raises(DoesNotOpen):
        ring_of(service="audit").open("t", "g", "k", 1, sealed, bytes)


def test_the_sealed_form_is_the_documented_one() -> None:
    """format(1) algorithm(1) version(2) nonce(12) ciphertext tag(16), opened here by hand."""
    sealed = ring_of("072044", 1, 2, 258).seal("resident_version", "basic", "1000000001", 7, b"content")
    assert sealed[:4] == bytes((1, 1)) + (258).to_bytes(2, "big")
    assert len(sealed) == 4 + 12 + len(b"content") + 16
    key = derive(bytes((2,)) * 32, "seal", "registry", "resident_version", "basic")
    bound = b"".join(
        len(part).to_bytes(2, "big") + part
        for part in (b"\x01", b"072044", b"resident_version", b"basic", (258).to_bytes(2, "big"))
    )
    row = (10).to_bytes(2, "big") + (7).to_bytes(8, "big") + b"1000000001"
    assert AESGCM(key).decrypt(sealed[4:16], sealed[16:], bound + row) == b"content"


def test_old_versions_open_and_the_newest_seals() -> None:
    old = ring_of("072044", 1)
    both = ring_of("072044", 1, 2)
    sealed = old.seal("t", "g", "k", 1, BASIC)
    assert both.open("t", "g", "k", 1, sealed, Basic) == BASIC
    resealed = both.reseal("t", "g", "k", 1, sealed)
    assert (both.version_of(sealed), both.version_of(resealed)) == (1, 2)
    assert both.reseal("t", "g", "k", 1, resealed) is resealed
    assert both.open("t", "g", "k", 1, resealed, Basic) == BASIC
    with pytest.raises(VersionRetired):
        old.open("t", "g", "k", 1, resealed, Basic)


def test_no_nonce_is_met_twice() -> None:
    """Across refills, threads and a fork of the process."""
    with ThreadPoolExecutor(4) as threads:
        drawn = [
            sealed[4:16]
            for some in threads.map(lambda _: [_seal_one() for _ in range(3000)], range(4))
            for sealed in some
        ]
    assert len(set(drawn)) == 12_000
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(_seal_one()[4:16] for _ in range(50)))
        os._exit(0)
    mine = {_seal_one()[4:16] for _ in range(50)}
    os.waitpid(child, 0)
    theirs = os.read(reader, 600)
    assert mine.isdisjoint(theirs[i : i + 12] for i in range(0, 600, 12))


def _seal_one() -> bytes:
    return RING.seal("t", "g", "k", 1, b"x")


def test_a_spent_key_stops_sealing_and_asks_for_rotation_before() -> None:
    """2^28 values a key: the signal comes early, the stop is hard, reading goes on, other groups too."""
    asked: list[tuple[str, int]] = []
    spending = Spending()
    spending.start_from("072044", 1, "t", "g", ROTATION_DUE_AT - 2)
    ring = ring_of(spending=spending, on_rotation_due=lambda tenant, version: asked.append((tenant, version)))
    ring.seal("t", "g", "k", 1, b"x")
    assert asked == []
    sealed = ring.seal("t", "g", "k", 1, b"x")
    assert asked == [("072044", 1)]
    spending.start_from("072044", 1, "t", "g", MESSAGES_PER_KEY_MAX - 1)
    ring = ring_of(spending=spending)
    ring.seal("t", "g", "k", 1, b"x")
    for _ in range(3):
        with pytest.raises(BudgetSpent) as spent:
            ring.seal("t", "g", "k", 1, b"x")
        assert spent.value.status == 503
    assert ring.open("t", "g", "k", 1, sealed, bytes) == b"x"
    ring.seal("t", "other", "k", 1, b"x")
    ring_of("072044", 1, 2, spending=spending).seal("t", "g", "k", 1, b"x")


def test_what_was_spent_is_not_forgotten_with_a_ring() -> None:
    spending = Spending()
    spending.start_from("072044", 1, "t", "g", MESSAGES_PER_KEY_MAX - 3)
    for _ in range(3):
        ring_of(spending=spending).seal("t", "g", "k", 1, b"x")
    with pytest.raises(BudgetSpent):
        ring_of(spending=spending).seal("t", "g", "k", 1, b"x")


def test_a_wiped_ring_holds_no_root() -> None:
    """Cryptographic erase: the buffers are overwritten, not only dropped."""
    ring = ring_of("072044", 1, 2)
    sealed = ring.seal("t", "g", "k", 1, b"x")
    held = list(vars(ring)["_roots"].values())
    ring.wipe()
    assert all(root == bytes(32) for root in held)
    for use in (lambda: ring.open("t", "g", "k", 1, sealed, bytes), lambda: ring.seal("t", "new", "k", 1, b"x")):
        with pytest.raises(Purged):
            use()


def test_no_fault_tells_what_was_sealed() -> None:
    """Names of tables and codes, nothing of the person."""
    sealed = RING.seal("t", "g", "1000000001", 1, BASIC)
    with pytest.raises(DoesNotOpen) as broken:
        RING.open("t", "g", "1000000002", 1, sealed, Basic)
    text = f"{broken.value!s} {broken.value!r} {broken.value.facts}"
    assert "1000000002" not in text
    assert "花子" not in text


ROWS = st.lists(st.tuples(st.text(max_size=12), st.integers(0, 2**63), st.none() | st.binary(max_size=60)), max_size=8)


@given(ROWS)
def test_a_column_sealed_at_once_opens_value_by_value_and_the_other_way_round(
    rows: list[tuple[str, int, bytes | None]],
) -> None:
    """R-1-2.6-RET-05: a whole column and single values are one format; an absent value stays absent."""
    places = [RING.place(key, version) for key, version, _ in rows]
    plain = [value for _, _, value in rows]
    sealed = RING.seal_column("t", "g", places, plain)
    assert [value is None for value in sealed] == [value is None for value in plain]
    for (key, version, value), one in zip(rows, sealed, strict=True):
        if one is not None:
            assert RING.open("t", "g", key, version, one, bytes) == value
    singly = [None if value is None else RING.seal("t", "g", key, version, value) for key, version, value in rows]
    assert RING.open_column("t", "g", places, singly) == plain
    assert RING.open_column("t", "g", places, sealed) == plain


@given(st.integers(2, 6), st.sampled_from(["key", "version", "table", "group", "byte"]))
def test_a_column_with_one_value_out_of_its_place_does_not_open(size: int, moved: str) -> None:
    """R-1-2.6-RET-05: a column opens as a whole or not at all."""
    places = [RING.place(str(n), 1) for n in range(size)]
    sealed = RING.seal_column("t", "g", places, [b"value"] * size)
    last = sealed[-1] or b""
    if moved == "byte":
        sealed[-1] = last[:-1] + bytes((last[-1] ^ 1,))
    else:
        places[-1] = RING.place("other" if moved == "key" else str(size - 1), 2 if moved == "version" else 1)
        if moved in {"table", "group"}:
            sealed[-1] = RING.seal(
                "u" if moved == "table" else "t", "g" if moved == "table" else "h", str(size - 1), 1, b""
            )
    with pytest.raises(DoesNotOpen):
        RING.open_column("t", "g", places, sealed)


def test_no_two_values_of_a_column_share_a_nonce() -> None:
    """SP 800-38D: a nonce is drawn for each value, also where a thousand are sealed at once."""
    sealed = RING.seal_column("t", "g", [RING.place("1", 1)] * 3000, [b"same"] * 3000)
    assert len({value[4:16] for value in sealed if value}) == 3000
    assert all(len(value) == 4 + 12 + 4 + 16 for value in sealed if value)


def test_a_column_of_both_root_versions_opens() -> None:
    """While roots are rotated a page of rows holds values of both."""
    old, both = ring_of("072044", 1), ring_of("072044", 1, 2)
    places = [both.place(str(n), 1) for n in range(4)]
    one = old.seal_column("t", "g", places, [b"a", b"b", b"c", None])
    two = both.seal_column("t", "g", places, [b"d"] * 4)
    mixed = [one[0], two[1], one[2], None]
    assert both.open_column("t", "g", places, mixed) == [b"a", b"d", b"c", None]


def test_sealing_by_column_spends_the_same_budget_as_sealing_one_by_one() -> None:
    """SP 800-38D: every value counts, absent ones do not, and a column that would pass the end is not sealed at all."""
    spending = Spending()
    spending.start_from("072044", 1, "t", "g", MESSAGES_PER_KEY_MAX - 6)
    ring = ring_of(spending=spending)
    places = [ring.place(str(n), 1) for n in range(4)]
    assert len(ring.seal_column("t", "g", places, [b"a", None, b"b", None])) == 4  # 2 of 6
    ring.seal("t", "g", "1", 1, b"c")  # 3
    with pytest.raises(BudgetSpent):
        ring.seal_column("t", "g", places, [b"x"] * 4)  # 7
    ring.seal_column("t", "other", places, [b"x"] * 4)  # a key of its own
    asked: list[int] = []
    spending.start_from("072044", 1, "t", "due", ROTATION_DUE_AT - 2)
    told = ring_of(spending=spending, on_rotation_due=lambda _, version: asked.append(version))
    told.seal_column("t", "due", places, [b"x"] * 4)
    assert asked == [1]


def test_a_wiped_ring_seals_and_opens_no_column() -> None:
    """A purge reaches whoever works on whole columns, too."""
    ring = ring_of()
    places = [ring.place("1", 1)]
    sealed = ring.seal_column("t", "g", places, [b"x"])
    ring.wipe()
    with pytest.raises(Purged):
        ring.seal_column("t", "g", places, [b"x"])
    with pytest.raises(Purged):
        ring.open_column("t", "g", places, sealed)


def searching_ring() -> TenantRing:
    """A ring with an index and a root to sign with."""
    indexers = {"a": Indexer("a", bytes(range(32)))}
    return TenantRing("072044", roots(1), 1, indexers, "a", sign_root=bytearray(b"\x07" * 32))


def test_what_was_taken_before_a_wipe_writes_nothing_after_it() -> None:
    """T12: a write that holds the indexes while the keys go must fail, not leave a resident whom no search finds."""
    ring = searching_ring()
    indexes = ring.write_indexes()
    ring.wipe()
    with pytest.raises(Purged):
        assert [indexer.unique("my_number", "1") for indexer in indexes.values()] == ["never reached"]


def test_no_key_is_derived_from_a_root_that_was_wiped_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: a wiped root is 32 zeros, and everybody can derive from those: no index and no signature comes of it."""
    for module, use in (
        ("indexer", lambda ring: ring.index.unique("my_number", "1")),
        ("signing", lambda ring: ring.checkpoint_signer()),
        ("signing", lambda ring: ring.document_signer("いわき市")),
    ):
        ring = searching_ring()

        def overtaken(root: bytearray, *labels: str, length: int = 32, ring: TenantRing = ring) -> bytes:
            ring.wipe()
            return derive(root, *labels, length=length)

        with monkeypatch.context() as patch:
            patch.setattr(f"juki.vault.{module}.derive", overtaken)
            with pytest.raises(Purged):
                use(ring)
