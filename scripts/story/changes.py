"""Steps 5 and 6: the changes of a life, each entered by one clerk from the form and confirmed by another."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from juki.dates import today_in_japan
from juki.numbers import my_number_check_digit, resident_code_check_digit
from story.clerk import Clerk, code_of, ok
from story.world import IWAKI, World, proved


def today() -> dt.date:
    """The business day in Japan."""
    return today_in_japan(dt.datetime.now(dt.UTC))


def days_ago(days: int) -> str:
    """A day before today as the API takes it."""
    return (today() - dt.timedelta(days=days)).isoformat()


def clerks(world: World) -> tuple[Clerk, Clerk]:
    """The clerk who enters and the one who confirms, logged in once."""
    if "clerks" not in world.shared:
        world.shared["clerks"] = (
            Clerk(world, IWAKI, "kanno.a", "IWK-HON-01"),
            Clerk(world, IWAKI, "yoshida.s", "IWK-HON-02"),
        )
    entering, confirming = world.shared["clerks"]
    return entering, confirming


def my_number(serial: int) -> str:
    """A synthetic 個人番号: the body starts with 99, which no story of ours uses for anybody else's number."""
    body = f"99{serial:09d}"
    return body + str(my_number_check_digit(body))


def resident_code(serial: int) -> str:
    """A synthetic 住民票コード as the former municipality's certificate gives it."""
    body = f"9{serial % 10**9:09d}"
    return body + str(resident_code_check_digit(body))


def form(world: World, **more: Any) -> dict[str, Any]:
    """受付記録 of one paper form."""
    world.shared["forms"] = world.shared.get("forms", 0) + 1
    number = f"R8-{world.shared['forms']:05d}"
    checker = next(p["operator_id"] for p in world.shared["secrets"][IWAKI]["operators"] if p["login"] == "kanno.a")
    return {"form_no": number, "notifier": "届出　太郎", "document": "my_number_card", "checked_by": checker} | more


def paper(change: dict[str, Any], path: str) -> str:
    """What stands on the form at a path: the confirming clerk types it from there. Forms are handed in today."""
    value: Any = {"notified_on": days_ago(0), **change}
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else value.get(part, "")
    return str(value or "")


def settle(world: World, change: dict[str, Any], reception: dict[str, Any] | None = None) -> dict[str, Any]:
    """Enter and confirm; alerts are acknowledged with a reason, as a clerk would."""
    entering, confirming = clerks(world)
    case_no = enter(world, change, reception)
    view = ok(confirming.get(f"/cases/{case_no}"), "the second clerk sees the case")
    again = {path: paper(change, path) for path in view["reentry"]}
    refused = entering.post(f"/cases/{case_no}/confirm", {"reentry": again})
    proved(refused.status_code == 403, "whoever entered the change cannot confirm it")
    return ok(confirming.post(f"/cases/{case_no}/confirm", {"reentry": again}), f"{change['form']} is confirmed")


def enter(world: World, change: dict[str, Any], reception: dict[str, Any] | None = None) -> int:
    """仮登録 of a change; the case number."""
    entering, _ = clerks(world)
    body = {"change": change, "reception": reception or form(world)}
    examined = ok(entering.post("/changes/examine", body), f"{change['form']} is examined")
    proved(not examined["findings"]["errors"], f"{change['form']} has no errors: {examined['findings']['errors']}")
    passed = {alert["code"]: "届出書と本人への聞き取りで確認しました。" for alert in examined["findings"]["alerts"]}
    return int(
        ok(entering.post("/changes", body | {"acknowledged": passed}), f"{change['form']} is entered")["case_no"]
    )


def record(world: World, atena_no: str, **parameters: str) -> dict[str, Any]:
    """住民票 as the entering clerk reads it."""
    return ok(clerks(world)[0].get(f"/records/{atena_no}", **parameters), "the record is read")


def members(world: World, setai_no: str) -> list[dict[str, Any]]:
    """世帯員, head first."""
    return ok(clerks(world)[0].get(f"/households/{setai_no}"), "the household is read")["members"]


def whole(world: World, setai_no: str) -> list[dict[str, Any]]:
    """世帯員 of a household that has exactly one 世帯主, whose name everybody carries."""
    found = members(world, setai_no)
    heads = [m for m in found if m["is_head"]]
    proved(len(heads) == 1, "the household has exactly one 世帯主")
    proved({m["basic"]["head_name"] for m in found} == {heads[0]["basic"]["name"]}, "all name the same 世帯主")
    return found


def history(world: World, atena_no: str) -> list[dict[str, Any]]:
    """異動履歴 of one resident."""
    return ok(clerks(world)[0].get(f"/records/{atena_no}/history"), "the history is read")


