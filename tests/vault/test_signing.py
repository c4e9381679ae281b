"""Signatures: heads of the log, PDFs as another program sees them, and what a change does to each."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import subprocess
from pathlib import Path

import pytest
import typst
from cryptography import x509

from juki.problem import Invalid
from juki.vault import VersionRetired
from juki.vault.ring import TenantRing
from juki.vault.signing import (
    CheckpointSigner,
    DocumentSigner,
    PdfVerdict,
    sign_pdf,
    verify_checkpoint,
    verify_document,
    verify_pdf,
)

ROOT, OTHER = b"\x05" * 32, b"\x06" * 32
NOW = dt.datetime(2026, 4, 1, 0, 0, tzinfo=dt.UTC)
SIGNER = DocumentSigner(ROOT, "072044", "いわき市")


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = tmp_path_factory.mktemp("typst") / "page.typ"
    source.write_text("#set page(width: 210mm, height: 297mm)\n= A certificate\n#lorem(120)")
    return typst.compile(source)


def test_a_signed_head_verifies_and_a_changed_one_does_not() -> None:
    """R-A-3.3-LOG-01: a head of the log is the system's word, checkable without the system."""
    signer = CheckpointSigner(ROOT)
    signature = signer.sign(b"head 1")
    for public in (signer.public_pem, signer.public_raw):
        assert verify_checkpoint(public, b"head 1", signature)
        assert not verify_checkpoint(public, b"head 2", signature)
        assert not verify_checkpoint(public, b"head 1", bytes(64))
    assert not verify_checkpoint(CheckpointSigner(OTHER).public_raw, b"head 1", signature)
    with pytest.raises(Invalid, match=r"vault\.public_key"):
        verify_checkpoint(SIGNER.certificate_pem, b"head 1", signature)


def test_every_process_signs_with_the_same_certificate() -> None:
    again = DocumentSigner(ROOT, "072044", "いわき市")
    assert again.certificate_pem == SIGNER.certificate_pem
    assert DocumentSigner(OTHER, "072044", "いわき市").certificate_pem != SIGNER.certificate_pem
    certificate = x509.load_pem_x509_certificate(SIGNER.certificate_pem)
    certificate.verify_directly_issued_by(certificate)
    assert "いわき市" in certificate.subject.rfc4514_string()


def test_a_signed_pdf_is_the_municipalitys_and_whole(pdf: bytes) -> None:
    """F-S1-02: a certificate can be told from one that was altered."""
    signed = sign_pdf(pdf, SIGNER, now=NOW, reason="住民票の写し")
    assert signed.startswith(pdf)  # an incremental update: the printed page is untouched
    assert verify_pdf(signed, SIGNER.certificate_pem) == PdfVerdict(
        intact=True, trusted=True, whole=True, signed_at=NOW
    )


def test_a_changed_page_a_foreign_signer_and_an_addition_are_told_apart(pdf: bytes) -> None:
    signed = sign_pdf(pdf, SIGNER, now=NOW)
    changed = bytearray(signed)
    at = signed.index(b"stream") + 40
    changed[at] ^= 1
    verdict = verify_pdf(bytes(changed), SIGNER.certificate_pem)
    assert not verdict.intact
    assert not verdict.good
    foreign = verify_pdf(signed, DocumentSigner(OTHER, "072044", "いわき市").certificate_pem)
    assert (foreign.intact, foreign.trusted, foreign.good) == (True, False, False)
    added = verify_pdf(signed + b"\n% added\n", SIGNER.certificate_pem)
    assert not added.whole
    assert not added.good


def test_an_unsigned_or_broken_pdf_is_said_to_be_so(pdf: bytes) -> None:
    with pytest.raises(Invalid, match=r"vault\.pdf_unsigned"):
        verify_pdf(pdf, SIGNER.certificate_pem)
    for broken in (b"", b"%PDF-1.7 nothing"):
        with pytest.raises(Invalid, match=r"vault\.pdf_unreadable"):
            sign_pdf(broken, SIGNER, now=NOW)
        with pytest.raises(Invalid, match=r"vault\.pdf_unreadable"):
            verify_pdf(broken, SIGNER.certificate_pem)


async def test_signing_and_verifying_work_inside_an_event_loop(pdf: bytes) -> None:
    assert asyncio.get_running_loop().is_running()
    assert verify_pdf(sign_pdf(pdf, SIGNER, now=NOW), SIGNER.certificate_pem).good


@pytest.mark.skipif(shutil.which("pdfsig") is None, reason="no pdfsig on this machine; `apt-get install poppler-utils`")
def test_another_program_finds_the_signature_valid(pdf: bytes, tmp_path: Path) -> None:
    file = tmp_path / "signed.pdf"
    file.write_bytes(sign_pdf(pdf, SIGNER, now=NOW))
    report = subprocess.run(["pdfsig", "-nocert", file], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid" in report
    assert "Total document signed" in report
    assert "ETSI.CAdES.detached" in report


def test_evidence_is_signed_beside_the_pdf() -> None:
    signature = SIGNER.sign(b"evidence")
    assert verify_document(SIGNER.certificate_pem, b"evidence", signature)
    assert not verify_document(SIGNER.certificate_pem, b"evidenc3", signature)


def test_a_ring_signs_only_with_a_signing_root() -> None:
    ring = TenantRing("072044", {1: bytearray(32)}, 1, {}, "", sign_root=bytearray(ROOT))
    assert ring.document_signer("いわき市") is ring.document_signer("いわき市")
    assert ring.document_signer("いわき市").certificate_pem == SIGNER.certificate_pem
    assert ring.checkpoint_signer().public_raw == CheckpointSigner(ROOT).public_raw
    with pytest.raises(VersionRetired, match=r"vault\.no_sign_root"):
        TenantRing("072044", {1: bytearray(32)}, 1, {}, "").checkpoint_signer()
