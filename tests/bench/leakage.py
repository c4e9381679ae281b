"""T3: what somebody with the database alone learns from the search columns by matching ranks.

The attacker has every index column of one municipality, no key, and the *true* distribution of every value among exactly
these residents: more than any census would give. Two attacks run on each column and each level of it:

* plain: the commonest token is taken for the commonest value, the second for the second, and so on;
* informed: the attacker also knows the construction, so each value is first cut into the slices that it is spread
  over, and the commonest token is taken for the largest slice.

The score is the share of residents whose value was named rightly; the bar is naming the commonest value for everybody.
Run alone: `python tests/bench/leakage.py [--full]`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from juki.vault import Indexer, priors
from juki.vault.indexer import split_address

ERA_END = 2026
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Standard errors that luck explains at 97.5 %, for 2, 3, ... keys; about two for many."""
TOWN_LETTERS = "平泉内小浜勿来常磐四倉遠野好間久之大磐三和田人川前"


class Person(NamedTuple):
    """What the searches can ask about one synthetic resident."""

    household: str
    number: str
    family: str
    given: str
    family_kana: str
    given_kana: str
    birth: str
    address: str


class Leak(NamedTuple):
    """What one column gave away: shares of residents, averaged over keys, each with its standard error."""

    column: str
    keys: int
    bar: float
    plain: float
    plain_error: float
    informed: float
    informed_error: float
    full_hmac: float
    candidates: float
    overhead: float

    def holds(self) -> bool:
        """No better than naming the commonest value, beyond what luck with these keys explains."""
        return self.beyond_luck() <= self.bar

    def beyond_luck(self) -> float:
        """The better attack, less some standard errors: two over many keys, more over few."""
        luck = STUDENT[self.keys - 2] if 2 <= self.keys < len(STUDENT) + 2 else 2.0
        return max(self.plain - luck * self.plain_error, self.informed - luck * self.informed_error)


class Column(NamedTuple):
    """One searchable thing: its true value, and how many tokens a value is spread over."""

    name: str
    value: Callable[[Person], str]
    spread: Callable[[Indexer, Person], int]


