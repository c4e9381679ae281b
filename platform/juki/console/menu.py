"""業務の一覧: each duty sees what it may do and nothing else; five acts have a key of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from juki.access import Caller


class Entry(msgspec.Struct, frozen=True):
    """One piece of work: where it is, what it is called, the key that opens it, and a sentence for the first page."""

    path: str
    label: str
    rights: tuple[str, ...]
    key: str = ""
    about: str = ""
    count: int = 0


ENTRIES: Final[tuple[Entry, ...]] = (
    Entry(
        "/search", "検索・照会", ("resident.search",), "s", "氏名、フリガナ、生年月日、住所、番号から住民を探します。"
    ),
    Entry("/changes/move-in", "転入の入力", ("change.enter",), "n", "転入届を入力し、仮登録します。"),
    Entry("/cases", "照合待ち", ("change.confirm", "change.enter"), "q", "仮登録を届出書と照合し、本登録します。"),
    Entry("/protection", "支援措置", ("protection.read",), "", "支援措置の登録、期間、申出の内容を確かめます。"),
    Entry(
        "/protection/loosenings",
        "支援措置・抑止の承認待ち",
        ("protection.enter",),
        "",
        "支援措置の終了・縮小と抑止の解除の申請を確かめ、承認又は却下します。",
    ),
    Entry("/worklist", "移行の作業一覧", ("import.review",), "", "取り込めなかった行を開き、直し方を決めます。"),
    Entry("/audit", "操作の記録", ("audit.read",), "", "誰が、いつ、何の目的で何を見たかを調べます。"),
    Entry(
        "/staff", "操作者と権限", ("account.manage", "account.approve"), "", "操作者を確かめ、権限を申請・承認します。"
    ),
    Entry("/account", "利用者の設定", (), "", "パスワード、ワンタイムコード、自分のログインの記録。"),
)


def entries(caller: Caller) -> Sequence[Entry]:
    """The entries of this clerk's duty, in the order of the counter."""
    return [e for e in ENTRIES if not e.rights or any(caller.may(right) for right in e.rights)]