def move_in(world: World) -> dict[str, object]:
    """転入 of a family of three; a draft is invisible, and one person alone cannot finish it."""
    entering, confirming = clerks(world)
    seed = random.Random(world.residents)
    numbers = [my_number(seed.randrange(900_000_000, 999_999_999)) for _ in range(3)]
    people = [
        ("渡邊\U000e0109　真澄", "ワタナベ　マスミ", "1981-05-03", "1", "世帯主"),
        ("渡邊\U000e0109　葛\U000e0102葉", "ワタナベ　クズハ", "1983-11-20", "2", "妻"),
        ("渡邊\U000e0109　陽向", "ワタナベ　ヒナタ", "2015-02-28", "1", "子"),
    ]
    change: dict[str, Any] = {
        "form": "move_in",
        "occurred_on": days_ago(3),
        "address": {
            "text": "福島県いわき市平字梅本21番地", "building": "梅本コーポ205号", "code": "07204400001", "postal": "9708026",
        },
        "previous_address": {"text": "宮城県仙台市青葉区国分町三丁目7番1号", "code": "04101", "postal": "9800803"},
        "former_head_name": "渡邊\U000e0109　真澄",
        "persons": [
            {
                "name": name, "name_kana": kana, "birth": birth, "sex": sex, "relationship": relation,
                "registered_domicile": "宮城県仙台市青葉区国分町三丁目7番", "family_head": "渡邊\U000e0109　真澄",
                "my_number": number, "my_number_source": "card", "resident_code": resident_code(int(number[2:11])),
            }
            for (name, kana, birth, sex, relation), number in zip(people, numbers, strict=True)
        ],
    }  # fmt: skip
    case_no = enter(world, change)
    found = ok(entering.post("/search", {"kana": "ワタナベ　マスミ"}), "search while a draft")
    before = [h for h in found["hits"] if h["name"] == people[0][0]]
    proved(not before, "a 仮登録 is invisible to search, and so to every certificate")
    view = ok(confirming.get(f"/cases/{case_no}"), "the second clerk sees the case")
    again = {path: paper(change, path) for path in view["reentry"]}
    proved(not any(number in str(view) for number in numbers), "the second clerk is not shown what they type again")
    same = entering.post(f"/cases/{case_no}/confirm", {"reentry": again})
    proved(same.status_code == 403, "the same clerk confirming is refused")
    wrong = again | {"persons.0.my_number": my_number(1)}
    mismatch = confirming.post(f"/cases/{case_no}/confirm", {"reentry": wrong})
    proved(code_of(mismatch) == "registry.reentry_mismatch", "a number typed differently the second time is refused")
    proved(numbers[0] not in mismatch.text, "the refusal names the field, not the value")
    result = ok(confirming.post(f"/cases/{case_no}/confirm", {"reentry": again}), "転入 is confirmed")
    twice = ok(confirming.post(f"/cases/{case_no}/confirm", {"reentry": again}), "confirming twice")
    proved(twice["event_no"] == result["event_no"], "confirming twice answers the same and changes nothing")
    family = [str(a) for a in result["new_atena_nos"]]
    proved(len(family) == 3, "three new 宛名番号")
    home = str(record(world, family[0])["setai_no"])
    proved(len(whole(world, home)) == 3, "the household has three members")
    shown = record(world, family[0], groups="basic,my_number")
    proved(shown["my_number"]["my_number"] == numbers[0], "the 個人番号 stands in the record")
    proved(shown["basic"]["name"] == people[0][0], "the variant of the name is kept to the last selector")
    world.shared["family"], world.shared["home"], world.shared["numbers"] = family, home, numbers
    world.shared["move_in_event"] = result["event_no"]
    return {
        "proved": "入力者以外が届出書と照合するまで、誰にも見えません",
        "case_no": case_no, "event_no": result["event_no"], "members": 3,
    }  # fmt: skip


def change_address(world: World) -> dict[str, object]:
    """転居 of the whole household; the day before still shows the old address."""
    family = world.shared["family"]
    address = {"text": "福島県いわき市小名浜花畑町34番地の2", "code": "07204400002", "postal": "9718101"}
    known = dt.datetime.now(dt.UTC)
    result = settle(world, {"form": "relocate", "occurred_on": days_ago(1), "atena_nos": family, "address": address})
    for atena_no in family:
        proved(
            record(world, atena_no)["address"]["address"]["text"] == address["text"], "everybody has the new address"
        )
    earlier = record(world, family[0], as_of=days_ago(2))
    proved("梅本" in earlier["address"]["address"]["text"], "as of the day before, the old address")
    unknown = record(world, family[0], known_at=known.isoformat())
    proved("梅本" in unknown["address"]["address"]["text"], "as known before it was recorded, the old address")
    proved(len(whole(world, world.shared["home"])) == 3, "the household stays whole")
    return {"proved": "異動日と記録日時の二つの軸で当時の記録が読めます", "event_no": result["event_no"]}


