"""The box: only its recipient opens it, and nobody can shorten, lengthen, reorder or change it unnoticed."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import BinaryIO, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from juki.problem import Invalid
from juki.vault import DoesNotOpen
from juki.vault.box import CHUNK_BYTES, decrypt_with, encrypt_to, fingerprint, new_key_pair

PRIVATE, PUBLIC = new_key_pair()
SEALED_CHUNK = CHUNK_BYTES + 16


def rsa_pair(bits: int) -> tuple[bytes, bytes]:
    """An RSA pair in PEM."""
    key = rsa.generate_private_key(65537, bits)
    return (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def boxed(content: bytes, public: bytes = PUBLIC) -> bytes:
    """A box in memory."""
    sink = io.BytesIO()
    encrypt_to(public, io.BytesIO(content), sink)
    return sink.getvalue()


def opened(box: bytes, private: bytes = PRIVATE) -> bytes:
    """What is in a box."""
    sink = io.BytesIO()
    decrypt_with(private, io.BytesIO(box), sink)
    return sink.getvalue()


class Trickle(io.RawIOBase):
    """A stream that hands over a few bytes at a time, as a pipe does."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, 1000) if size > 0 else size)


@settings(max_examples=30)
@given(st.integers(-2, 2), st.integers(0, 3))
def test_a_box_opens_to_what_was_put_in(around: int, chunks: int) -> None:
    """R-1-3.3-MED-01: whatever leaves on a medium is encrypted; sizes on both sides of a chunk's end."""
    content = bytes(max(0, chunks * CHUNK_BYTES + around))
    box = boxed(content)
    assert opened(box) == content
    assert len(box) == len(content) + 43 + 16 * (len(content) // CHUNK_BYTES + 1)


def test_rsa_recipients_are_served_too() -> None:
    """R-1-3.4-OUT-06: many municipalities hold an RSA key."""
    private, public = rsa_pair(3072)
    assert opened(boxed(b"export", public), private) == b"export"
    with pytest.raises(DoesNotOpen):
        opened(boxed(b"export", public), PRIVATE)


def test_nobody_else_opens_it() -> None:
    other, _ = new_key_pair()
    with pytest.raises(DoesNotOpen):
        opened(boxed(b"export"), other)
    assert b"export" not in boxed(b"export")


def test_two_boxes_of_one_file_share_nothing() -> None:
    assert boxed(b"x" * 100)[11:60] != boxed(b"x" * 100)[11:60]


def test_any_changed_byte_does_not_open() -> None:
    box = boxed(b"some content")
    for at in range(len(box)):
        with pytest.raises(DoesNotOpen):
            opened(box[:at] + bytes((box[at] ^ 1,)) + box[at + 1 :])


@pytest.mark.parametrize("size", [100, CHUNK_BYTES, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 5])
def test_a_cut_or_prolonged_box_does_not_open(size: int) -> None:
    """Cut at a chunk's edge, the worst place, too."""
    box = boxed(bytes(size))
    edges = [43 + n * SEALED_CHUNK for n in range(size // CHUNK_BYTES + 1)]
    for at in {*edges, *(edge + 1 for edge in edges), len(box) - 1, 42, 5, 0}:
        with pytest.raises(DoesNotOpen):
            opened(box[:at])
    for more in (b"\0", bytes(16), bytes(SEALED_CHUNK), box[43:]):
        with pytest.raises(DoesNotOpen):
            opened(box + more)


def test_chunks_cannot_change_places() -> None:
    box = boxed(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES)
    head, one, two, rest = (
        box[:43],
        box[43 : 43 + SEALED_CHUNK],
        box[43 + SEALED_CHUNK : 43 + 2 * SEALED_CHUNK],
        box[-16:],
    )
    assert opened(head + one + two + rest)[:1] == b"a"
    for order in ((two, one, rest), (one, rest), (one, one, rest), (one, two, two, rest)):
        with pytest.raises(DoesNotOpen):
            opened(head + b"".join(order))


def test_nothing_unchecked_is_written() -> None:
    """A broken third chunk: the first two were checked and are out, the third is not."""
    box = bytearray(boxed(bytes(3 * CHUNK_BYTES)))
    box[43 + 2 * SEALED_CHUNK + 9] ^= 1
    sink = io.BytesIO()
    with pytest.raises(DoesNotOpen):
        decrypt_with(PRIVATE, io.BytesIO(bytes(box)), sink)
    assert len(sink.getvalue()) == 2 * CHUNK_BYTES


def test_a_slow_pipe_gives_the_same_box_content_and_digests() -> None:
    content = bytes(range(256)) * 600
    sink = io.BytesIO()
    report = encrypt_to(PUBLIC, cast(BinaryIO, Trickle(content)), sink)
    out = io.BytesIO()
    assert decrypt_with(PRIVATE, cast(BinaryIO, Trickle(sink.getvalue())), out) == len(content)
    assert out.getvalue() == content
    assert report.plain_sha256 == hashlib.sha256(content).hexdigest()
    assert report.boxed_sha256 == hashlib.sha256(sink.getvalue()).hexdigest()
    assert (report.plain_bytes, report.boxed_bytes) == (len(content), len(sink.getvalue()))
    assert report.recipient == fingerprint(PUBLIC)


def test_weak_and_foreign_keys_are_refused() -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = elliptic.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for public in (rsa_pair(2048)[1], pem, PRIVATE, b"", b"no key"):
        with pytest.raises(Invalid, match=r"vault\.recipient_key"):
            boxed(b"x", public)


def test_a_private_key_under_a_password_opens_with_it() -> None:
    key = serialization.load_pem_private_key(PRIVATE, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    sink = io.BytesIO()
    assert decrypt_with(locked, io.BytesIO(boxed(b"x")), sink, password=b"secret") == 1
    for password in (None, b"wrong"):
        with pytest.raises(Invalid, match=r"vault\.private_key"):
            decrypt_with(locked, io.BytesIO(boxed(b"x")), io.BytesIO(), password=password)


@pytest.mark.parametrize(
    "der",
    [
        b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00" + bytes(32),  # X25519, the point that yields nought
        b"\x30\x2a\x30\x05\x06\x03\x2a\x03\x04\x03\x21\x00" + bytes(32),  # an algorithm that nobody knows
    ],
    ids=["a point that keeps no secret", "an unknown algorithm"],
)
def test_a_key_made_to_give_the_content_away_is_refused_like_any_other(der: bytes) -> None:
    """R-1-3.4-OUT-06: `vault.recipient_key` before a byte is written, and no trace on the screen."""
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der) + b"-----END PUBLIC KEY-----\n"
    sink = io.BytesIO()
    with pytest.raises(Invalid, match=r"vault\.recipient_key"):
        encrypt_to(pem, io.BytesIO(b"secret"), sink)
    assert sink.getvalue() == b""
