"""Merkle tree of RFC 6962: growing it at its right edge, and checking proofs. Pure.

A log of n leaves is kept as its *edge*: the roots of the full subtrees that n is made of, largest first. Adding a leaf
touches the edge alone; a root costs one hash per edge entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

HASH_BYTES: Final = 32
TILE_BITS: Final = 8
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

Range: TypeAlias = tuple[int, int]
Subtree: TypeAlias = Callable[[int, int], Awaitable[bytes]]


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf (RFC 6962 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Edge:
    """Right edge of a tree of `size` leaves; `tiles` collects roots of full subtrees of 2^8, 2^16... leaves."""

    def __init__(self, size: int = 0, edge: bytes = b"") -> None:
        if len(edge) != size.bit_count() * HASH_BYTES:
            raise ValueError("the edge does not belong to this size")
        self.size = size
        self._peaks = [edge[i : i + HASH_BYTES] for i in range(0, len(edge), HASH_BYTES)]
        self.tiles: list[tuple[int, int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """One more leaf, given by its hash."""
        node, size, height = leaf, self.size, 0
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
            height += 1
            if height % TILE_BITS == 0:
                self.tiles.append((height, self.size >> height, node))
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Root of the whole tree."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def encoded(self) -> bytes:
        """The edge as it is stored."""
        return b"".join(self._peaks)


def inclusion_ranges(leaf_no: int, start: int, end: int) -> list[Range]:
    """Subtrees whose roots prove leaf `leaf_no` within [start, end), nearest first (RFC 6962 2.1.1)."""
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if leaf_no < middle:
        return [*inclusion_ranges(leaf_no, start, middle), (middle, end)]
    return [*inclusion_ranges(leaf_no, middle, end), (start, middle)]


def consistency_ranges(old: int, start: int, end: int, *, whole: bool = True) -> list[Range]:
    """Subtrees whose roots prove that the first `old` leaves of [start, end) are the old tree (RFC 6962 2.1.2)."""
    if old == end - start:
        return [] if whole else [(start, end)]
    half = _split(end - start)
    if old <= half:
        return [*consistency_ranges(old, start, start + half, whole=whole), (start + half, end)]
    return [*consistency_ranges(old - half, start + half, end, whole=False), (start, start + half)]


def verify_inclusion(leaf: bytes, leaf_no: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof ties the leaf's hash to the root (RFC 9162 2.1.3.2)."""
    if not 0 <= leaf_no < size:
        return False
    place, last, node = leaf_no, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while place and not place & 1:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the new tree begins with the old one (RFC 9162 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    first = second = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            first = node_hash(node, first)
            second = node_hash(node, second)
            while place and not place & 1:
                place >>= 1
                last >>= 1
        else:
            second = node_hash(second, node)
        place >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over neighbouring subtrees of equal size, left to right, the last one perhaps smaller."""
    if len(hashes) == 1:
        return hashes[0]
    half = _split(len(hashes))
    return node_hash(fold(hashes[:half]), fold(hashes[half:]))


def _split(count: int) -> int:
    """Largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
