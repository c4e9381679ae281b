"""Step 4: finding people as a clerk does, and not finding those of another municipality."""

from __future__ import annotations

from itertools import chain
from typing import Any

from juki import dates
from story.changes import clerks
from story.clerk import Clerk, ok
from story.world import HIRONO, NotProved, World, proved

COMMON = ("渡辺", "斎藤", "高橋", "山崎", "浜田", "沢田")
INITIALS = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワ"


def run(world: World) -> dict[str, object]:
    """Every way of asking leads to the same person; the cap is stated; the neighbour's people are not there."""
    clerk, _ = clerks(world)
    missing = clerk.http.post(f"/{clerk.code}/api/v1/search", json={"kana": "サトウ"})
    proved(missing.status_code == 422, "a search without a stated purpose is refused")
    broad = find(clerk, kana="サ")
    enough = world.residents >= 1500  # fewer people may not have fifty whose names begin so
    proved(
        len(broad["hits"]) <= 50 and (broad["capped"] or not enough),
        "50 at most, and the answer says when there are more",
    )
    variants, written = _variants(clerk)
    proved(written or not enough, "渡辺 finds 渡邊 and 渡邉, or another common name its variants")
    person = _somebody(clerk, [*variants, *broad["hits"]])
    world.shared["found"] = person["atena_no"]
    ways = _ways(clerk, person)
    for way, query in ways.items():
        found = {h["atena_no"] for h in find(clerk, **query)["hits"]}
        proved(person["atena_no"] in found, f"found by {way}")
    stranger = Clerk(world, HIRONO, "shiga.n", "HRN-HON-01")
    world.shared["stranger"] = stranger
    number = ways["個人番号"]["my_number"]
    proved(not find(stranger, my_number=number)["hits"], "the other municipality does not find the number")
    theirs = find(stranger, name=person["name"])["hits"]
    proved(all(h["address"].find("広野町") >= 0 or h["status"] != "resident" for h in theirs), "only its own people")
    proved(_unknown(stranger, person), "another municipality's 宛名番号 is simply unknown")
    return {
        "proved": "かな・異体字・和暦・住所・番号で見つかり、隣の町の住民は見つかりません",
        "ways": list(ways), "variants": written, "cap": len(broad["hits"]),
    }  # fmt: skip


def _somebody(clerk: Clerk, hits: list[dict[str, Any]]) -> dict[str, Any]:
    """A resident to be found by every way; among few people perhaps nobody of these suits, but somebody else does."""
    others = (hit for kana in INITIALS for hit in find(clerk, kana=kana)["hits"])
    for hit in chain(hits, others):
        if hit["status"] == "resident" and _exact(hit["birth"]) and not hit["protected"]:
            return hit
    raise NotProved("somebody lives here unprotected and with a known day of birth")


def _unknown(stranger: Clerk, person: dict[str, Any]) -> bool:
    """Nobody there; or, since each municipality counts from its own start, somebody else under the same number."""
    answer = stranger.get(f"/records/{person['atena_no']}", groups="basic")
    if answer.status_code == 404:
        return True
    basic = ok(answer, "the record")["basic"]
    return (basic["name"], basic["birth"]) != (person["name"], person["birth"])


def _variants(clerk: Clerk) -> tuple[list[dict[str, Any]], list[str]]:
    """Hits of the first common family name that somebody here writes in another form, and the forms found."""
    for family in COMMON:
        hits = find(clerk, name=family)["hits"]
        other = [h for h in hits if not _borne(h, family) and not h["matched_past"]]
        if other:
            proved(all(h["variant"] for h in other), "variants are marked")
            return hits, sorted({h["name"].split("　")[0] for h in hits})
    return [], []


def _borne(hit: dict[str, Any], family: str) -> bool:
    """Found by the very letters: of the name, of 通称 or 旧氏, or of a foreign resident's name in kanji, which no hit shows."""
    names = (hit["name"], hit["alias"], hit["former_surname"])
    return any(name.startswith(family) for name in names) or hit["kind"] == "foreign"


def find(clerk: Clerk, **query: Any) -> dict[str, Any]:
    """照会 for the purpose of the counter."""
    return ok(clerk.post("/search", query), "search")


def _ways(clerk: Clerk, person: dict[str, Any]) -> dict[str, dict[str, str]]:
    birth = dates.parse(_exact(person["birth"]))
    shown = ok(clerk.get(f"/records/{person['atena_no']}", groups="basic,address,my_number"), "the record")
    place = shown["address"]["address"]["text"]
    family = person["name_kana"].replace("　", " ").split(" ")[0]
    return {
        "かなの先頭": {"kana": family[:3], "birth": dates.western(birth)},
        "氏名と和暦": {"name": person["name"], "birth": dates.wareki(birth)},
        "和暦の略記": {"name": person["name"].split("　")[0], "birth": _short(birth)},
        "住所": {"address": place, "name": person["name"]},
        "個人番号": {"my_number": shown["my_number"]["my_number"]},
        "宛名番号": {"atena_no": person["atena_no"]},
    }


def _exact(birth: str | dict[str, str]) -> str:
    """The day as YYYY-MM-DD, empty where it is an expression or has unknown parts."""
    if isinstance(birth, dict):
        birth = "" if birth["note"] else birth["date"]
    return "" if "-00" in birth else birth


def _short(birth: dates.RegistryDate) -> str:
    day = birth.sort_date()
    era = dates.era_of(day)
    assert era is not None
    return f"{era.letter}{day.year - era.start.year + 1}.{day.month}.{day.day}"
