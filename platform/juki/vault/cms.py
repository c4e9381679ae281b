"""CMS SignedData for one certificate, as DER: everything but the digest and the signature is laid out once.

CAdES-BES as PAdES wants it (ETSI EN 319 122-1, 319 142-1): content-type, message-digest and signing-certificate-v2 are
signed; the time stands in the PDF's own dictionary, not here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_OCTETS: Final = 0x04
_INTEGER: Final = 0x02
_OID: Final = 0x06
_CONTEXT_0: Final = 0xA0
_CONTEXT_4: Final = 0xA4


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(raw))) + raw + body


def oid(dotted: str) -> bytes:
    """An object identifier."""
    first, second, *rest = map(int, dotted.split("."))
    out = bytearray((first * 40 + second,))
    for arc in rest:
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return tlv(_OID, bytes(out))


def integer(value: int) -> bytes:
    """A non-negative INTEGER."""
    return tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


_DATA: Final = oid("1.2.840.113549.1.7.1")
_SIGNED_DATA: Final = oid("1.2.840.113549.1.7.2")
_SHA_256: Final = tlv(_SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))
_ECDSA_SHA_256: Final = tlv(_SEQUENCE, oid("1.2.840.10045.4.3.2"))
_CONTENT_TYPE: Final = tlv(_SEQUENCE, oid("1.2.840.113549.1.9.3"), tlv(_SET, _DATA))
_MESSAGE_DIGEST: Final = oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2: Final = oid("1.2.840.113549.1.9.16.2.47")


class SignedDataTemplate:
    """SignedData of one signer, waiting for a digest."""

    def __init__(self, certificate: x509.Certificate) -> None:
        issuer, serial = certificate.issuer.public_bytes(), integer(certificate.serial_number)
        self._certificate = certificate.public_bytes(serialization.Encoding.DER)
        self._signer = tlv(_SEQUENCE, issuer, serial)
        issuer_serial = tlv(_SEQUENCE, tlv(_SEQUENCE, tlv(_CONTEXT_4, issuer)), serial)
        certificate_id = tlv(_SEQUENCE, tlv(_OCTETS, hashlib.sha256(self._certificate).digest()), issuer_serial)
        self._bound = tlv(_SEQUENCE, _SIGNING_CERTIFICATE_V2, tlv(_SET, tlv(_SEQUENCE, tlv(_SEQUENCE, certificate_id))))

    def sign(self, digest: bytes, sign: Callable[[bytes], bytes]) -> bytes:
        """ContentInfo (DER) with a detached content of this SHA-256; `sign` gives an ECDSA-SHA-256 signature in DER."""
        message_digest = tlv(_SEQUENCE, _MESSAGE_DIGEST, tlv(_SET, tlv(_OCTETS, digest)))
        attributes = b"".join(sorted((_CONTENT_TYPE, message_digest, self._bound)))  # DER: a SET OF is sorted
        signature = sign(tlv(_SET, attributes))
        signer_info = tlv(
            _SEQUENCE,
            integer(1),
            self._signer,
            _SHA_256,
            tlv(_CONTEXT_0, attributes),
            _ECDSA_SHA_256,
            tlv(_OCTETS, signature),
        )
        signed_data = tlv(
            _SEQUENCE,
            integer(1),
            tlv(_SET, _SHA_256),
            tlv(_SEQUENCE, _DATA),
            tlv(_CONTEXT_0, self._certificate),
            tlv(_SET, signer_info),
        )
        return tlv(_SEQUENCE, _SIGNED_DATA, tlv(_CONTEXT_0, signed_data))
