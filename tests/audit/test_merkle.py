"""RFC 6962 trees: the growing edge and every proof against the definition written down naively."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from juki.audit import merkle


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def some_leaves(count: int, salt: int = 0) -> list[bytes]:
    return [merkle.leaf_hash(f"{salt}:{i}".encode()) for i in range(count)]


def proof_of(leaves: list[bytes], ranges: list[tuple[int, int]]) -> list[bytes]:
    return [naive_root(leaves[start:end]) for start, end in ranges]


@given(st.integers(0, 700), st.integers(0, 700))
@settings(max_examples=60, deadline=None)
def test_an_edge_grown_in_two_steps_has_the_root_of_the_definition(first: int, more: int) -> None:
    """R-A-3.3-LOG-01: the head over any number of rows is the one the standard defines."""
    leaves = some_leaves(first + more)
    edge = merkle.Edge()
    for leaf in leaves[:first]:
        edge.add(leaf)
    tiles = list(edge.tiles)
    edge = merkle.Edge(edge.size, edge.encoded())
    for leaf in leaves[first:]:
        edge.add(leaf)
    assert edge.root() == naive_root(leaves)
    for height, tile_no, root in tiles + edge.tiles:
        assert root == naive_root(leaves[tile_no << height : (tile_no + 1) << height])
    assert len([t for t in tiles + edge.tiles if t[0] == 8]) == (first + more) >> 8


@given(st.integers(1, 300), st.data())
@settings(max_examples=80, deadline=None)
def test_an_inclusion_proof_holds_for_its_leaf_and_for_no_other(size: int, data: st.DataObject) -> None:
    """R-A-3.3-LOG-01: a row can be shown to be in the log, and another cannot be passed off for it."""
    leaves = some_leaves(size)
    place = data.draw(st.integers(0, size - 1))
    proof = proof_of(leaves, merkle.inclusion_ranges(place, 0, size))
    root = naive_root(leaves)
    assert merkle.verify_inclusion(leaves[place], place, size, proof, root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), place, size, proof, root)
    other = data.draw(st.integers(0, size - 1))
    if other != place:
        assert not merkle.verify_inclusion(leaves[place], other, size, proof, root)
    if proof:
        cut = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.verify_inclusion(leaves[place], place, size, proof[:cut] + proof[cut + 1 :], root)


@given(st.integers(1, 300), st.integers(0, 300), st.data())
@settings(max_examples=80, deadline=None)
def test_a_consistency_proof_holds_only_for_a_log_that_grew(old: int, more: int, data: st.DataObject) -> None:
    """R-A-3.3-LOG-01: two heads are of one log, or the proof fails."""
    leaves = some_leaves(old + more)
    proof = proof_of(leaves, merkle.consistency_ranges(old, 0, old + more))
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    assert merkle.verify_consistency(old, old + more, old_root, new_root, proof)
    forked = list(leaves)
    forked[data.draw(st.integers(0, old - 1))] = merkle.leaf_hash(b"forked")
    assert not merkle.verify_consistency(old, old + more, naive_root(forked[:old]), new_root, proof)


def test_an_edge_that_does_not_belong_to_its_size_is_refused() -> None:
    """R-A-3.3-LOG-01: a stored edge with a missing hash does not continue silently."""
    with pytest.raises(ValueError, match="edge"):
        merkle.Edge(3, b"\x00" * 32)
