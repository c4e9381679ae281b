"""The log as a Merkle tree: the sequencer gives rows their places, a checkpoint signs the head, proofs are read from it.

Writers never wait for the sequencer and never choose a place. A row is placed once its transaction has committed; the
order is that of transactions, so what was committed before something else began stands before it.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from juki.audit import log_store, note
from juki.audit.merkle import TILE_BITS, Edge, consistency_ranges, fold, inclusion_ranges
from juki.problem import NotFound
from juki.tenancy import Fleet
from juki.tenancy.directory import OPEN_STATES
from juki.tenancy.session import TenantSession

LEAVES_PER_STEP: Final = 20_000
LOG_STATES: Final = frozenset(OPEN_STATES | {"leaving"})


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A head: how many leaves, their root, when, and the signed note. `added` leaves are new since the last one."""

    size: int
    root: bytes
    made_at: dt.datetime | None
    note: str
    added: int


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Inclusion of one row, or consistency of two heads: hashes nearest first."""

    leaf_no: int
    leaf_hash: bytes
    size: int
    root: bytes
    hashes: tuple[bytes, ...]


async def checkpoint(fleet: Fleet, code: str) -> Checkpoint:
    """Place every row committed so far and sign the new head; without new rows the old head stands.

    Killed at any point it leaves the former head; run by two processes at once, one waits for the other.
    """
    ring = await fleet.keyring.get(code)
    signer = ring.checkpoint_signer()
    now = fleet.clock()
    async with fleet.session(code, write=True, states=LOG_STATES) as session:
        await log_store.lock_sequencer(session)
        last = await log_store.head(session)
        edge = Edge(last.size, last.edge)
        await _place_all(session, last, edge)
        added = edge.size - last.size
        if not added:
            return Checkpoint(size=last.size, root=last.root, made_at=last.made_at, note="", added=0)
        root = edge.root()
        await log_store.add_tiles(session, edge.tiles)
        signed = note.sign(note.body(code, edge.size, root, now), code, signer)
        await log_store.add_checkpoint(session, edge.size, root, edge.encoded(), last.now_horizon, now, signed)
    return Checkpoint(size=edge.size, root=root, made_at=now, note=signed, added=added)


async def _place_all(session: TenantSession, last: log_store.Head, edge: Edge) -> None:
    after = ("0", 0, 0)
    if last.elsewhere:
        await log_store.take_time(session)
    while True:
        placed = await log_store.place(session, last, edge.size, after, LEAVES_PER_STEP)
        for leaf in placed:
            edge.add(leaf.leaf_hash)
        if len(placed) < LEAVES_PER_STEP:
            return
        newest = placed[-1]
        after = (await log_store.xid_of(session, newest.op_no, newest.part), newest.op_no, newest.part)


async def prove_inclusion(session: TenantSession, op_no: int, part: int) -> Proof:
    """Proof that a row is in the log; NotFound `audit.not_placed` before the next checkpoint has taken it in."""
    found = await log_store.leaf_of(session, op_no, part)
    last = await log_store.head(session)
    if found is None or found[0] >= last.size:
        raise NotFound("audit.not_placed", "no such row in the log yet")
    hashes = [await _subtree(session, *span) for span in inclusion_ranges(found[0], 0, last.size)]
    return Proof(leaf_no=found[0], leaf_hash=found[1], size=last.size, root=last.root, hashes=tuple(hashes))


async def prove_consistency(session: TenantSession, old_size: int) -> Proof:
    """Proof that the log of now begins with the log of `old_size` leaves; NotFound `audit.size_unknown`."""
    last = await log_store.head(session)
    if not 0 < old_size <= last.size:
        raise NotFound("audit.size_unknown", "the log never had this size")
    hashes = [await _subtree(session, *span) for span in consistency_ranges(old_size, 0, last.size)]
    return Proof(leaf_no=-1, leaf_hash=b"", size=last.size, root=last.root, hashes=tuple(hashes))


async def _subtree(session: TenantSession, start: int, end: int) -> bytes:
    """Root of leaves [start, end), from stored subtree roots as far as they reach: at most 255 rows for each height."""
    height = TILE_BITS
    while (end - start) >> (height + TILE_BITS):
        height += TILE_BITS
    hashes: list[bytes] = []
    at = start
    while height and end - start >= 1 << height:
        whole = end >> height << height
        if whole > at:
            hashes += await log_store.tiles(session, height, at >> height, whole >> height)
            at = whole
        if at == end:
            return fold(hashes)
        # the ragged rest is smaller than one subtree of this height, and stands for the last of them
        hashes.append(await _subtree(session, at, end))
        return fold(hashes)
    return fold(await log_store.leaf_hashes(session, at, end))
