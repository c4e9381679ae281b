"""T16: one 住民票の写し as PDF with embedded font, variant glyphs and the municipality's signature, warm, in one process.

Peers run in the same session over the same page: the same template by a compiler made anew for each page, the same by a
process started for each page (what a command-line printer does), and LibreOffice where it is installed. Nothing is cached
between pages: every page has another name, address and number.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import typst

from juki import paper
from juki.certificates import render
from juki.certificates.compose import Office, Sheet, compose
from juki.certificates.model import Application, IdentityCheck, Item, Relation, Requester
from juki.certificates.seal import square_seal
from juki.dates import RegistryDate
from juki.registry.model import (
    Address,
    Basic,
    Domicile,
    Household,
    Kind,
    MyNumber,
    Place,
    Record,
    ResidentCode,
    Sex,
    Status,
)
from juki.vault.signing import DocumentSigner, sign_pdf, verify_pdf

NOW = dt.datetime(2026, 11, 23, 1, 30, tzinfo=dt.UTC)
FAMILIES = ("渡邉", "葛\U000e0102城", "辻\U000e0100", "齋藤", "髙橋", "𠮷田", "佐藤", "鈴木", "邊見", "草彅")


def run(quick: bool) -> dict[str, Any]:
    """T16: milliseconds a page, p50, signed and unsigned, one person and a household of four."""
    rounds = 60 if quick else 400
    office = _office()
    signer = DocumentSigner(os.urandom(32), "072044", office.municipality)
    singles = [_sheet(office, number, 1) for number in range(rounds)]
    joints = [_sheet(office, number, 4) for number in range(rounds)]
    began = time.perf_counter()
    first = _print(singles[0], office, 0)
    cold_ms = (time.perf_counter() - began) * 1000
    sign_pdf(first, signer, now=NOW)  # pyhanko is imported here, once per process

    unsigned = _p50(lambda n: _print(singles[n], office, n), rounds)
    signed = _p50(lambda n: sign_pdf(_print(singles[n], office, n), signer, now=NOW), rounds)
    joint = _p50(lambda n: sign_pdf(_print(joints[n], office, n), signer, now=NOW), rounds)
    if not verify_pdf(sign_pdf(first, signer, now=NOW), signer.certificate_pem).good:
        raise RuntimeError("a printed page does not verify")
    peers = _peers(singles, office, quick)
    entry = {
        "what": "住民票の写し, PDF/A with embedded Mincho, 10 families with variants, every page different, signed",
        "juki": round(signed, 2),
        "unit": "ms a page, p50",
        "unsigned": round(unsigned, 2),
        "household_of_four_signed": round(joint, 2),
        "first_page_of_a_process": round(cold_ms, 1),
        "bytes_a_page": len(first),
        "load_average": round(os.getloadavg()[0], 1),
        "pages_a_second_one_process": round(1000 / signed, 1),
        "peers": peers,
        "ratio": round(peers["typst process per page"] / unsigned, 1),
        "target": "<= 60 ms a page warm, signed",
        "holds": signed <= 60,
        "versions": {name: importlib.metadata.version(name) for name in ("typst", "pyhanko", "fonttools")},
        "note": "peers are unsigned and compared with the unsigned figure; one process, one thread",
    }
    return {"T16": entry}


def _p50(work: Callable[[int], object], rounds: int) -> float:
    taken: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _print(sheet: Sheet, office: Office, number: int) -> bytes:
    label = f"20261123 いわき市 本庁1 プリンタ001 {number:06d}"
    return render.certificate(sheet, office, (label,), mark=f"{number:032x}", now=NOW)


def _peers(sheets: list[Sheet], office: Office, quick: bool) -> dict[str, float]:
    rounds = 8 if quick else 40

    def values(number: int) -> str:
        data = render.page_values(sheets[number], office, (f"{number:06d}",), mark="0") | {"preview": False}
        return msgspec.json.encode(data).decode()

    def fresh_compiler(number: int) -> None:
        fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[paper.find_font().parent]
        )
        compiler = typst.Compiler(
            render.TEMPLATE, root=render.TEMPLATE.parent, font_paths=fonts, ignore_system_fonts=True
        )
        compiler.compile(format="pdf", sys_inputs={"data": values(number)}, pdf_standards=["a-2b"], pdf_tags=False)

    def process(number: int) -> None:
        script = (
            "import sys,typst\n"
            "t,f=sys.argv[1:3]\n"
            "typst.compile(t,font_paths=[f],ignore_system_fonts=True,sys_inputs={'data':sys.stdin.read()},"
            "format='pdf',pdf_standards=['a-2b'])\n"
        )
        command = [sys.executable, "-c", script, str(render.TEMPLATE), str(paper.find_font().parent)]
        subprocess.run(command, input=values(number), text=True, check=True, capture_output=True)

    peers = {
        "typst compiler per page": round(_p50(fresh_compiler, rounds), 2),
        "typst process per page": round(_p50(process, rounds), 2),
    }
    if office_suite := shutil.which("soffice") or shutil.which("libreoffice"):
        peers["LibreOffice, one page"] = round(_libreoffice(office_suite, 2 if quick else 5), 1)
    return peers


def _libreoffice(program: str, rounds: int) -> float:
    """A page of plain text of the same length: a lower bound, no boxes and no seal."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.txt"
        source.write_text("住民票\n" + "渡邉　太郎　福島県いわき市平字梅本21番地\n" * 20, encoding="utf-8")
        command = [program, "--headless", "--convert-to", "pdf", "--outdir", folder, str(source)]
        return _p50(lambda _: subprocess.run(command, check=True, capture_output=True), rounds)


