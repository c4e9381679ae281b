"""T12: keys are called back in one thread while others work with them. Wherever those are, down to the line, they end well
with keys they had, or are refused; they meet no hole, and leave no key behind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import pytest

from juki.vault import indexer as indexing
from juki.vault import ring as ringing
from juki.vault.faults import Purged, VaultError, VersionRetired
from juki.vault.indexer import Indexer
from juki.vault.ring import TenantRing

INDEXED: Final[dict[str, Callable[[Indexer], object]]] = {
    "unique": lambda i: i.unique("my_number", "123456789018"),
    "family": lambda i: i.name_column("family", ["渡辺"] * 2, ["0000000012"] * 2),
    "full": lambda i: i.name_column("full", ["渡辺　花子"] * 2, ["0000000013"] * 2),
    "names": lambda i: i.name_tags("family", "渡辺"),
    "kana": lambda i: i.kana_column(["ワタナベ"], ["ハナコ"], ["0000000012"], ["0000000013"]),
    "kana asked": lambda i: i.kana_query("ワタ", "ハ"),
    "birth": lambda i: i.birth_column(["1980-04-01"], ["0000000013"]),
    "birth asked": lambda i: i.birth_query(1980, 4),
    "address": lambda i: i.address_column(["福島県いわき市平字梅本21"], ["0000000012"]),
    "address asked": lambda i: i.address_query("福島県いわき市平字梅本21"),
}
EVERY_LINE: Final = 150
LINES: Final = (
    *range(1, EVERY_LINE),
    *range(EVERY_LINE, 20_000, 37),
)  # a search for a common name asks for many buckets
SEALED: Final = TenantRing("072044", {1: bytearray(b"r" * 32)}, 1, {}, "a").seal("t", "g", "1", 1, b"x")
RUNG: Final[dict[str, Callable[[TenantRing], object]]] = {
    "seal": lambda r: r.seal("t", "g", "1", 1, b"x"),
    "open": lambda r: r.open("t", "g", "1", 1, SEALED, bytes),
    "seal a column": lambda r: r.seal_column("t", "g", [r.place("1", 1)] * 2, [b"x", None]),
    "open a column": lambda r: r.open_column("t", "g", [r.place("1", 1)] * 2, [SEALED, None]),
    "seal groups": lambda r: r.seal_groups("t", ["g", "h"], "1", 1, [b"x", b"y"]),
    "reseal": lambda r: r.reseal("t", "g", "1", 1, SEALED),
}


def at_line(number: int, file: str, act: Callable[[], object], then: Callable[[], None]) -> object:
    """Run `act`, and `then` before its `number`th line of `file`; what it gave or raised."""
    lines = 0

    def tracer(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                sys.settrace(None)
                then()
                return None
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return act()
    except Exception as error:  # noqa: BLE001  judged by the test
        return error
    finally:
        sys.settrace(before)


def test_the_tracer_sees_lines() -> None:
    reached: list[str] = []
    at_line(3, indexing.__file__, lambda: Indexer("a", b"k" * 32), lambda: reached.append("here"))
    assert reached == ["here"]


@pytest.mark.parametrize("name", INDEXED)
def test_an_index_wiped_at_any_line_refuses_or_answers_and_holds_nothing(name: str) -> None:
    act = INDEXED[name]
    wanted = act(Indexer("a", b"k" * 32))
    for number in LINES:
        index = Indexer("a", b"k" * 32)
        wiped: list[int] = []

        def wipe(index: Indexer = index, wiped: list[int] = wiped) -> None:
            index.wipe()
            wiped.append(1)

        found = at_line(number, indexing.__file__, lambda index=index: act(index), wipe)
        if not wiped:
            assert number > 3
            assert found == wanted
            return
        assert isinstance(found, Purged) or found == wanted, f"line {number}: {found!r}"
        with pytest.raises(Purged):
            act(index)
    raise AssertionError("an operation without an end")


@pytest.mark.parametrize("name", RUNG)
def test_a_ring_wiped_at_any_line_refuses_or_answers_and_holds_nothing(name: str) -> None:
    act = RUNG[name]
    for number in LINES:
        ring = TenantRing("072044", {1: bytearray(b"r" * 32)}, 1, {}, "a")
        wiped: list[int] = []

        def wipe(ring: TenantRing = ring, wiped: list[int] = wiped) -> None:
            ring.wipe()
            wiped.append(1)

        found = at_line(number, ringing.__file__, lambda ring=ring: act(ring), wipe)
        if not wiped:
            assert number > 3
            assert not isinstance(found, Exception)
            return
        assert not isinstance(found, Exception) or isinstance(found, Purged | VersionRetired), (
            f"line {number}: {found!r}"
        )
        if name != "reseal":  # what is under the newest version already needs no key
            with pytest.raises(VaultError):
                act(ring)
    raise AssertionError("an operation without an end")
