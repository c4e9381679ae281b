"""Step 7: 住民票の写し on paper: the whole household, one person with 個人番号, and a neutral refusal."""

from __future__ import annotations

import base64
import io
from typing import Any

from pypdf import PdfReader

from story.changes import clerks, days_ago, members
from story.clerk import Clerk, code_of, ok
from story.search import find
from story.world import World, proved


def run(world: World) -> dict[str, object]:
    """Prepare, preview, issue; the same token twice is one paper; history and disclosures are there at once."""
    clerk, _ = clerks(world)
    family = [m["atena_no"] for m in members(world, world.shared["home"])]
    asker = family[0]
    whole = issue(clerk, application(asker, family, "household", ["relationship"]))
    single = issue(clerk, application(asker, [asker], "tax", ["my_number"]))
    official = issue(
        clerk,
        application(
            asker, [asker], "official", [], relation="official", official_use=True, ground="地方税法に基づく調査"
        ),
    )
    for name, paper in (("household", whole), ("my-number", single), ("official", official)):
        (world.out / f"certificate-{name}.pdf").write_bytes(paper["pdf_bytes"])
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(whole["pdf_bytes"])).pages)
    fonts = _fonts(whole["pdf_bytes"])
    proved(all(embedded for _, embedded in fonts), "every font is embedded")
    proved(any("Mincho" in name or "mjm" in name.lower() for name, _ in fonts), "values stand in Mincho")
    proved(whole["fee_yen"] > 0 and official["fee_yen"] == 0, "a fee, or 公用 without one")
    proved("公用" in _text(official["pdf_bytes"]), "公用 is marked on the paper")
    number = world.shared["numbers"][1]
    spaced = _text(single["pdf_bytes"]).replace(" ", "")
    proved(number in spaced, "the 個人番号 is printed for the purpose that needs it")
    proved(number not in text.replace(" ", ""), "and nowhere else")
    history = ok(clerk.get(f"/residents/{asker}/certificates"), "issue history")
    proved(len(history) >= 3, "each copy stands in the issue history")
    refusal = protected(world, clerk)
    return {
        "proved": "世帯全員・個人番号入り・公用の写しを交付し、保護対象者は第三者に中立に断ります",
        "issue_numbers": [p["issue_no"] for p in (whole, single, official)],
        "pages": whole["pages"], "fonts": [name for name, _ in fonts], "refusal": refusal,
    }  # fmt: skip


def application(asker: str, persons: list[str], purpose: str, items: list[str], **more: Any) -> dict[str, Any]:
    """交付申請 of somebody whose identity was seen."""
    return {
        "relation": "self" if persons == [asker] else "household",
        "requester": {
            "name": "渡邊\U000e0109　葛\U000e0102葉",
            "identity": "photo",
            "atena_no": asker,
            "organisation": "福島県いわき地方振興局" if more.get("relation") == "official" else "",
        },
        "persons": persons, "purpose": purpose, "items": items,
    } | more  # fmt: skip


def issue(clerk: Clerk, body: dict[str, Any]) -> dict[str, Any]:
    """交付: the paper of one application; issuing the same token again gives the same paper."""
    preview = clerk.post("/certificates/preview", body)
    ok(preview, "the certificate is previewed")
    proved(preview.content.startswith(b"%PDF"), "the preview is a PDF")
    prepared = ok(clerk.post("/certificates/prepare", body), "the application is prepared")
    issued = ok(clerk.post("/certificates/issue", {"token": prepared["token"]}), "the certificate is issued")
    again = ok(clerk.post("/certificates/issue", {"token": prepared["token"]}), "issued twice")
    proved(again["issue_no"] == issued["issue_no"] and again["repeated"], "sent twice, one paper")
    return issued | {"pdf_bytes": base64.b64decode(issued["pdf"])}


def protected(world: World, clerk: Clerk) -> dict[str, object]:
    """A third party asks for a protected person whose measure one clerk tried to end: a refusal that says nothing, and a
    warning for the clerk alone."""
    atena_no = world.shared["found"]
    shown = ok(clerk.get(f"/records/{atena_no}", groups="basic,address"), "the person's record")
    body = application(atena_no, [atena_no], "claim", [], relation="third", ground="債権の回収のため")
    free = ok(clerk.post("/certificates/check", body), "the application is checked before")
    measure = {
        "name": shown["basic"]["name"], "birth": shown["basic"]["birth"],
        "address": shown["address"]["address"]["text"], "atena_no": atena_no, "copies": {"wanted": True},
        "starts_on": days_ago(0), "first_received_by": "いわき市",
    }  # fmt: skip
    measure_no = ok(clerk.post("/protections", measure), "支援措置 is registered")["measure_no"]
    asked = ok(clerk.post(f"/protections/{measure_no}/ask-end", {"reason": "申出の取下げ"}), "its end is asked for")
    alone = clerk.post(f"/loosenings/{asked['loosening_no']}/approve", {})
    proved(alone.status_code == 403, "whoever asks for the end of a measure cannot approve it")
    found = [h for h in find(clerk, atena_no=atena_no)["hits"] if h["protected"]]
    proved(found, "the clerk sees the notice from the first list on")
    verdict = ok(clerk.post("/certificates/check", body), "the application is checked")
    proved(verdict["refusal"], "refused")
    proved(verdict["warnings"] or verdict["notice"], "the clerk is warned")
    prepared = clerk.post("/certificates/prepare", body)
    proved(prepared.status_code == 403, "and cannot be prepared")
    proved("支援" not in prepared.text and "protect" not in prepared.text, "the refusal does not say why")
    return {"code": code_of(prepared), "refused_before": bool(free["refusal"]), "ended_alone": code_of(alone)}


def _text(pdf: bytes) -> str:
    return "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def _fonts(pdf: bytes) -> list[tuple[str, bool]]:
    found: dict[str, bool] = {}
    for page in PdfReader(io.BytesIO(pdf)).pages:
        for font in page["/Resources"].get_object().get("/Font", {}).values():
            base = font.get_object()
            below = base.get("/DescendantFonts", [base])[0].get_object()
            descriptor = below.get("/FontDescriptor", {})
            embedded = any(k in descriptor for k in ("/FontFile", "/FontFile2", "/FontFile3"))
            found[str(base["/BaseFont"])] = embedded
    return sorted(found.items())
