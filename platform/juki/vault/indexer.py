"""Blind indexes: what the database may compare without learning what it compares (docs/adr/0002).

Unique numbers get a 128-bit HMAC. Everything that repeats in a population (names, kana, birth, address) is smoothed: a
value owns several *buckets*, more the commoner it is expected to be; every bucket is shared by many values; a row lies in
one of its value's buckets, chosen by a keyed hash of its `spread`: the 世帯番号 for what a household shares (family name,
address), the 宛名番号 for what stays with a person (whole name, given name, birth), so that neither living together nor a
history of many rows shows two buckets to belong together. A search asks for all buckets of a value and the caller
opens the candidates and compares. Buckets of longer prefixes lie inside buckets of shorter ones, so the three tokens
of a row tell no more than the longest alone.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from juki.problem import Invalid
from juki.vault import priors
from juki.vault.faults import Purged
from juki.vault.roots import derive, wipe

# Tuned by tests/bench/leakage.py: fewer slices make a search cheaper and a locally common value visible.
NAME_SLICES: Final = 12  # slices of common values that meet in one bucket; also the price of searching for one
KANA_SLICES: Final = 6
_CACHE_ENTRIES_MAX: Final = 50_000
_SPREADS_MAX: Final = 8_192  # a household or a person is asked for several times together and then hardly again
_LEVELS_MAX: Final = 3

FAMILY_BUCKETS: Final = 2048
FULL_BUCKETS: Final = 4096
KANA_FANOUTS: Final = (64, 16, 4)
ADDRESS_FANOUTS: Final = (1024, 8)
ADDRESS_SLICES: Final = (64, 8)
BIRTH_DEALS: Final = 8
YEARS_PER_STRATUM: Final = 16
MONTHS: Final = 12
DAY_BUCKETS: Final = 8

_BLOCK_BYTES: Final = 64  # of SHA-256
_NODE_BITS: Final = 0xFFFFFF
_FOUR_NUMBERS: Final = struct.Struct(">IIII16x").unpack
_EIGHT_NUMBERS: Final = struct.Struct(">8I").unpack
_MARKS: Final = {"family": 1, "full": 2, "kana.family": 3, "kana.given": 4, "birth": 5, "address": 6}


_K = TypeVar("_K")
_V = TypeVar("_V")


def remember(cache: dict[_K, _V], key: _K, value: _V, most: int = _CACHE_ENTRIES_MAX) -> None:
    """Keep a value; a full cache is emptied, which an import refills faster than any order of age could be kept."""
    if len(cache) >= most:
        cache.clear()
    cache[key] = value


class Mac:
    """HMAC-SHA-256 with its two padded blocks hashed beforehand: 0.7 us instead of 1.6 us a message."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(b ^ 0x36 for b in block))
        self._outer = hashlib.sha256(bytes(b ^ 0x5C for b in block))

    def __call__(self, message: bytes) -> bytes:
        """32 bytes."""
        return self.column((message,))[0]

    def column(self, messages: Iterable[bytes]) -> list[bytes]:
        """32 bytes for each message."""
        inner_copy, outer_copy = self._inner.copy, self._outer.copy
        found: list[bytes] = []
        for message in messages:
            inner, outer = inner_copy(), outer_copy()
            inner.update(message)
            outer.update(inner.digest())
            found.append(outer.digest())
        return found


class _Plan(NamedTuple):
    """Where one value of one level lies: four drawn numbers, its buckets, and the plan of the prefix around it."""

    at: int
    start: int
    step: int
    turn: int
    slices: int
    outer: _Plan | None
    paths: dict[int, tuple[int, ...]]  # as they are met


