"""Key ring: the unwrapped keys of every tenant this process works for, each for a limited time.

A ring is fresh for one time-to-live. After that the next user starts one renewal in the background and is served from
the old ring meanwhile; if the KMS stays silent for a further time-to-live, the tenant answers Unavailable. So an outage
of one time-to-live goes unnoticed, and a key disabled by the municipality stops working within one time-to-live.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import msgspec

from juki.problem import JukiError, Misconfigured, Unavailable
from juki.vault.faults import KmsSlow, Purged
from juki.vault.indexer import Indexer
from juki.vault.kms import Kms
from juki.vault.ring import Spending, TenantRing
from juki.vault.roots import TenantKeys, unwrap, wipe

log = logging.getLogger("juki.vault")

TENANTS_MAX: Final = 2048  # 1,741 municipalities, with room
_LOADERS: Final = 4
_RETRIES_PER_TTL: Final = 20
_PATIENCE_SECONDS: Final = 0.5

Loader = Callable[[str], TenantKeys]
Monotonic = Callable[[], float]


Material = dict[bytes, bytearray]
"""Unwrapped roots by their commitment."""


class _Held(msgspec.Struct):
    ring: TenantRing
    loaded_at: float
    material: Material
    retry_at: float = 0.0

    def forget(self) -> None:
        _wipe_all(self.material)
        self.material.clear()


class KeyRing:
    """Process-wide cache of tenant rings. Safe for threads and for one or many event loops.

    `load` reads the wrapped roots of one tenant from the control schema (synchronous, own short connection).
    """

    def __init__(
        self,
        kms: Kms,
        load: Loader,
        *,
        ttl_s: float = 300.0,
        clock: Monotonic = time.monotonic,
        service: str = "registry",
        on_rotation_due: Callable[[str, int], None] | None = None,
    ) -> None:
        self._kms = kms
        self._load = load
        self._ttl_s = ttl_s
        self._clock = clock
        self._service = service
        self._on_rotation_due = on_rotation_due or _warn
        self._held: dict[str, _Held] = {}
        self._loading: dict[str, Future[TenantRing]] = {}
        self._epochs: dict[str, int] = {}
        self._generations: dict[str, int] = {}
        self._alive: dict[str, weakref.WeakSet[TenantRing]] = {}
        self._slow: set[str] = set()  # whose last load ran out of time
        self._guard = threading.Lock()
        self._spending = Spending()
        self._workers = ThreadPoolExecutor(_LOADERS, thread_name_prefix="keyring")

    async def get(self, tenant: str) -> TenantRing:
        """The ring of a tenant. Raises Unavailable (KMS slow or gone), Refused (key disabled, deleted) and what `load` raises."""
        held = self._held.get(tenant)
        if held is not None and self._clock() - held.loaded_at < self._ttl_s:
            return held.ring
        return self._renewing(tenant) or await self._loaded(tenant)

    async def _loaded(self, tenant: str) -> TenantRing:
        """The ring from the one load under way. Where the last one ran out of time, few wait long for the next: requests
        that pile up for one silent KMS would take the room of everybody else's."""
        loading = asyncio.shield(asyncio.wrap_future(self._start(tenant)))
        if tenant not in self._slow:
            return await loading
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await loading
        except TimeoutError:
            raise KmsSlow(detail="it ran out of time before, and the next try is under way") from None

    def get_sync(self, tenant: str) -> TenantRing:
        """`get` for a thread without an event loop."""
        held = self._held.get(tenant)
        if held is not None and self._clock() - held.loaded_at < self._ttl_s:
            return held.ring
        return self._renewing(tenant) or self._start(tenant).result()

    def purge(self, tenant: str) -> None:
        """Wipe a tenant's keys here and now; returning is the acknowledgement. A load under way is thrown away."""
        with self._guard:
            self._epochs[tenant] = self._epochs.get(tenant, 0) + 1
            held = self._held.pop(tenant, None)
            self._loading.pop(tenant, None)
            alive = list(self._alive.pop(tenant, ()))
        if held is not None:
            held.forget()
        for ring in alive:  # the one held, and older ones that an operation may still have in hand
            ring.wipe()

    def purge_all(self) -> None:
        """Wipe every tenant's keys, also those being loaded or still in an operation's hand."""
        with self._guard:
            tenants = {*self._held, *self._loading, *self._alive}
        for tenant in tenants:
            self.purge(tenant)

    def reload(self, tenant: str) -> Callable[[], bool]:
        """Have the next user build the ring anew while whoever has the old one in hand finishes with it.

        The answer says whether every ring built before this call is gone; a key rotation waits for that.
        """
        with self._guard:
            self._generations[tenant] = self._generations.get(tenant, 0) + 1
            held = self._held.pop(tenant, None)
            self._loading.pop(tenant, None)
            before = weakref.WeakSet(self._alive.get(tenant, ()))

        if held is not None:
            held.forget()  # the ring has copies of its own

        def settled() -> bool:
            if before:
                gc.collect()  # a ring in a reference cycle of a finished request would otherwise linger
            return not before

        return settled

    def held(self) -> tuple[str, ...]:
        """Tenants whose keys are in this process now."""
        return tuple(self._held)

    def close(self) -> None:
        """Wipe everything; for the end of a process."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self.purge_all()

    def _renewing(self, tenant: str) -> TenantRing | None:
        """The old ring while it may still serve, with its renewal started; None where the caller has to wait."""
        now = self._clock()
        held = self._held.get(tenant)
        if held is None or now - held.loaded_at >= 2 * self._ttl_s:
            return None
        if now >= held.retry_at:
            held.retry_at = now + self._ttl_s / _RETRIES_PER_TTL
            self._start(tenant)
        return held.ring

    def _start(self, tenant: str) -> Future[TenantRing]:
        """The one load of this tenant that is under way, started if need be."""
        with self._guard:
            loading = self._loading.get(tenant)
            if loading is not None:
                return loading
            try:
                loading = self._workers.submit(self._renew, tenant, self._epochs.get(tenant, 0))
            except RuntimeError as error:  # the process is ending
                raise Purged(detail="closed") from error
            self._loading[tenant] = loading
        # outside the guard, which `_settle` takes: a load that has failed already settles here and now
        loading.add_done_callback(lambda done: self._settle(tenant, done))
        return loading

    def _settle(self, tenant: str, done: Future[TenantRing]) -> None:
        with self._guard:
            if self._loading.get(tenant) is done:
                del self._loading[tenant]

    def _renew(self, tenant: str, epoch: int) -> TenantRing:
        started, generation = self._clock(), self._generations.get(tenant, 0)
        before = self._held.get(tenant)
        try:
            keys = self._load(tenant)
            material = self._unwrap(keys, before.material if before else {})
        except (
            Unavailable,
            Misconfigured,
        ) as fault:  # an outage, be it of our own credentials: the municipality said nothing
            log.warning("keys of %s not renewed: %s", tenant, fault.code)
            if isinstance(fault, KmsSlow):
                self._slow.add(tenant)
            if before is not None and started - before.loaded_at >= 2 * self._ttl_s:
                self._drop(tenant, epoch)
            raise
        except JukiError as fault:  # the municipality's key says no, or the tenant is gone: the old ring must not serve
            if self._generations.get(tenant, 0) != generation:
                return self._renew(tenant, epoch)  # the old KMS key was disabled between reading and unwrapping
            log.warning("keys of %s refused: %s", tenant, fault.code)
            self._drop(tenant, epoch)
            raise
        held = _Held(self._build(keys, material), started, material)
        with self._guard:
            current = self._epochs.get(tenant, 0) == epoch
            if current and self._generations.get(tenant, 0) == generation:
                self._make_room(tenant)
                self._held[tenant] = held
                self._slow.discard(tenant)
                self._alive.setdefault(tenant, weakref.WeakSet()).add(held.ring)
                if before is not None:
                    before.forget()  # rings have copies of their own
                return held.ring
        held.forget()
        held.ring.wipe()
        if not current:
            raise Purged(detail="purged while loading")
        return self._renew(tenant, epoch)  # a rotation moved on while this was being read: read again

    def _drop(self, tenant: str, epoch: int) -> None:
        with self._guard:
            held = self._held.pop(tenant, None) if self._epochs.get(tenant, 0) == epoch else None
        if held is not None:
            held.forget()
            held.ring.wipe()

    def _make_room(self, tenant: str) -> None:
        if tenant not in self._held and len(self._held) >= TENANTS_MAX:
            oldest = min(random.sample(list(self._held), 32), key=lambda t: self._held[t].loaded_at)
            self._held.pop(oldest).forget()  # the ring itself is dropped, not wiped: a request may be using it

    def _unwrap(self, keys: TenantKeys, known: Material) -> Material:
        """Every live root. A renewal asks the KMS for the two newest only: that they still unwrap is what it is to prove."""
        proof = {keys.seal_root().commitment, keys.index_roots()[keys.index_active].commitment}
        material: Material = {}
        try:
            for wrapped in keys.live_roots():
                root = bytearray(known.get(wrapped.commitment, b""))
                if wrapped.commitment in proof or not any(root):
                    root = unwrap(self._kms, wrapped)
                material[wrapped.commitment] = root
        except BaseException:
            _wipe_all(material)
            raise
        return material

    def _build(self, keys: TenantKeys, material: Material) -> TenantRing:
        sign = keys.newest("sign")
        return TenantRing(
            keys.tenant,
            {root.version: bytearray(material[root.commitment]) for root in keys.roots if root.purpose == "seal"},
            keys.seal_version,
            {slot: Indexer(slot, material[root.commitment], root.version) for slot, root in keys.index_roots().items()},
            keys.index_active,
            sign_root=bytearray(material[sign.commitment]) if sign else None,
            service=self._service,
            spending=self._spending,
            on_rotation_due=self._on_rotation_due,
        )


def _wipe_all(material: Material) -> None:
    for root in list(material.values()):  # another thread may forget the same ones
        wipe(root)


def _warn(tenant: str, seal_version: int) -> None:
    log.warning("seal root %d of %s is nearly spent: rotate it before sealing stops", seal_version, tenant)
