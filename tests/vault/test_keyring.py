"""The key ring: how often it asks the KMS, what an outage does, and how fast a tenant's keys are gone."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from juki.problem import Misconfigured, NotFound, Unavailable
from juki.vault import (
    DoesNotOpen,
    KeyDisabled,
    KeyRing,
    Kms,
    KmsGone,
    KmsSlow,
    LocalKms,
    Purged,
    TenantKeys,
    TenantRing,
    VersionRetired,
    WrappedRoot,
    new_root,
    unwrap,
)

TTL_S = 300.0
A, B = "072044", "075418"


class WatchedKms(LocalKms):
    """The local key store, counting what it is asked, slow or gone when told so."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.calls = 0
        self.gone = False
        self.gate: threading.Event | None = None

    def decrypt(self, key_id: str, blob: bytes, context: Mapping[str, str]) -> bytes:
        self.calls += 1
        if self.gate is not None:
            assert self.gate.wait(60)
        if self.gone:
            raise KmsGone(detail="cut off by the test")
        return super().decrypt(key_id, blob, context)


class World:
    """Two tenants, a KMS that can be broken and a clock that can be moved."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.kms = WatchedKms(path)
        self.keys: dict[str, TenantKeys] = {}
        self.loads = 0
        for tenant in (A, B):
            key = self.kms.create_key(tenant)
            roots = tuple(new_root(self.kms, key, tenant, purpose, 1) for purpose in ("seal", "index", "sign"))
            self.keys[tenant] = TenantKeys(tenant=tenant, roots=roots, seal_version=1)
        self.ring = KeyRing(self.kms, self.load, ttl_s=TTL_S, clock=lambda: self.now)

    def load(self, tenant: str) -> TenantKeys:
        self.loads += 1
        if tenant not in self.keys:
            raise NotFound("tenant.unknown")
        return self.keys[tenant]

    def key_id(self, tenant: str) -> str:
        return self.keys[tenant].roots[0].key_id

    def add_root(self, tenant: str, purpose: str, version: int) -> WrappedRoot:
        return new_root(self.kms, self.key_id(tenant), tenant, purpose, version)

    def settled(self, tenant: str, before: TenantRing) -> TenantRing:
        """The ring once the renewal in the background is through."""
        return until(lambda: (held := self.ring.get_sync(tenant)) is not before and held)


def wait_for(holds: Callable[[], bool]) -> None:
    """What must come; how long it takes is the machine's affair."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def until(ask: Callable[[], TenantRing | bool]) -> TenantRing:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (found := ask()) and not isinstance(found, bool):
            return found
        time.sleep(0.005)
    raise AssertionError("the renewal never came")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ring.close()


def sealed_by(ring: TenantRing, text: bytes = b"x") -> bytes:
    return ring.seal("t", "g", "k", 1, text)


def opens(ring: TenantRing, sealed: bytes) -> bytes:
    return ring.open("t", "g", "k", 1, sealed, bytes)


def test_no_request_asks_the_kms_and_a_renewal_asks_twice(world: World) -> None:
    """R-1-2.6-RET-05: keys stay with the KMS; T11: 0 calls a request, at most 2 a tenant a time-to-live."""
    ring = world.ring.get_sync(A)
    assert world.kms.calls == 3  # seal, index, sign: once in the life of the process
    for period in range(1, 6):
        world.kms.calls = 0
        world.now += TTL_S
        ring = world.settled(A, ring)
        for _ in range(1000):
            opens(world.ring.get_sync(A), sealed_by(ring))
        assert world.kms.calls == 2, period


def test_a_renewal_asks_twice_however_many_versions_are_alive(world: World) -> None:
    extra = tuple(world.add_root(A, purpose, v) for purpose, v in (("seal", 2), ("seal", 3), ("index", 2)))
    world.keys[A] = TenantKeys(
        tenant=A, roots=world.keys[A].roots + extra, seal_version=3, index_active="a", index_pending="b"
    )
    ring = world.ring.get_sync(A)
    assert ring.seal_versions == (1, 2, 3)
    assert set(ring.write_indexes()) == {"a", "b"}
    world.kms.calls = 0
    world.now += TTL_S
    renewed = world.settled(A, ring)
    assert world.kms.calls == 2
    assert renewed.seal_versions == (1, 2, 3)
    assert opens(renewed, sealed_by(ring)) == b"x"


def test_many_threads_and_tasks_load_a_tenant_once(world: World) -> None:
    world.kms.gate = threading.Event()

    async def ask() -> list[TenantRing]:
        waiting = [asyncio.create_task(world.ring.get(A)) for _ in range(50)]
        threads = [asyncio.create_task(asyncio.to_thread(world.ring.get_sync, A)) for _ in range(10)]
        await asyncio.sleep(0.1)
        assert world.kms.gate is not None
        world.kms.gate.set()
        return await asyncio.gather(*waiting, *threads)

    rings = asyncio.run(ask())
    assert len(set(map(id, rings))) == 1
    assert world.loads == 1