class _Tree:
    """Buckets in levels; every bucket of one level lies inside one of the level before."""

    def __init__(self, root: bytes | bytearray, index: str, fanouts: tuple[int, ...]) -> None:
        self._mac = Mac(derive(root, "index", index))
        self.fanouts = fanouts
        self.sizes = tuple(math.prod(fanouts[: i + 1]) for i in range(len(fanouts)))
        self._marks = tuple((_MARKS[index] * 4 + level) << 24 for level in range(len(fanouts)))
        self._plans: dict[str, _Plan] = {}

    def plan(self, prefixes: tuple[str, ...], slices: tuple[int, ...]) -> _Plan:
        """Draw the places of the longest of `prefixes`; `slices` says how many buckets each level has."""
        outer: _Plan | None = None
        for level, (prefix, count) in enumerate(zip(prefixes, slices, strict=False)):
            drawn = f"{level}|{prefix}"
            plan = self._plans.get(drawn)
            if plan is None:
                at, start, step, turn = _FOUR_NUMBERS(self._mac(drawn.encode()))
                plan = _Plan(at, start, step, turn, count, outer, {})
                remember(self._plans, drawn, plan)
            outer = plan
        assert outer is not None  # noqa: S101 (a value has at least one level)
        return outer

    def tags(self, values: Sequence[str], slices: Iterable[int], picks: Iterable[int]) -> list[int]:
        """One bucket of each value in a tree of one level, kept nowhere: for values that hardly repeat."""
        mark, fanout = self._marks[0], self.fanouts[0]
        drawn = map(_FOUR_NUMBERS, self._mac.column([f"0|{value}".encode() for value in values]))
        return [
            mark | (start + pick % count * (step | 1)) % fanout
            for (_, start, step, _), count, pick in zip(drawn, slices, picks, strict=True)
        ]

    def paths(self, plans: Iterable[_Plan], picks: Iterable[int]) -> list[tuple[int, ...]]:
        """`path` of each plan."""
        path = self.path
        return [plan.paths.get(pick % plan.slices) or path(plan, pick) for plan, pick in zip(plans, picks, strict=True)]

    def path(self, plan: _Plan, pick: int) -> tuple[int, ...]:
        """Stored integers of one of a value's buckets and of those around it, outermost first."""
        pick %= plan.slices
        known = plan.paths.get(pick)
        if known is not None:
            return known
        outer = plan.outer
        if outer is None:
            around, node, held = (), 0, 1
        else:
            held = outer.slices
            around = self.path(outer, plan.at + pick)
            node = around[-1] & _NODE_BITS
        level = len(around)
        fanout = self.fanouts[level]  # a power of two, and the step is odd: no bucket is met twice before all were met
        inside = (plan.start + pick // held * (plan.step | 1) + pick % held * plan.turn) % fanout
        found = (*around, self._marks[level] | node * fanout + inside)
        plan.paths[pick] = found
        return found

    def tokens(self, plan: _Plan) -> list[int]:
        """All buckets of a value on its own level, each once."""
        return list(dict.fromkeys(self.path(plan, pick)[-1] for pick in range(plan.slices)))


_Month = tuple[tuple[int, int], int, list[int]]


class _Deal:
    """Buckets of birth dates. Dates are known beforehand and nearly as common as their neighbours, so they are dealt like
    cards: in each of eight deals every 16 neighbouring years go to 16 different buckets, the 12 months of a year to 12, the
    days of a month evenly to 8. All buckets of a level then hold about as many residents, and rank says nothing.
    """

    def __init__(self, root: bytes | bytearray, mark: int) -> None:
        self._mac = Mac(derive(root, "index", "birth"))
        self._marks = tuple((mark * 4 + level) << 24 for level in range(_LEVELS_MAX))
        self._months: dict[str, list[_Month]] = {}
        self._orders: dict[tuple[str, int, int], list[int]] = {}

    def paths(self, isos: Iterable[str], picks: Iterable[int]) -> list[tuple[int, ...]]:
        """Stored integers of year, month and date of each date in one deal."""
        known, draw = self._months, self._draw
        found: list[tuple[int, ...]] = []
        for iso, pick in zip(isos, picks, strict=True):
            around, first, days = (known.get(iso[:7]) or draw(iso[:7]))[pick % BIRTH_DEALS]
            found.append((*around, first + days[int(iso[8:10]) % DAY_BUCKETS]))
        return found

    def tokens(self, iso: str) -> list[int]:
        """All buckets of a year, a month (YYYY-MM) or a date."""
        level = (len(iso) - 4) // 3
        whole = iso + "-00-00"[len(iso) - 4 :]
        return [path[level] for path in self.paths([whole] * BIRTH_DEALS, range(BIRTH_DEALS))]

    def _draw(self, month: str) -> list[_Month]:
        deals = [self._month(deal, int(month[:4]), int(month[5:7])) for deal in range(BIRTH_DEALS)]
        remember(self._months, month, deals)
        return deals

    def _month(self, deal: int, year: int, month: int) -> _Month:
        """Stored year and month, and what the days of the month are counted from in which order."""
        stratum, place = divmod(year, YEARS_PER_STRATUM)
        of_year = deal * YEARS_PER_STRATUM + self._known_order("y", deal, stratum, YEARS_PER_STRATUM)[place]
        of_month = of_year * MONTHS + self._known_order("m", deal, year, MONTHS)[(month - 1) % MONTHS]
        days = self._order("d", deal, year * 16 + month, DAY_BUCKETS)
        return (self._marks[0] | of_year, self._marks[1] | of_month), self._marks[2] | of_month * DAY_BUCKETS, days

    def _known_order(self, kind: str, deal: int, of: int, size: int) -> list[int]:
        """An order that many months share."""
        found = self._orders.get((kind, deal, of))
        if found is None:
            found = self._order(kind, deal, of, size)
            remember(self._orders, (kind, deal, of), found)
        return found

    def _order(self, kind: str, deal: int, of: int, size: int) -> list[int]:
        """A keyed permutation of range(size), size at most 16."""
        digest = self._mac(f"{kind}|{deal}|{of}".encode())
        return sorted(range(size), key=lambda i: (digest[2 * i : 2 * i + 2], i))


class _Held(dict[str, _V]):
    """What was derived from the root, by name. Once it is wiped, whoever reaches for it, also from the middle of a
    computation in another thread, is refused and does not find a hole."""

    def __missing__(self, name: str) -> _V:
        raise Purged(detail="index")


class Indexer:
    """The blind indexes under one index root. Pure computation; caches are bounded and die with the ring."""

    def __init__(self, slot: str, root: bytes | bytearray, version: int = 1) -> None:
        self.slot = slot
        self.version = version
        self._root = bytearray(root)
        self._unique: dict[str, Mac] = {}
        self._macs = _Held({"spread": Mac(derive(root, "index", "spread"))})
        self._trees = _Held({
            "family": _Tree(root, "family", (FAMILY_BUCKETS,)),
            "full": _Tree(root, "full", (FULL_BUCKETS,)),
            "kana.family": _Tree(root, "kana.family", KANA_FANOUTS),
            "kana.given": _Tree(root, "kana.given", KANA_FANOUTS),
            "address": _Tree(root, "address", ADDRESS_FANOUTS),
        })  # fmt: skip
        self._deals = _Held({"birth": _Deal(root, _MARKS["birth"])})
        self._spreads: dict[str, tuple[int, ...]] = {}
        self._plans: dict[tuple[str, str], _Plan] = {}
        self._wiped = False

    def unique(self, index: str, value: str) -> bytes:
        """16 bytes for a value that only one person has (個人番号, 住民票コード, card and certificate numbers)."""
        return self.uniques(index, (value,))[0]

    def uniques(self, index: str, values: Iterable[str]) -> list[bytes]:
        """`unique` of each value."""
        mac = self._unique.get(index)
        if mac is None:
            self._check_live()
            self._unique[index] = mac = Mac(derive(self._root, "index", "unique", index))
            if self._wiped:  # meanwhile: of zeros, or the last of a key that must be gone
                self._unique.clear()
                raise Purged(detail="index")
        return [whole[:16] for whole in mac.column(value.encode() for value in values)]

    def name_column(self, field: str, folded: Sequence[str], spreads: Sequence[str]) -> list[int]:
        """The integer to store for each row: `field` "family" spread by 世帯番号, or "full" spread by 宛名番号."""
        picks = self._picks(field, spreads)
        if field == "full":
            self._check_live()
            joined = ["".join(name.split()) for name in folded]
            return self._trees[field].tags(joined, map(_full_slices, joined), picks)
        known, plan = self._plans, self._name_plan
        plans = [known.get((field, name)) or plan(field, name) for name in folded]
        return [path[0] for path in self._trees[field].paths(plans, picks)]

    def name_tags(self, field: str, folded: str) -> list[int]:
        """Every tag that rows of this name may carry: query `tag = ANY(tags)`, then open and compare."""
        plan = self._name_plan(field, folded)
        return self._trees[field].tokens(plan)

    def kana_column(
        self, families: Sequence[str], givens: Sequence[str], spreads: Sequence[str], persons: Sequence[str]
    ) -> list[tuple[int, ...]]:
        """Six integers a row for an int[] with GIN: three for the family name, three for the given name (kana search keys).

        `spreads` are the 世帯番号 and place the family names, `persons` the 宛名番号 and place the given names.
        """
        known, plan = self._plans, self._kana_plan
        sides: list[list[tuple[int, ...]]] = []
        for field, kanas, by in (("kana.family", families, spreads), ("kana.given", givens, persons)):
            heads = [kana[:_LEVELS_MAX] for kana in kanas]
            plans = [known.get((field, head)) or plan(field, head) for head in heads]
            sides.append(self._trees[field].paths(plans, self._picks(field, by)))
        return [family + given for family, given in zip(*sides, strict=True)]

    def kana_query(self, family_prefix: str, given_prefix: str = "") -> list[list[int]]:
        """Lists of tokens; a row matches where its tokens overlap (`&&`) each list. Open and compare the candidates."""
        wanted: list[list[int]] = []
        for field, kana in (("kana.family", family_prefix), ("kana.given", given_prefix)):
            if kana:
                wanted.append(self._query(field, _kana_prefixes(kana)[: len(kana)]))
        if not wanted:
            raise Invalid("vault.empty_query", "a kana search needs a family or a given prefix")
        return wanted

    def kana_whole_family(self, family: str) -> list[int]:
        """Tokens of rows whose family name is just this, where it is shorter than what is indexed of one."""
        return self._query("kana.family", _kana_prefixes(family))

    def birth_column(self, isos: Sequence[str], persons: Sequence[str]) -> list[tuple[int, ...]]:
        """Three integers a row (year, year-month, whole date) of a YYYY-MM-DD with 00 for unknown parts; spread by
        宛名番号."""
        picks = self._picks("birth", persons)
        self._check_live()
        return self._deals["birth"].paths(isos, picks)

    def birth_query(self, year: int, month: int | None = None, day: int | None = None) -> list[list[int]]:
        """Lists of tokens as in `kana_query`, for a year, a month of a year or a whole date (0 = unknown part)."""
        self._check_live()
        if month is None:
            return [self._deals["birth"].tokens(f"{year:04d}")]
        return [self._deals["birth"].tokens(f"{year:04d}-{month:02d}" + ("" if day is None else f"-{day:02d}"))]

    def address_column(self, folded: Sequence[str], spreads: Sequence[str]) -> list[tuple[int, ...]]:
        """Two integers a row: 町・字 with the first number after it (丁目 or 番地), and with the second; spread by
        世帯番号."""
        known, plan = self._plans, self._address_plan
        plans = [known.get(("address", text)) or plan(text) for text in folded]
        return self._trees["address"].paths(plans, self._picks("address", spreads))

    def address_query(self, folded: str) -> list[list[int]]:
        """Lists of tokens as in `kana_query`: 町・字 whole, and at least the number after it.

        Raises Invalid `vault.address_needs_number`: how many people live in a 町 is published and differs so much from one
        to the next that no affordable spreading hides it, so there is no index of 町 alone.
        """
        town, numbers = split_address(folded)
        if not town or not numbers:
            raise Invalid("vault.address_needs_number", "an address is found by 町・字 and the number after it")
        return [self._query("address", _address_prefixes(town, numbers)[: len(numbers)])]

    def wipe(self) -> None:
        """Forget the root and everything derived from it."""
        if self._wiped:
            return
        self._wiped = True
        wipe(self._root)
        for held in (self._unique, self._macs, self._trees, self._deals, self._spreads, self._plans):
            held.clear()

    def _check_live(self) -> None:
        if self._wiped:
            raise Purged(detail="index")

    def _picks(self, field: str, spreads: Iterable[str]) -> list[int]:
        """The number by which each row chooses among the buckets of its value."""
        known, draw, mark = self._spreads, self._spread, _MARKS[field]
        return [(known.get(spread) or draw(spread))[mark] for spread in spreads]

    def _spread(self, spread: str) -> tuple[int, ...]:
        self._check_live()
        picks = _EIGHT_NUMBERS(self._macs["spread"](spread.encode()))
        remember(self._spreads, spread, picks, _SPREADS_MAX)
        return picks

    def _name_plan(self, field: str, folded: str) -> _Plan:
        self._check_live()
        joined = "".join(folded.split())
        tree = self._trees[field]
        if field == "full":
            return tree.plan((joined,), (_full_slices(joined),))
        plan = tree.plan((joined,), (_slices(priors.family_shares().get(joined, 0.0), tree.sizes[0], NAME_SLICES),))
        remember(self._plans, (field, folded), plan)
        return plan

    def _kana_plan(self, field: str, head: str) -> _Plan:
        return self._plan(field, head, _kana_prefixes(head))

    def _address_plan(self, folded: str) -> _Plan:
        return self._plan("address", folded, _address_prefixes(*split_address(folded)))

    def _plan(self, field: str, value: str, prefixes: tuple[str, ...]) -> _Plan:
        self._check_live()
        plan = self._trees[field].plan(prefixes, self._slices_of(field, prefixes))
        remember(self._plans, (field, value), plan)
        return plan

    def _query(self, field: str, prefixes: tuple[str, ...]) -> list[int]:
        self._check_live()
        tree = self._trees[field]
        return tree.tokens(tree.plan(prefixes, self._slices_of(field, prefixes)))

    def _slices_of(self, field: str, prefixes: tuple[str, ...]) -> tuple[int, ...]:
        if field == "address":
            return ADDRESS_SLICES
        shares = priors.family_kana_shares() if field == "kana.family" else priors.given_kana_shares()
        sizes = self._trees[field].sizes
        return tuple(_slices(shares.get(p, 0.0), size, KANA_SLICES) for p, size in zip(prefixes, sizes, strict=False))


def _slices(share: float, buckets: int, per_bucket: int) -> int:
    return min(buckets, max(1, math.ceil(share * buckets * per_bucket)))


@lru_cache(1 << 15)
def _slices_of_share(share: float) -> int:
    return _slices(share, FULL_BUCKETS, NAME_SLICES)


def _full_slices(joined: str) -> int:
    return _slices_of_share(priors.full_name_share(joined))


def _kana_prefixes(kana: str) -> tuple[str, ...]:
    """One, two and three kana; a shorter name is filled with "$", so that every row has as many tokens."""
    filled = kana[:_LEVELS_MAX].ljust(_LEVELS_MAX, "$")
    return filled[:1], filled[:2], filled


_DIGITS: Final = str.maketrans("０１２３４５６７８９〇一二三四五六七八九", "01234567890123456789")
_MUNICIPALITY: Final = re.compile(
    r"^(?:東京都|北海道|京都府|大阪府|.{2,3}県)?(?:.{1,7}?郡.{1,7}?[町村]|.{1,6}?市市|.{1,6}?市|.{1,4}?区)?"
)
_NUMBER_CHARS_MAX: Final = 18
_NUMBER: Final = re.compile(r"[0-9０-９]+|[〇一二三四五六七八九十]+(?=丁目)")


def split_address(folded: str) -> tuple[str, tuple[int, ...]]:
    """町・字 without prefecture and municipality, and at most two numbers after it (丁目, 番地)."""
    text = "".join(folded.split())
    first = _NUMBER.search(text)
    if first is None:
        return _town(text), ()
    numbers = _NUMBER.findall(text, first.start())[: len(ADDRESS_FANOUTS)]
    return _town(text[: first.start()]), tuple(map(_number, numbers))


@lru_cache(4096)
def _town(text: str) -> str:
    found = _MUNICIPALITY.match(text)
    return text[found.end() :] if found else text


@lru_cache(4096)
def _number(text: str) -> int:
    """A number of any spelling; what no 番地 has (十十, a thousand digits) gives some number, never a fault."""
    total = digits = 0
    for character in text[:_NUMBER_CHARS_MAX]:
        if character == "十":
            total, digits = total + (digits or 1) * 10, 0
        else:
            digits = digits * 10 + int(character.translate(_DIGITS))
    return total + digits


def _address_prefixes(town: str, numbers: tuple[int, ...]) -> tuple[str, ...]:
    first, second = (*numbers, "", "")[:2]
    return f"{town}|{first}", f"{town}|{first}|{second}"
