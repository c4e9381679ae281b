"""A town in memory: random changes judged by the rules and applied to plain tuples, to be held against the register."""

from __future__ import annotations

import datetime as dt
import random

import msgspec
from tests.registry.conftest import family, newcomer

from juki.dates import JST, RegistryDate, from_date
from juki.numbers import in_house_number
from juki.registry import changes, rules
from juki.registry.model import (
    Amend,
    Birth,
    Cancel,
    Change,
    Correct,
    Death,
    Drawn,
    Event,
    Foreigner,
    HeadChange,
    Kind,
    MoveInNotice,
    MoveOut,
    NationalityChange,
    Newcomer,
    Place,
    Position,
    Record,
    Relocate,
    Remake,
    Scene,
    Status,
    as_of,
    timeline,
)

START = dt.date(2026, 1, 1)
NAMES = "一二三四五六七八九十"


class Town:
    """Every version of everyone, in order of writing."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.records: dict[str, tuple[Record, ...]] = {}
        self.events: dict[int, Event] = {}
        self.made: dict[int, dict[str, tuple[int, ...]]] = {}
        self.today = START
        self.atena = 0
        self.setai = 0

    def scene(self, change: Change) -> Scene:
        """The whole town as the scene of a change."""
        event_no = change.event_no if isinstance(change, Cancel) else 0
        return Scene(
            today=self.today,
            records=self.records,
            event=self.events.get(event_no),
            event_versions=self.made.get(event_no, {}),
        )

    def residents(self, day: dt.date | None = None) -> dict[str, Record]:
        """Residents on a day."""
        held = {a: as_of(timeline(v), day or self.today) for a, v in self.records.items()}
        return {a: r for a, r in held.items() if r is not None and r.status is Status.RESIDENT}

    def homes(self, day: dt.date | None = None) -> dict[str, list[Record]]:
        """Households on a day."""
        found: dict[str, list[Record]] = {}
        for record in self.residents(day).values():
            found.setdefault(record.setai_no, []).append(record)
        return found

    def propose(self) -> Change | None:
        """A change that somebody might bring; it may well break a rule."""
        day = self.today - dt.timedelta(days=self.random.randint(0, 10))
        homes = self.homes()
        if len(homes) > 1 and self.random.random() < 0.3:
            return self._entangled(day, homes)
        kind = self.random.choice(
            [
                *(
                    "move_in",
                    "move_in",
                    "relocate",
                    "relocate",
                    "birth",
                    "death",
                    "move_out",
                    "correct",
                    "head",
                    "cancel",
                ),
                *("nationality", "nationality", "remake"),
            ]
        )
        if kind == "move_in" or not homes:
            relations = ["世帯主", "妻", "子", "母", "弟"][: self.random.randint(1, 5)]
            tag = self.random.choice(NAMES) + self.random.choice(NAMES)
            people = [newcomer(f"町{tag}　{r[0]}", r) for r in relations]
            return family(*people, day=day, address=self._place())
        setai_no = self.random.choice(sorted(homes))
        members = sorted(homes[setai_no], key=lambda m: m.member_order)
        some = self.random.sample(members, self.random.randint(1, len(members)))
        return self._of_household(kind, day, setai_no, members, some)

    def _of_household(
        self, kind: str, day: dt.date, setai_no: str, members: list[Record], some: list[Record]
    ) -> Change | None:
        gone = {m.atena_no for m in some}
        left = [m for m in members if m.atena_no not in gone]
        when = from_date(day)
        match kind:
            case "relocate":
                heads = self._heads(some) + self._heads(left)
                return Relocate(occurred_on=when, atena_nos=tuple(gone), address=self._place(), positions=tuple(heads))
            case "birth":
                return Birth(
                    occurred_on=when,
                    setai_no=setai_no,
                    person=Newcomer(
                        name=f"新生　{self.random.choice(NAMES)}",
                        name_kana="シンセイ　コ",
                        birth=when,
                        relationship="子",
                        registered_domicile="福島県いわき市",
                        family_head="新生　親",
                    ),
                )
            case "death":
                rest = [m for m in members if m.atena_no != some[0].atena_no]
                return Death(occurred_on=when, atena_no=some[0].atena_no, positions=tuple(self._heads(rest)))
            case "move_out":
                ahead = self.today + dt.timedelta(days=self.random.randint(-10, 20))
                return MoveOut(
                    occurred_on=from_date(ahead),
                    atena_nos=tuple(gone),
                    destination=Place(text="東京都"),
                    positions=tuple(self._heads(left)),
                )
            case "correct":
                versions = self.records[some[0].atena_no]
                return Correct(
                    occurred_on=when,
                    atena_no=some[0].atena_no,
                    version_no=self.random.choice(versions).version_no,
                    items={"basic.name": f"訂正{self.random.choice(NAMES)}　{self.random.choice(NAMES)}"},
                )
            case "nationality":
                return self._nationality(some[0], when)
            case "remake":
                reason = self.random.choice(["entry_reissue", "entry_restored"])
                return Remake(occurred_on=when, reason=reason, atena_no=some[0].atena_no)
            case "head":
                return HeadChange(occurred_on=when, household=setai_no, positions=tuple(self._heads(members[::-1])))
            case _:
                return Cancel(occurred_on=when, event_no=self.random.choice(sorted(self.events)))

    def _entangled(self, day: dt.date, homes: dict[str, list[Record]]) -> Change | None:
        """A change between two households, or one that finds what others have left behind."""
        when = from_date(day)
        setai_no, other = self.random.sample(sorted(homes), 2)
        members = sorted(homes[setai_no], key=lambda m: m.member_order)
        some = self.random.sample(members, self.random.randint(1, len(members)))
        gone = tuple(m.atena_no for m in some)
        left = self._heads([m for m in members if m not in some])
        joining = [Position(atena_no=a, relationship=self.random.choice(("同居人", "子", "母"))) for a in gone]
        match self.random.choice(("join", "join", "split", "move", "amend", "address", "notice", "return")):
            case "join":
                to = homes[other][0].address
                place = to.address if to else self._place()
                return Relocate(
                    occurred_on=when, atena_nos=gone, address=place, setai_no=other, positions=(*joining, *left)
                )
            case "split" | "move" as kind:
                there = {} if kind == "split" else {"setai_no": other}
                positions = self._heads(some) if kind == "split" else joining
                return HeadChange(
                    occurred_on=when, reason=f"household_{kind}", household=setai_no, atena_nos=gone,
                    positions=(*positions, *left), **there,
                )  # fmt: skip
            case "amend":
                name = f"改{self.random.choice(NAMES)}　{self.random.choice(NAMES)}"
                return Amend(occurred_on=when, reason="minor", atena_no=gone[0], items={"basic.name": name})
            case "address":
                version_no = self.random.choice(self.records[gone[0]]).version_no
                items: dict[str, str | bool] = {"address.address.text": self._place().text}
                return Correct(occurred_on=when, atena_no=gone[0], version_no=version_no, items=items)
            case kind:
                return self._of_somebody_gone(kind, when)

    def _of_somebody_gone(self, kind: str, when: RegistryDate) -> Change | None:
        last = {a: timeline(versions)[-1] for a, versions in self.records.items()}
        gone = [a for a, record in last.items() if record.status is Status.MOVED_OUT]
        if not gone:
            return None
        if kind == "notice":
            return MoveInNotice(
                occurred_on=when, atena_nos=(self.random.choice(gone),), settled_address=Place(text="東京都")
            )
        person = newcomer("帰　一", "世帯主", returning_atena_no=self.random.choice(gone))
        return family(person, day=when.sort_date(), address=self._place())

    def _nationality(self, person: Record, when: RegistryDate) -> Change:
        """Whoever is Japanese loses the nationality, or is struck out for it; whoever is not is naturalised."""
        name = f"改名{self.random.choice(NAMES)}　{self.random.choice(NAMES)}"
        if person.kind is Kind.FOREIGN:
            domicile = {"registered_domicile": "福島県いわき市平1番地", "family_head": name}
            return NationalityChange(
                occurred_on=when, reason="entry_naturalised", atena_no=person.atena_no, name=name, **domicile
            )
        if self.random.random() < 0.3:
            return Death(occurred_on=when, reason="removal_nationality_lost", atena_no=person.atena_no)
        return NationalityChange(
            occurred_on=when,
            reason="entry_nationality_lost",
            atena_no=person.atena_no,
            name=name,
            foreigner=Foreigner(nationality="ブラジル", category="中長期在留者"),
        )

    def _heads(self, members: list[Record]) -> list[Position]:
        """The first of some people as head, the others as what they may be to anybody."""
        return [
            Position(atena_no=m.atena_no, relationship="世帯主" if i == 0 else "同居人") for i, m in enumerate(members)
        ]

    def _place(self) -> Place:
        return Place(text=f"福島県いわき市平字梅本{self.random.randint(1, 999)}番地")

    def judge(self, change: Change) -> tuple[Change, Scene, bool]:
        """The change with its reason settled, its scene, and whether no rule forbids it."""
        from juki.registry.cancel import cancelling_reason

        scene = self.scene(change)
        if isinstance(change, Cancel) and cancelling_reason(scene):
            change = msgspec.structs.replace(change, reason=cancelling_reason(scene))
        reason = rules.reason_of(change)
        if reason is None:
            return change, scene, False
        found = rules.total(
            (
                rules.check_days(change.occurred_on, None, self.today, reason),
                changes.check(change, scene, "none"),
            )
        )
        if found.errors:
            return change, scene, False
        fresh = changes.apply(change, scene, self._drawn(change, scene, keep=False))
        return change, scene, bool(fresh) and not rules.check_outcome(scene, fresh).errors

    def _drawn(self, change: Change, scene: Scene, *, keep: bool) -> Drawn:
        needs = changes.needs(change, scene)
        atena, setai = self.atena, self.setai
        atena_nos: list[str] = []
        while len(atena_nos) < needs.atena_nos:
            atena += 1
            atena_nos += [n] if (n := in_house_number(atena)) else []
        setai_no = ""
        while needs.setai_nos and not setai_no:
            setai += 1
            setai_no = in_house_number(setai) or ""
        if keep:
            self.atena, self.setai = atena, setai
        return Drawn(
            atena_nos=tuple(atena_nos),
            setai_no=setai_no,
            resident_codes=tuple(f"{90000000000 + atena * 10 + i}" for i in range(needs.resident_codes)),
        )

    def commit(self, change: Change, scene: Scene) -> tuple[Record, ...]:
        """Write the versions of a change."""
        event_no = len(self.events) + 1
        known_from = dt.datetime(2026, 1, 1, tzinfo=JST) + dt.timedelta(hours=event_no)
        fresh = tuple(
            msgspec.structs.replace(v, event_no=event_no, known_from=known_from)
            for v in changes.apply(change, scene, self._drawn(change, scene, keep=True))
        )
        made: dict[str, tuple[int, ...]] = {}
        for version in fresh:
            self.records[version.atena_no] = (*self.records.get(version.atena_no, ()), version)
            made[version.atena_no] = (*made.get(version.atena_no, ()), version.version_no)
        self.events[event_no] = Event(
            event_no=event_no,
            reason=change.reason,
            occurred_on=change.occurred_on,
            notified_on=self.today,
            processed_on=self.today,
            known_from=known_from,
        )
        self.made[event_no] = made
        return fresh


def whole(town: Town, day: dt.date) -> list[str]:
    """What is wrong with the households on a day, in words; empty where all are whole."""
    wrong: list[str] = []
    for setai_no, members in town.homes(day).items():
        heads = [m for m in members if m.is_head]
        if len(heads) != 1:
            wrong.append(f"{setai_no} on {day} has {len(heads)} heads")
            continue
        if {m.basic.head_name for m in members if m.basic} != {heads[0].basic.name if heads[0].basic else ""}:
            wrong.append(f"{setai_no} on {day} carries another head's name")
        if sorted(m.member_order for m in members) != list(range(1, len(members) + 1)):
            wrong.append(f"{setai_no} on {day} has no order of members")
        for m in members:
            foreign = m.kind is Kind.FOREIGN
            if foreign != (m.foreigner is not None) or foreign == (m.domicile is not None):
                wrong.append(f"{m.atena_no} on {day} has items of the other kind")
        if len({m.address.address for m in members if m.address}) != 1:
            wrong.append(f"{setai_no} on {day} has two addresses")
    return wrong