def birth(world: World) -> dict[str, object]:
    """出生: 住民票コード from the stock, 個人番号 asked for."""
    home, family = world.shared["home"], world.shared["family"]
    child = {
        "name": "渡邊\U000e0109　凪", "name_kana": "ワタナベ　ナギ", "birth": days_ago(1), "sex": "2", "relationship": "子",
        "registered_domicile": "宮城県仙台市青葉区国分町三丁目7番", "family_head": "渡邊\U000e0109　真澄",
    }  # fmt: skip
    result = settle(world, {"form": "birth", "occurred_on": days_ago(1), "setai_no": home, "person": child})
    (newborn,) = result["new_atena_nos"]
    shown = record(world, newborn, groups="basic,address,my_number,resident_code")
    proved(shown["resident_code"] is not None, "a 住民票コード was taken from the stock")
    proved(shown["my_number"] is None, "the 個人番号 is asked for, not invented")
    proved([m["member_order"] for m in whole(world, home)] == [1, 2, 3, 4], "four members in the order of the register")
    world.shared["newborn"] = newborn
    proved(newborn not in family, "a new 宛名番号")
    return {"proved": "住民票コードを在庫から付け、個人番号は請求中として残ります", "event_no": result["event_no"]}


def death(world: World) -> dict[str, object]:
    """死亡 of the head: the form settles who heads those left behind."""
    home, family = world.shared["home"], world.shared["family"]
    head, spouse, child = family
    result = settle(
        world,
        {
            "form": "death", "occurred_on": days_ago(0), "atena_no": head,
            "positions": [
                {"atena_no": spouse, "relationship": "世帯主"},
                {"atena_no": child, "relationship": "子"},
                {"atena_no": world.shared["newborn"], "relationship": "子"},
            ],
        },
    )  # fmt: skip
    left = whole(world, home)
    proved(head not in [m["atena_no"] for m in left], "the dead person has left the household")
    proved(left[0]["atena_no"] == spouse, "the new 世帯主 stands first")
    proved(record(world, head)["status"] == "deceased", "the removed record is kept")
    return {"proved": "世帯主の死亡と世帯主変更が一つの届出で済み、世帯は崩れません", "event_no": result["event_no"]}


def move_out(world: World) -> dict[str, object]:
    """転出 of one member on a day that lies ahead: until then a resident."""
    child = world.shared["family"][2]
    ahead = (today() + dt.timedelta(days=10)).isoformat()
    destination = {"text": "東京都千代田区霞が関二丁目1番2号", "code": "13101", "postal": "1000013"}
    change = {"form": "move_out", "occurred_on": ahead, "atena_nos": [child], "destination": destination}
    result = settle(world, change)
    proved(record(world, child)["status"] == "resident", "until the planned day the person is a resident")
    proved(record(world, child, as_of=ahead)["status"] == "moved_out", "on that day no more")
    world.shared["move_out_event"] = result["event_no"]
    return {"proved": "転出予定日までは住民、その日から除票です", "event_no": result["event_no"]}


def correct(world: World) -> dict[str, object]:
    """誤記修正: it names the version that it corrects; both stay."""
    spouse = world.shared["family"][1]
    versions = history(world, spouse)
    latest = max(v["record"]["version_no"] for v in versions)
    result = settle(
        world,
        {
            "form": "correct", "occurred_on": days_ago(0), "atena_no": spouse, "version_no": latest,
            "items": {"basic.name_kana": "ワタナベ　クズヨ"}, "remarks": "振り仮名の誤記",
        },
    )  # fmt: skip
    proved(record(world, spouse)["basic"]["name_kana"] == "ワタナベ　クズヨ", "the corrected reading stands")
    after = history(world, spouse)
    newest = max(after, key=lambda v: v["record"]["version_no"])
    proved(newest["record"]["corrects_version"] == latest, "the correction names what it corrects")
    proved(len(after) == len(versions) + 1, "nothing was overwritten")
    return {
        "proved": "訂正は新しい版として残り、訂正された版を名指しします",
        "event_no": result["event_no"],
        "corrects": latest,
    }


def cancel(world: World) -> dict[str, object]:
    """異動の取消し of the planned 転出: the record is as it was, and both entries stay."""
    child = world.shared["family"][2]
    before = len(history(world, child))
    ahead = (today() + dt.timedelta(days=20)).isoformat()
    result = settle(world, {"form": "cancel", "occurred_on": days_ago(0), "event_no": world.shared["move_out_event"]})
    proved(record(world, child, as_of=ahead)["status"] == "resident", "after the cancellation still a resident")
    proved(len(history(world, child)) > before, "the cancelled and the cancelling entry both stay")
    return {"proved": "取消しで元に戻り、取り消した異動も履歴に残ります", "event_no": result["event_no"]}