def test_an_abandoned_request_does_not_spoil_the_load_for_others(world: World) -> None:
    world.kms.gate = threading.Event()

    async def ask() -> TenantRing:
        impatient = asyncio.create_task(world.ring.get(A))
        patient = asyncio.create_task(world.ring.get(A))
        await asyncio.sleep(0.05)
        impatient.cancel()
        assert world.kms.gate is not None
        world.kms.gate.set()
        return await patient

    assert asyncio.run(ask()).tenant == A


def test_a_load_that_fails_before_anybody_waits_for_it_holds_nobody_up(world: World) -> None:
    """The worker may be quicker than the thread that asked it; both settle the load, and neither waits for the other."""
    world.kms.gone = True
    workers = world.ring._workers  # pyright: ignore[reportPrivateUsage]
    submit = workers.submit

    def finished(*args: object) -> object:
        load = submit(*args)  # pyright: ignore[reportArgumentType, reportCallIssue]
        load.exception(60)
        return load

    workers.submit = finished  # pyright: ignore[reportAttributeAccessIssue]
    told: list[BaseException] = []

    def ask() -> None:
        try:
            world.ring.get_sync(A)
        except KmsGone as gone:
            told.append(gone)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(60)
    assert told


def test_an_outage_of_one_time_to_live_goes_unnoticed(world: World) -> None:
    """The KMS vanishes just before a renewal is due and comes back just before the old keys end."""
    ring = world.ring.get_sync(A)
    sealed = sealed_by(ring)
    world.kms.gone = True
    for step in range(20):
        world.now = TTL_S + step * (TTL_S - 1) / 20
        assert opens(world.ring.get_sync(A), sealed) == b"x"
        assert opens(asyncio.run(world.ring.get(A)), sealed) == b"x"
    wait_for(lambda: not world.ring._loading)  # the next try must be one of its own: this clock stands still
    world.kms.gone = False
    world.now = 2 * TTL_S - 0.5
    renewed = world.settled(A, ring)
    world.now += TTL_S - 1
    assert opens(renewed, sealed) == b"x"


def test_a_process_without_credentials_for_the_kms_is_an_outage_and_no_refusal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T11: where the machine's own role cannot be had for a while, the counters stay open as in any other outage."""
    ring = world.ring.get_sync(A)
    asked = threading.Event()

    def nobody(*_: object) -> bytes:
        asked.set()
        raise Misconfigured("vault.kms_credentials", "no credentials")

    monkeypatch.setattr(world.kms, "decrypt", nobody)
    world.now = 1.5 * TTL_S
    assert world.ring.get_sync(A) is ring
    wait_for(lambda: asked.is_set() and not world.ring._loading)
    assert world.ring.get_sync(A) is ring
    assert opens(ring, sealed_by(ring)) == b"x"


def test_a_longer_outage_answers_unavailable_and_loses_nothing(world: World) -> None:
    """Beyond it the tenant answers 503 with the reason; what was sealed opens when the KMS is back."""
    sealed = sealed_by(world.ring.get_sync(A))
    world.kms.gone = True
    world.now = 2 * TTL_S
    for _ in range(3):
        with pytest.raises(KmsGone) as gone:
            world.ring.get_sync(A)
        assert (gone.value.status, gone.value.code) == (503, "vault.kms_gone")
    assert world.ring.held() == ()  # the old keys are not kept past their time
    world.kms.gone = False
    assert opens(world.ring.get_sync(A), sealed) == b"x"


async def test_nobody_waits_long_for_a_kms_that_ran_out_of_time_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T11: one municipality's silent KMS costs the first request its time; the next ones do not pile up behind it."""

    def slow(*_: object) -> bytes:
        raise KmsSlow(detail="out of time")

    with monkeypatch.context() as first:
        first.setattr(world.kms, "decrypt", slow)
        with pytest.raises(KmsSlow):
            await world.ring.get(A)
    world.kms.gate = threading.Event()
    try:
        async with asyncio.timeout(30):
            said = await asyncio.gather(*(world.ring.get(A) for _ in range(100)), return_exceptions=True)
    finally:
        world.kms.gate.set()
    assert {type(one) for one in said} == {KmsSlow}
    wait_for(lambda: world.ring.held() == (A,))
    assert (world.loads, opens(await world.ring.get(A), sealed_by(world.ring.get_sync(A)))) == (2, b"x")


def test_a_silent_kms_is_not_asked_at_every_request(world: World) -> None:
    world.ring.get_sync(A)
    world.kms.gone, world.kms.calls = True, 0
    world.now = TTL_S + 1
    for _ in range(500):
        world.ring.get_sync(A)
    time.sleep(0.05)
    assert world.kms.calls <= 1