def _office() -> Office:
    return Office(
        prefecture="福島県",
        municipality="いわき市",
        head_title="いわき市長",
        head_name="磐城　一郎",
        seal_svg=square_seal("いわき市長之印"),
    )


def _sheet(office: Office, number: int, members: int) -> Sheet:
    people = tuple(_resident(number, order) for order in range(1, members + 1))
    asked = Application(
        relation=Relation.HOUSEHOLD,
        requester=Requester(name="請求　人", identity=IdentityCheck.PHOTO),
        persons=tuple(person.atena_no for person in people),
        purpose="tax",
        items=tuple(Item),
    )
    return compose(asked, Household(setai_no="9", members=people), office, now=NOW)


def _resident(number: int, order: int) -> Record:
    name = f"{FAMILIES[number % len(FAMILIES)]}　{'太次三四'[order - 1]}郎"
    return Record(
        atena_no=f"{number:08d}{order:02d}",
        version_no=1,
        setai_no="9",
        member_order=order,
        is_head=order == 1,
        status=Status.RESIDENT,
        kind=Kind.JAPANESE,
        basic=Basic(
            name=name,
            name_kana="ワタナベ　タロウ",
            birth=RegistryDate(1950 + number % 60, 1 + number % 12, 1 + number % 28),
            sex=Sex.MALE,
            head_name=name,
            relationship="世帯主" if order == 1 else "子",
        ),
        address=Address(
            address=Place(
                text=f"福島県いわき市平字梅本{number + 1}番地の{order}", building=f"いわきコーポ{number % 900}号室"
            ),
            resident_since=RegistryDate(1989, 1, 7),
            address_since=RegistryDate(2019, 5, 1),
            notified_on=RegistryDate(2019, 5, 7),
            previous_address=Place(text=f"福島県双葉郡広野町大字下北迫字苗代替{number + 1}番地"),
        ),
        domicile=Domicile(registered_domicile=f"福島県いわき市平字梅本{number + 1}番地", family_head=name),
        my_number=MyNumber(my_number="123456789018"),
        resident_code=ResidentCode(resident_code="12345678901"),
    )


if __name__ == "__main__":
    print(json.dumps(run(quick="--full" not in sys.argv), ensure_ascii=False, indent=2))
