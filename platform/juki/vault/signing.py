"""Signatures under a tenant's root of purpose "sign": heads of the log (Ed25519) and documents (X.509, ECDSA P-256).

Both private keys are derived, never stored: whoever can unwrap the root has them, whoever destroys it ends them. What
was signed before stays verifiable with the public halves, which are exported with the evidence.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from juki.problem import Invalid
from juki.vault.cms import SignedDataTemplate
from juki.vault.roots import derive

FIELD_NAME: Final = "Municipality"
SIGNATURE_BYTES_RESERVED: Final = 6144  # hex; an ECDSA signature with one certificate takes about 2,900
CERTIFICATE_YEARS: Final = 15
CERTIFICATE_FROM: Final = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class CheckpointSigner:
    """Signs heads of a tenant's log."""

    def __init__(self, root: bytes | bytearray) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(derive(root, "sign", "checkpoint"))
        self.public_pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_raw = self._key.public_key().public_bytes_raw()
        self.key_hash = hashlib.sha256(self.public_raw).hexdigest()[:16]

    def sign(self, message: bytes) -> bytes:
        """64 bytes, the same for the same message."""
        return self._key.sign(message)


def verify_checkpoint(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a head was signed by the holder of a public key, given as PEM or as 32 raw bytes."""
    try:
        key = (
            Ed25519PublicKey.from_public_bytes(public)
            if len(public) == 32
            else serialization.load_pem_public_key(public)
        )
    except ValueError as error:
        raise Invalid("vault.public_key", "not an Ed25519 public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid("vault.public_key", "not an Ed25519 public key")
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


class DocumentSigner:
    """Signs PDFs in the name of one municipality. Build once, use for every page: the certificate is parsed here."""

    def __init__(self, root: bytes | bytearray, tenant: str, municipality: str) -> None:
        wide = int.from_bytes(derive(root, "sign", "document", length=48), "big")
        self._key = ec.derive_private_key(wide % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        certificate = _certificate(self._key, tenant, municipality)
        self.certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.certificate_sha256 = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
        self._template = SignedDataTemplate(certificate)

    def signed_data(self, digest: bytes) -> bytes:
        """CAdES-BES SignedData (DER) over the SHA-256 of a PDF's byte range."""
        return self._template.sign(digest, self.sign)

    def sign(self, data: bytes) -> bytes:
        """ECDSA-SHA-256, DER: for evidence files beside the PDFs."""
        return self._key.sign(data, ec.ECDSA(SHA256()))


def verify_document(certificate_pem: bytes, data: bytes, signature: bytes) -> bool:
    """Whether `DocumentSigner.sign` of this certificate's holder made the signature."""
    key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Invalid("vault.public_key", "not an ECDSA certificate")
    try:
        key.verify(signature, data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _certificate(key: ec.EllipticCurvePrivateKey, tenant: str, municipality: str) -> x509.Certificate:
    """Self-signed and the same bytes every time, so each process shows the same certificate."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, municipality),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, tenant),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{municipality} 証明書発行"),
        ]
    )
    public = key.public_key()
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(int.from_bytes(hashlib.sha256(point).digest()[:8], "big") >> 1)
        .not_valid_before(CERTIFICATE_FROM)
        .not_valid_after(CERTIFICATE_FROM + dt.timedelta(days=365 * CERTIFICATE_YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=True,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, SHA256(), ecdsa_deterministic=True)
    )


def sign_pdf(pdf: bytes, signer: DocumentSigner, *, now: dt.datetime, reason: str = "") -> bytes:
    """Append an invisible PAdES signature (ETSI.CAdES.detached) as an incremental update.

    `reason` is printed in the clear inside the file: a document kind, never a person. Raises Invalid `vault.pdf_unreadable`.
    """
    from pyhanko.pdf_utils.incremental_writer import (
        IncrementalPdfFileWriter,
    )  # slow to import; the log's verifier never pays
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.sign.fields import SigSeedSubFilter
    from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
    from pyhanko.sign.signers.pdf_byterange import SignatureObject

    placeholder = SignatureObject(
        timestamp=now, reason=reason or None, subfilter=SigSeedSubFilter.PADES, bytes_reserved=SIGNATURE_BYTES_RESERVED
    )
    try:
        writing: Any = cast(Any, PdfCMSEmbedder()).write_cms(FIELD_NAME, IncrementalPdfFileWriter(io.BytesIO(pdf)))
        next(writing)
        writing.send(SigObjSetup(sig_placeholder=placeholder))
        prepared, output = writing.send(SigIOSetup(md_algorithm="sha256", in_place=True))
        writing.send(signer.signed_data(prepared.document_digest))
    except (PdfError, ValueError) as error:
        raise Invalid("vault.pdf_unreadable", "not a PDF that can be signed") from error
    return output.getvalue()


class PdfVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature in a PDF says when checked against one certificate."""

    intact: bool  # the signed bytes are as they were signed
    trusted: bool  # signed by the given certificate
    whole: bool  # nothing was appended after the signature
    signed_at: dt.datetime | None

    @property
    def good(self) -> bool:
        """The document is the municipality's and nothing was changed or added."""
        return self.intact and self.trusted and self.whole


def verify_pdf(pdf: bytes, certificate_pem: bytes) -> PdfVerdict:
    """Check the newest signature of a PDF, about 10 ms. Raises Invalid `vault.pdf_unsigned` or `vault.pdf_unreadable`."""
    der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(serialization.Encoding.DER)
    with ThreadPoolExecutor(1) as apart:  # pyhanko starts an event loop of its own, and the caller may have one
        return apart.submit(_verify, pdf, der).result()


def _verify(pdf: bytes, der: bytes) -> PdfVerdict:
    from asn1crypto import x509 as asn1_x509
    from pyhanko.pdf_utils.misc import PdfError
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko.sign.validation.errors import SignatureValidationError
    from pyhanko_certvalidator import ValidationContext

    trusted: Any = cast(Any, asn1_x509).Certificate.load(der)
    try:
        signatures = PdfFileReader(io.BytesIO(pdf)).embedded_regular_signatures
        if not signatures:
            raise Invalid("vault.pdf_unsigned", "the PDF bears no signature")
        context = ValidationContext(trust_roots=[trusted], allow_fetching=False)
        status: Any = validate_pdf_signature(signatures[-1], signer_validation_context=context)
    except (PdfError, SignatureValidationError, ValueError) as error:
        raise Invalid("vault.pdf_unreadable", "not a PDF whose signature can be read") from error
    return PdfVerdict(
        intact=status.intact and status.valid,
        trusted=status.trusted and status.signing_cert.dump() == der,
        whole=status.coverage is not None and status.coverage.name == "ENTIRE_FILE",
        signed_at=status.signer_reported_dt,
    )