def test_a_disabled_key_stops_the_tenant_within_one_time_to_live(world: World) -> None:
    """R-1-2.6-RET-04: the municipality disables its key, and only its own records close."""
    ring = world.ring.get_sync(A)
    other = world.ring.get_sync(B)
    sealed, others = sealed_by(ring), sealed_by(other)
    world.kms.disable(world.key_id(A))
    world.now = TTL_S

    def refused() -> TenantRing | bool:
        try:
            world.ring.get_sync(A)
        except KeyDisabled:
            return ring
        return False

    until(refused)
    with pytest.raises(Purged):
        opens(ring, sealed)
    assert opens(world.ring.get_sync(B), others) == b"x"
    world.kms.enable(world.key_id(A))
    assert opens(world.ring.get_sync(A), sealed) == b"x"


def test_a_purge_is_done_when_it_returns(world: World) -> None:
    """T12: no cipher object of the tenant works any more in this process, not even one somebody holds."""
    ring = world.ring.get_sync(A)
    index = ring.index
    signer = ring.document_signer("いわき市")
    sealed = sealed_by(ring)
    world.ring.purge(A)
    for use in (
        lambda: opens(ring, sealed),
        lambda: sealed_by(ring),
        lambda: ring.index,
        ring.write_indexes,
        ring.checkpoint_signer,
        lambda: index.unique("my_number", "1"),
        lambda: index.name_tags("family", "佐藤"),
        lambda: index.kana_query("サ"),
        lambda: index.birth_query(1980),
    ):
        with pytest.raises(Purged):
            use()
    assert signer.certificate_pem  # what is public stays
    assert world.ring.held() == ()


def test_a_purge_overtakes_a_load_that_is_under_way(world: World) -> None:
    world.kms.gate = threading.Event()
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            world.ring.get_sync(A)
        except Purged as purged:
            failed.append(purged)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: world.kms.calls > 0)  # it is under way
    world.ring.purge(A)
    world.kms.gate.set()
    asking.join(60)
    assert len(failed) == 1
    assert world.ring.held() == ()


def test_a_tenants_value_does_not_open_with_the_keys_of_another(world: World) -> None:
    """R-1-3.6-TEN-01: the second wall; the same table, group, row and version, another municipality."""
    sealed = sealed_by(world.ring.get_sync(A))
    with pytest.raises(DoesNotOpen):
        opens(world.ring.get_sync(B), sealed)


def test_there_is_room_for_every_municipality(world: World) -> None:
    template = world.keys[A]
    for number in range(1741):
        world.keys[f"{number:06d}"] = template
    for tenant in list(world.keys):
        world.ring.get_sync(tenant)
    loads = world.loads
    for tenant in list(world.keys):
        world.ring.get_sync(tenant)
    assert world.loads == loads
    assert len(world.ring.held()) == 1743


def test_a_missing_root_is_named(world: World) -> None:
    keys = world.keys[A]
    world.keys[A] = TenantKeys(tenant=A, roots=keys.roots, seal_version=2)
    with pytest.raises(VersionRetired, match=r"vault\.version_retired"):
        world.ring.get_sync(A)
    world.keys[A] = TenantKeys(tenant=A, roots=keys.roots[:1], seal_version=1)
    with pytest.raises(VersionRetired):
        world.ring.get_sync(A)


def test_a_reload_waits_for_whoever_still_works_with_the_old_keys(world: World) -> None:
    """A root rotation may move on only when nobody can seal under the old version any more."""
    ring = world.ring.get_sync(A)
    settled = world.ring.reload(A)
    assert not settled()
    assert opens(ring, sealed_by(ring)) == b"x"
    assert world.ring.get_sync(A) is not ring
    del ring
    gc.collect()
    assert settled()


def test_a_renewal_leaves_no_root_behind(world: World) -> None:
    """T12: the roots of the former time-to-live are overwritten, not left to whoever reads the memory."""
    ring = world.ring.get_sync(A)
    former = list(world.ring._held[A].material.values())
    assert all(any(root) for root in former)
    world.now = TTL_S
    fresh = world.settled(A, ring)
    assert not any(any(root) for root in former)
    assert opens(fresh, sealed_by(ring)) == b"x"
    for later in (2, 3):  # what is renewed from is not what was overwritten
        world.now = later * TTL_S
        fresh = world.settled(A, fresh)
        assert opens(fresh, sealed_by(ring)) == b"x"


def test_a_load_that_fails_half_way_leaves_no_root_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """T12: what was unwrapped before the KMS fell silent is overwritten."""
    unwrapped: list[bytearray] = []

    def falling_silent(kms: Kms, wrapped: WrappedRoot) -> bytearray:
        if unwrapped:
            raise KmsGone(detail="cut off by the test")
        unwrapped.append(unwrap(kms, wrapped))
        return unwrapped[0]

    monkeypatch.setattr("juki.vault.keyring.unwrap", falling_silent)
    with pytest.raises(KmsGone):
        world.ring.get_sync(A)
    assert unwrapped == [bytearray(32)]


def test_a_closed_ring_says_come_back_and_not_defect(world: World) -> None:
    """A request that is late while the process ends is told to come back."""
    world.ring.close()
    with pytest.raises(Unavailable):
        world.ring.get_sync(A)
