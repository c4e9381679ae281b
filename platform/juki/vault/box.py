"""A file sealed for one recipient: exports leave the house only like this (R-1-3.3-MED-01, R-1-3.4-OUT-06).

Format, all integers big endian:

    "JUKIBOX1"  algorithm(1)  length(2)  encapsulation            the header
    chunk 0 .. chunk n: ciphertext + tag(16), each of 65,536 plaintext bytes, the last one of 0 to 65,535

* algorithm 1, recipient X25519: encapsulation = ephemeral public key (32); file key = HKDF-SHA-256(shared secret,
  salt = ephemeral public || recipient public, info = header).
* algorithm 2, recipient RSA of at least 3,072 bits: encapsulation = RSA-OAEP-SHA-256 of 32 random bytes; file key = HKDF-SHA-256(those bytes,
  info = header).
* chunk i: AES-256-GCM, nonce = i as 11 bytes, then 1 on the last chunk and 0 before; associated data = header.

The key is new for each file, so a counter is a safe nonce. The last chunk is marked and always short, so a file cut or
prolonged at any byte does not open; `decrypt_with` writes a chunk only after its tag was checked, and says Invalid at the
first that fails.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from juki.problem import Invalid
from juki.vault.faults import DoesNotOpen

MAGIC: Final = b"JUKIBOX1"
X25519: Final = 1
RSA_OAEP: Final = 2
RSA_BITS_MIN: Final = 3072
CHUNK_BYTES: Final = 65_536
_TAG_BYTES: Final = 16
_OAEP: Final = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)


class Boxed(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, for the manifest and the evidence of an export."""

    plain_bytes: int
    plain_sha256: str
    boxed_bytes: int
    boxed_sha256: str
    recipient: str  # SHA-256 of the recipient's public key (DER)


def encrypt_to(recipient_public_pem: bytes, source: BinaryIO, sink: BinaryIO) -> Boxed:
    """Seal a stream for the holder of a key (X25519, or RSA of 3,072 bits and more). Raises Invalid `vault.recipient_key`."""
    public = _load_public(recipient_public_pem)
    algorithm, encapsulation, secret, salt = _encapsulate(public)
    header = MAGIC + bytes((algorithm,)) + len(encapsulation).to_bytes(2, "big") + encapsulation
    cipher = _cipher(secret, salt, header)
    plain, boxed = hashlib.sha256(), hashlib.sha256(header)
    plain_bytes, boxed_bytes, number = 0, len(header), 0
    sink.write(header)
    last = False
    while not last:
        chunk = _read_full(source, CHUNK_BYTES)
        last = len(chunk) < CHUNK_BYTES
        sealed = cipher.encrypt(_nonce(number, last=last), chunk, header)
        sink.write(sealed)
        plain.update(chunk)
        boxed.update(sealed)
        plain_bytes += len(chunk)
        boxed_bytes += len(sealed)
        number += 1
    return Boxed(
        plain_bytes=plain_bytes,
        plain_sha256=plain.hexdigest(),
        boxed_bytes=boxed_bytes,
        boxed_sha256=boxed.hexdigest(),
        recipient=fingerprint(recipient_public_pem),
    )


def decrypt_with(private_pem: bytes, source: BinaryIO, sink: BinaryIO, *, password: bytes | None = None) -> int:
    """Open a box; returns the number of plaintext bytes.

    Raises DoesNotOpen for a wrong key, a change or a cut, Invalid `vault.private_key` for a key that cannot be read.
    """
    try:
        private = serialization.load_pem_private_key(private_pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid("vault.private_key", "not a private key in PEM, or a wrong password") from error
    start = _read_full(source, len(MAGIC) + 3)
    if len(start) < len(MAGIC) + 3 or not start.startswith(MAGIC):
        raise DoesNotOpen("vault.not_a_box", "the file does not begin as a box")
    encapsulation = _read_full(source, int.from_bytes(start[-2:], "big"))
    header = start + encapsulation
    cipher = _decapsulate(private, start[len(MAGIC)], encapsulation, header)
    total, number, last = 0, 0, False
    while not last:
        sealed = _read_full(source, CHUNK_BYTES + _TAG_BYTES)
        last = len(sealed) < CHUNK_BYTES + _TAG_BYTES
        try:
            chunk = cipher.decrypt(_nonce(number, last=last), sealed, header)
        except (InvalidTag, ValueError) as error:
            raise DoesNotOpen("vault.box_broken", "altered, cut short, or not for this key", chunk=number) from error
        sink.write(chunk)
        total += len(chunk)
        number += 1
    return total


def new_key_pair() -> tuple[bytes, bytes]:
    """A fresh X25519 pair as (private PEM, public PEM); the private half belongs to the municipality, not to Juki."""
    private = X25519PrivateKey.generate()
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    )


def fingerprint(public_pem: bytes) -> str:
    """SHA-256 of a public key (DER), for two persons to compare by voice."""
    der = _load_public(public_pem).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _load_public(pem: bytes) -> X25519PublicKey | rsa.RSAPublicKey:
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid("vault.recipient_key", "not a public key in PEM") from error
    if isinstance(public, X25519PublicKey) or (
        isinstance(public, rsa.RSAPublicKey) and public.key_size >= RSA_BITS_MIN
    ):
        return public
    raise Invalid("vault.recipient_key", "the key must be X25519, or RSA of at least 3072 bits")


def _encapsulate(public: X25519PublicKey | rsa.RSAPublicKey) -> tuple[int, bytes, bytes, bytes]:
    """Algorithm, encapsulation, secret, salt."""
    if isinstance(public, X25519PublicKey):
        ephemeral = X25519PrivateKey.generate()
        sent = ephemeral.public_key().public_bytes_raw()
        try:
            shared = ephemeral.exchange(public)
        except ValueError as error:  # a point of low order: the secret would be nought for everybody
            raise Invalid("vault.recipient_key", "this X25519 key keeps no secret") from error
        return X25519, sent, shared, sent + public.public_bytes_raw()
    secret = secrets.token_bytes(32)
    return RSA_OAEP, public.encrypt(secret, _OAEP), secret, b""


def _decapsulate(private: object, algorithm: int, encapsulation: bytes, header: bytes) -> AESGCM:
    try:
        if algorithm == X25519 and isinstance(private, X25519PrivateKey):
            secret = private.exchange(X25519PublicKey.from_public_bytes(encapsulation))
            return _cipher(secret, encapsulation + private.public_key().public_bytes_raw(), header)
        if algorithm == RSA_OAEP and isinstance(private, rsa.RSAPrivateKey):
            return _cipher(private.decrypt(encapsulation, _OAEP), b"", header)
    except ValueError as error:
        raise DoesNotOpen("vault.box_broken", "not for this key") from error
    raise DoesNotOpen("vault.box_key_kind", "the box was made for another kind of key")


def _cipher(secret: bytes, salt: bytes, header: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt or None, info=header).derive(secret))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((last,))


def _read_full(source: BinaryIO, size: int) -> bytes:
    """Exactly `size` bytes, fewer only at the end: a pipe may hand over less at a time."""
    parts: list[bytes] = []
    missing = size
    while missing:
        part = source.read(missing)
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