def people(count: int, seed: int, *, locality: float = 1.0) -> list[Person]:
    """A municipality: national names tilted by place (log-normal), age pyramid, uneven 町 and 字, households of 1 to 5."""
    rng = random.Random(seed)
    families = list(itertools.islice(_tilted(rng, _families(), locality), None))
    givens = list(_tilted(rng, _givens(), locality / 2))
    towns = [("".join(rng.choices(TOWN_LETTERS, k=3)), 1 / (n + 3)) for n in range(max(12, count // 900))]
    years = [
        (year, 0.3 + min(1.0, (ERA_END - year) / 50) * (1 if year > 1946 else 0.5)) for year in range(1925, ERA_END)
    ]
    draw_family, draw_given, draw_town, draw_year = (_drawer(rng, w) for w in (families, givens, towns, years))
    draw_number = _drawer(rng, [(n, 1 / (n + 20)) for n in range(1, 400)])
    found: list[Person] = []
    while len(found) < count:
        household, (family, family_kana), town = f"{len(found):010d}", draw_family(), draw_town()
        address = _address(rng, town, draw_number())
        for _ in range(rng.choices((1, 2, 3, 4, 5), (38, 28, 17, 12, 5))[0]):
            given, given_kana = draw_given()
            day = (1, 1) if rng.random() < 0.006 else (rng.randrange(1, 13), rng.randrange(1, 29))
            birth = f"{draw_year()}-{day[0]:02d}-{day[1]:02d}"
            name, kana = (family, family_kana) if rng.random() < 0.95 else draw_family()
            found.append(Person(household, f"{9 * 10**9 + len(found)}", name, given, kana, given_kana, birth, address))
    return found[:count]


def _address(rng: random.Random, town: str, number: int) -> str:
    """Three towns in ten have five 丁目, the rest numbers; one household in 100 lives in its town's large block of flats."""
    if rng.random() < 0.01:
        return f"{town}1番地1"
    if ord(town[0]) % 10 < 3:
        return f"{town}{number % 5 + 1}丁目{number // 5 + 1}番地"
    return f"{town}{number}番地{rng.randrange(1, 30)}"


def _families() -> list[tuple[tuple[str, str], float]]:
    listed = [((row[0], row[2].translate(priors.TO_KATAKANA)), float(row[1])) for row in priors.family_rows()]
    mass = sum(weight for _, weight in listed)
    kana = [name[1] for name, _ in listed]
    rare = [
        ((f"稀{n}", kana[n * 7 % len(kana)][:2] + kana[n * 13 % len(kana)][-2:]), mass * 0.15 / 8000)
        for n in range(8000)
    ]
    return listed + rare


def _givens() -> list[tuple[tuple[str, str], float]]:
    shares: list[tuple[tuple[str, str], float]] = []
    for row in priors.given_rows():
        kana = row[0].translate(priors.TO_KATAKANA)
        forms = row[2:8]
        shares += [((form, kana), (len(row) - 2) / (rank + 1) ** 1.2) for rank, form in enumerate(forms)]
    return shares


def _tilted(rng: random.Random, weighted: Sequence[tuple[Any, float]], sigma: float) -> list[tuple[Any, float]]:
    return [(value, weight * math.exp(rng.gauss(0, sigma))) for value, weight in weighted]


def _drawer(rng: random.Random, weighted: Sequence[tuple[Any, float]]) -> Callable[[], Any]:
    values = [value for value, _ in weighted]
    cumulative = list(itertools.accumulate(weight for _, weight in weighted))
    pool: list[Any] = []

    def draw() -> Any:
        if not pool:
            pool.extend(rng.choices(values, cum_weights=cumulative, k=4096))
        return pool.pop()

    return draw


def columns() -> list[Column]:
    """Every index column, level by level, in the order of `tokens`."""
    return [
        Column("name.family", lambda p: p.family, lambda i, p: len(i.name_tags("family", p.family))),
        Column("name.full", lambda p: p.family + p.given, lambda i, p: len(i.name_tags("full", p.family + p.given))),
        *(_kana_level("kana.family", lambda p: p.family_kana, n, lambda i, k: i.kana_query(k)) for n in (1, 2, 3)),
        *(_kana_level("kana.given", lambda p: p.given_kana, n, lambda i, k: i.kana_query("", k)) for n in (1, 2, 3)),
        *(_birth_level(name, end) for name, end in (("year", 4), ("month", 7), ("date", 10))),
        *(_address_level(name, depth) for name, depth in (("number", 1), ("whole", 2))),
    ]


def tokens(index: Indexer, population: Sequence[Person]) -> list[Sequence[int]]:
    """Everything the database sees of the residents: a column of tokens for each of `columns`."""
    households = [person.household for person in population]
    numbers = [person.number for person in population]
    families, givens = [p.family_kana for p in population], [p.given_kana for p in population]
    levels = [
        index.kana_column(families, givens, households, numbers),
        index.birth_column([person.birth for person in population], numbers),
        index.address_column([person.address for person in population], households),
    ]
    return [
        index.name_column("family", [person.family for person in population], households),
        index.name_column("full", [person.family + person.given for person in population], numbers),
        *(column for paths in levels for column in zip(*paths, strict=True)),
    ]


def _kana_level(
    name: str, kana: Callable[[Person], str], length: int, query: Callable[[Indexer, str], list[list[int]]]
) -> Column:
    return Column(
        f"{name} {length}",
        lambda p: kana(p)[:length].ljust(length, "$"),
        lambda i, p: len(query(i, kana(p)[:length])[0]),
    )


def _birth_level(name: str, end: int) -> Column:
    return Column(
        f"birth {name}",
        lambda p: p.birth[:end],
        lambda i, p: len(i.birth_query(*map(int, p.birth[:end].split("-")))[0]),
    )


def _address_level(name: str, depth: int) -> Column:
    return Column(
        f"address {name}",
        lambda p: _address_part(p.address, depth),
        lambda i, p: len(i.address_query(_address_part(p.address, depth))[0]),
    )


def _address_part(address: str, depth: int) -> str:
    town, numbers = split_address(address)
    return town + "-".join(map(str, numbers[:depth]))


def attack(population: Sequence[Person], keys: int) -> list[Leak]:
    """Both attacks on every column under several keys, and what the same attack wins against plain HMAC tags."""
    wanted = columns()
    total = len(population)
    counts = [Counter(map(column.value, population)) for column in wanted]
    owners = [{column.value(person): person for person in population} for column in wanted]
    won: list[list[tuple[float, float]]] = [[] for _ in wanted]
    costs: list[float] = []
    for key in range(keys):
        index = Indexer("a", hashlib.sha256(b"leakage %d" % key).digest())
        seen = tokens(index, population)
        costs = []
        for column, stored, count, owner, scores in zip(wanted, seen, counts, owners, won, strict=True):
            pairs = Counter(zip(stored, map(column.value, population), strict=True))
            spread = {value: column.spread(index, owner[value]) for value in count}
            scores.append(_scores(pairs, Counter(stored), count, spread))
            costs.append(_candidates(pairs, Counter(stored), count))
    return [
        Leak(
            column=column.name,
            keys=keys,
            bar=count.most_common(1)[0][1] / total,
            plain=statistics.fmean(s[0] for s in scores) / total,
            plain_error=_standard_error([s[0] for s in scores]) / total,
            informed=statistics.fmean(s[1] for s in scores) / total,
            informed_error=_standard_error([s[1] for s in scores]) / total,
            full_hmac=_against_hmac(count),
            candidates=candidates,
            overhead=candidates * total / sum(n * n for n in count.values()),
        )
        for column, count, scores, candidates in zip(wanted, counts, won, costs, strict=True)
    ]


def _scores(
    pairs: Counter[tuple[int, str]], loads: Counter[int], counts: Counter[str], spread: dict[str, int]
) -> tuple[float, float]:
    """Residents named rightly by the plain and by the informed attack."""
    order = [token for token, _ in loads.most_common()]
    ranked = [value for value, _ in counts.most_common()]
    plain = sum(pairs[match] for match in zip(order, ranked, strict=False))
    informed = sum(pairs[match] for match in zip(order, _slices(counts, spread), strict=False))
    return plain, informed


def _candidates(pairs: Counter[tuple[int, str]], loads: Counter[int], counts: Counter[str]) -> float:
    """Rows opened per search, averaged over searches for the value of a random resident."""
    reached: Counter[str] = Counter()
    for token, value in pairs:
        reached[value] += loads[token]
    return sum(n * reached[value] for value, n in counts.items()) / sum(counts.values())


def _standard_error(scores: Sequence[float]) -> float:
    return statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0


def _slices(counts: Counter[str], spread: dict[str, int]) -> list[str]:
    """Values, each as often as it is spread, largest slice first."""
    cut = sorted(counts, key=lambda value: counts[value] / spread[value], reverse=True)
    return [value for value in cut for _ in range(spread[value])]


def _against_hmac(counts: Counter[str]) -> float:
    """One deterministic tag per value: ranks that no other value shares are won, ties are won by chance."""
    sizes = Counter(counts.values())
    return sum(size for size in sizes) / sum(counts.values())


def joint(population: Sequence[Person], keys: int) -> float:
    """The honest limit: family names won by rank from (name tag, kana leaf) pairs, which no single column gives."""
    counts = Counter(person.family for person in population)
    won = 0
    for key in range(keys):
        index = Indexer("a", hashlib.sha256(b"leakage %d" % key).digest())
        seen = tokens(index, population)
        stored = list(zip(seen[0], seen[4], strict=True))
        pairs = Counter(zip(stored, (person.family for person in population), strict=True))
        order = [token for token, _ in Counter(stored).most_common()]
        won += sum(pairs[m] for m in zip(order, (v for v, _ in counts.most_common()), strict=False))
    return won / keys / len(population)


def run(quick: bool = True) -> dict[str, Any]:
    """The table in the shape that `scripts/bench` gathers."""
    sizes = {7_000: 8, 50_000: 3} if quick else {7_000: 60, 60_000: 12, 300_000: 8, 1_000_000: 6}
    table: dict[str, Any] = {}
    holds, worst, worst_mean = True, 0.0, 0.0
    for size, keys in sizes.items():
        population = people(size, seed=size)
        leaks = attack(population, keys)
        holds = holds and all(leak.holds() for leak in leaks)
        worst = max(worst, *(leak.beyond_luck() / leak.bar for leak in leaks))
        worst_mean = max(worst_mean, *(max(leak.plain, leak.informed) / leak.bar for leak in leaks))
        table[str(size)] = {leak.column: _row(leak) for leak in leaks} | {
            "joint (name tag, kana)": {"plain %": round(100 * joint(population, 1 if quick else 2), 3)}
        }
    return {
        "T3": {
            "what": "best rank-matching attack over naming the commonest value, worst column and size",
            "juki": round(worst, 2),
            "unit": "x of the bar (mean over keys less what luck explains)",
            "mean": round(worst_mean, 2),
            "peers": {
                f"full HMAC of the family name, {size} residents, % named": rows["name.family"]["full HMAC %"]
                for size, rows in table.items()
            },
            "ratio": round(worst, 2),
            "target": "<= 1",
            "holds": holds,
            "versions": {},
            "table": table,
        }
    }


def _row(leak: Leak) -> dict[str, Any]:
    return {
        "bar %": round(100 * leak.bar, 3),
        "plain %": round(100 * leak.plain, 3),
        "informed %": round(100 * leak.informed, 3),
        "error %": round(100 * max(leak.plain_error, leak.informed_error), 3),
        "full HMAC %": round(100 * leak.full_hmac, 2),
        "holds": leak.holds(),
        "candidates": round(leak.candidates),
        "candidates per match": round(leak.overhead, 1),
    }


if __name__ == "__main__":
    print(json.dumps(run(quick="--full" not in sys.argv), ensure_ascii=False, indent=1))
