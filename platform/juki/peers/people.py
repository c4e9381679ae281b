"""Synthetic people: households that could live in a municipality, each person with every version of the record.

A row is a list of texts in the order of `columns.RESIDENT`; dates are YYYY-MM-DD with 00 for unknown parts, empty for none.
Nothing here is taken from a real person; 個人番号 bodies begin with 99 so that they can be told at sight.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from juki import dates
from juki.dates import RegistryDate
from juki.numbers import in_house_number, my_number_check_digit, resident_code_check_digit
from juki.peers.columns import INDEX, RESIDENT, SUPPORT, SUPPORT_INDEX
from juki.peers.names import FOREIGN, OUTSIDE_JIS, VARIANTS, ForeignName, Name, given_names, surnames
from juki.peers.places import Town, other_towns, towns_of

_WIDE: Final = {ord(a): ord(w) for a, w in zip("0123456789-", "０１２３４５６７８９－", strict=True)}
_FIRST_ATENA: Final = 1_000_000  # well above the numbers a new register hands out
_PER_MUNICIPALITY: Final = 500_000
_OUTSIDE_JIS_EVERY: Final = 40  # households
_NOTIFY_DAYS: Final = 14

# Positions of the columns written on nearly every row; the rest goes through INDEX.
(ATENA, VERSION, SETAI, ORDER, HEAD, STATUS, KIND, REASON, OCCURRED) = (
    INDEX[k]
    for k in (
        "atena_no",
        "version_no",
        "setai_no",
        "member_order",
        "is_head",
        "status",
        "kind",
        "reason",
        "occurred_on",
    )
)
NOTIFIED, PROCESSED, NAME, KANA, BIRTH, SEX = (
    INDEX[k] for k in ("notified_on", "processed_on", "name", "name_kana", "birth", "sex")
)
HEAD_NAME, RELATIONSHIP, ADDRESS, BUILDING = (INDEX[k] for k in ("head_name", "relationship", "address", "building"))
ADDRESS_CODE, POSTAL, ADDRESS_SINCE, ADDRESS_NOTIFIED = (
    INDEX[k] for k in ("address_code", "postal", "address_since", "address_notified_on")
)
RESIDENT_SINCE, MY_NUMBER, RESIDENT_CODE = (INDEX[k] for k in ("resident_since", "my_number", "resident_code"))

Row = list[str]


class HouseholdRows(msgspec.Struct):
    """One household as extracted: versions of each person (oldest first), living members, 支援措置 applications."""

    setai_no: str
    persons: list[list[Row]]
    current: list[Row]  # latest rows of those who live here now, head first
    support: list[Row]
    head_atena_no: str = ""


class _Home(msgspec.Struct):
    text: str
    building: str
    code: str
    postal: str


class _Member(msgspec.Struct):
    relationship: str
    sex: str
    born: int
    surname: Name
    foreign: tuple[str, str, ForeignName] | None = None


class Settlement:
    """Seeded source of households of one municipality as of one day; the same arguments give the same people."""

    def __init__(self, municipality: str, *, seed: int, as_of: dt.date) -> None:
        self.random = random.Random(f"{seed}:{municipality}")  # noqa: S311 - synthetic people, nothing secret
        self.municipality = municipality
        self.today = as_of.toordinal()
        self.towns = towns_of(municipality)
        self.others = other_towns(municipality)
        self._iso = {n: dt.date.fromordinal(n).isoformat() for n in range(self.today - 112 * 366, self.today + 400)}
        self._serial = _FIRST_ATENA
        self._setai_serial = _FIRST_ATENA
        self._number = (int(municipality[:5]) * _PER_MUNICIPALITY) % 1_000_000_000
        self._measure = 0

    def households(self, residents: int) -> Iterator[HouseholdRows]:
        """Households until `residents` persons, living here or removed, have been made."""
        made = 0
        while made < residents:
            household = self._household(residents - made)
            made += len(household.persons)
            yield household

    def free_codes(self, count: int) -> Iterator[str]:
        """住民票コード not given to anybody yet."""
        for _ in range(count):
            self._number += 1
            yield self._resident_code()

    # --- one household --------------------------------------------------------------------------------------------

    def _household(self, room: int) -> HouseholdRows:
        r = self.random
        members = self._members(r.choices(_SHAPES, cum_weights=_SHAPE_WEIGHTS)[0])[: max(1, room)]
        home = self._home(r.choice(self.towns))
        since = self.today - min(int(r.expovariate(1 / 5200)) + 20, 29000)
        setai_no = self._setai_no()
        leaving = r.random() < 0.035
        moved = None
        if r.random() < 0.22 and self.today - since > 800:
            moved = (r.randint(since + 300, self.today - 300), self._home(r.choice(self.towns)))
        head = members[0]
        head_name = self._name(head)
        previous = r.choice(self.others)
        before = f"{previous.text()}{self._lot()}"  # one family comes from one house
        persons: list[list[Row]] = []
        for order, member in enumerate(members, 1):
            versions = self._person(
                member, order, setai_no, head_name, home, since, moved, previous, before, order == 1
            )
            persons.append(versions)
        result = HouseholdRows(setai_no, persons, [], [])
        if leaving:
            self._move_out(persons)
        else:
            self._deaths(persons, members)
        self._after(result, members)
        return result

    def _members(self, shape: str) -> list[_Member]:
        r = self.random
        number, rest = divmod(self._setai_serial, _OUTSIDE_JIS_EVERY)
        surname = OUTSIDE_JIS[number % len(OUTSIDE_JIS)] if rest == 0 else self._surname()
        foreign = self._foreign() if r.random() < 0.014 else None
        age = int(min(99, max(19, r.gauss(*_HEAD_AGE[shape]))))
        head_sex = "1" if shape in {"couple", "family", "three"} and r.random() < 0.9 else r.choice("12")
        head = _Member("世帯主", head_sex, self._born(age), surname, foreign)
        members = [head]
        if shape in {"couple", "family", "three"}:
            word = ("妻" if head_sex == "1" else "夫") + ("（未届）" if r.random() < 0.01 else "")
            own = self._surname() if "未届" in word else surname
            spouse_age = max(18, age - r.randint(-3, 6))
            members.append(
                _Member(word, "2" if head_sex == "1" else "1", self._born(spouse_age), own, self._spouse(foreign))
            )
        if shape in {"family", "three", "parent"}:
            for _ in range(r.choices((1, 2, 3), (40, 45, 15))[0]):
                child_age = max(0, age - r.randint(22, 38))
                members.append(_Member("子", r.choice("12"), self._born(child_age), surname, None))
            members[1 + (shape != "parent") :] = sorted(members[1 + (shape != "parent") :], key=lambda m: m.born)
        if shape == "three":
            for word, sex in (("父", "1"), ("母", "2"))[r.randint(0, 1) :]:
                members.append(_Member(word, sex, self._born(min(103, age + r.randint(22, 33))), surname, None))
        if shape == "others":
            word = r.choice(("弟", "妹", "姉", "縁故者", "同居人", "子", "父の妹", "子の妻の母"))
            members.append(_Member(word, r.choice("12"), self._born(max(18, age - r.randint(-8, 12))), self._surname()))
        return members

    def _person(
        self,
        member: _Member,
        order: int,
        setai_no: str,
        head_name: Name,
        home: _Home,
        since: int,
        moved: tuple[int, _Home] | None,
        previous: Town,
        before: str,
        is_head: bool,
    ) -> list[Row]:
        row = [""] * len(RESIDENT)
        name = head_name if is_head else self._name(member)
        start = max(since, member.born)
        row[ATENA] = self._atena_no()
        row[SETAI], row[ORDER], row[HEAD] = setai_no, str(order), "1" if is_head else "0"
        row[STATUS], row[KIND] = "resident", "foreign" if member.foreign else "japanese"
        row[NAME], row[KANA], row[SEX] = name.text, name.kana, member.sex
        row[HEAD_NAME], row[RELATIONSHIP] = head_name.text, member.relationship
        row[RESIDENT_SINCE] = row[ADDRESS_SINCE] = self._iso[start]
        moves = moved if moved is not None and start + _NOTIFY_DAYS < moved[0] else None
        first_home = home if moved is None or moves else moved[1]
        _settle(row, first_home)
        self._numbers(row)
        self._entry(row, member, start, previous, before)
        if member.foreign:
            self._foreign_items(row, member, start)
        else:
            self._japanese_items(row, member, previous)
        self._entitle(row, member)
        self._event(row, 1, _entry_reason(row, member, start), start)
        versions = [row]
        if moves:
            versions.append(self._relocated(row, moves))
        self._later_changes(versions, member)
        return versions

    def _entry(self, row: Row, member: _Member, start: int, previous: Town, before: str) -> None:
        if start == member.born:
            return
        row[INDEX["previous_address"]] = before
        row[INDEX["previous_code"]], row[INDEX["previous_postal"]] = previous.code, previous.postal
        if member.foreign and self.random.random() < 0.4:
            row[INDEX["previous_address"]] = row[INDEX["previous_code"]] = row[INDEX["previous_postal"]] = ""
            row[INDEX["previous_country"]] = member.foreign[0]

    def _relocated(self, row: Row, moved: tuple[int, _Home]) -> Row:
        after = list(row)
        after[INDEX["moved_within_from"]] = row[ADDRESS]
        _settle(after, moved[1])
        after[ADDRESS_SINCE] = self._iso[moved[0]]
        self._event(after, 2, "relocate", moved[0])
        after[ADDRESS_NOTIFIED] = after[NOTIFIED]
        return after

    def _later_changes(self, versions: list[Row], member: _Member) -> None:
        draw = self.random.random()
        if draw > 0.05 or self._processed(versions[-1]) > self.today - 60:
            return
        after = list(versions[-1])
        on = self.random.randint(self._processed(versions[-1]) + 1, self.today - 20)
        if draw < 0.015 and member.relationship == "妻" and not member.foreign:
            former = self._surname()
            after[INDEX["former_surname"]], after[INDEX["former_surname_kana"]] = former.text, former.kana
            after[INDEX["former_surname_kana_confirmed"]] = "1"
            reason = "former_surname_entry"
        else:
            after[INDEX["remarks"]] = self.random.choice(_REMARKS)
            reason = "amend"
        self._event(after, len(versions) + 1, reason, on)
        versions.append(after)

    # --- leaving --------------------------------------------------------------------------------------------------

    def _move_out(self, persons: list[list[Row]]) -> None:
        last = max(self._processed(versions[-1]) for versions in persons)
        if last >= self.today - 5:
            return
        on = self.random.randint(last + 1, self.today - 4)
        to = self.random.choice(self.others)
        abroad = self.random.random() < 0.06
        for versions in persons:
            row = self._removed(versions, "moved_out", "move_out_abroad" if abroad else "move_out", on)
            if abroad:
                row[INDEX["planned_address"]] = "アメリカ合衆国"
                continue
            row[INDEX["planned_address"]] = f"{to.text()}{self._lot()}"
            row[INDEX["planned_code"]], row[INDEX["planned_postal"]] = to.code, to.postal
            row[INDEX["settled_address"]] = row[INDEX["planned_address"]]
            row[INDEX["settled_code"]], row[INDEX["settled_postal"]] = to.code, to.postal
            row[INDEX["moved_out"]] = self._iso[on]
            row[INDEX["move_in_notified"]] = self._iso[min(self.today, on + 12)]

    def _deaths(self, persons: list[list[Row]], members: list[_Member]) -> None:
        """Some of the old have died; where it was the head, the next person heads the household since then."""
        for position in range(len(persons) - 1, -1, -1):
            born = members[position].born
            if self.today - born < 21000 or self.random.random() > (self.today - born - 20000) / 60000:
                continue
            if position == 0 and len(persons) > 1:
                self._head_dies(persons)
            else:
                self._removed(persons[position], "deceased", "death", self._last_days(persons))

    def _head_dies(self, persons: list[list[Row]]) -> None:
        living = [v for v in persons[1:] if v[-1][STATUS] == "resident"]
        on = self._last_days(persons)
        self._removed(persons[0], "deceased", "death", on)
        if not living:
            return
        heir = living[0][-1]
        for versions in living:
            after = list(versions[-1])
            after[HEAD_NAME] = heir[NAME]
            if versions is living[0]:
                after[HEAD], after[RELATIONSHIP] = "1", "世帯主"
            elif after[RELATIONSHIP] in {"父", "母"} and heir[RELATIONSHIP] in {"妻", "夫"}:
                after[RELATIONSHIP] = f"{'夫' if heir[RELATIONSHIP] == '妻' else '妻'}の{after[RELATIONSHIP]}"
            self._event(after, len(versions) + 1, "head_change", on)
            versions.append(after)

    def _last_days(self, persons: list[list[Row]]) -> int:
        last = max(self._processed(versions[-1]) for versions in persons)
        return self.random.randint(min(last + 1, self.today - 1), self.today)

    def _removed(self, versions: list[Row], status: str, reason: str, on: int) -> Row:
        row = list(versions[-1])
        row[STATUS] = status
        row[INDEX["removal_reason"]], row[INDEX["removal_on"]] = reason, self._iso[on]
        row[INDEX["voter"]] = "0"
        self._event(row, len(versions) + 1, reason, on)
        versions.append(row)
        return row

    def _after(self, household: HouseholdRows, members: list[_Member]) -> None:
        r = self.random
        if len(household.persons) == 1 and r.random() < 0.004 and household.persons[0][-1][STATUS] == "resident":
            last = self._processed(household.persons[0][-1])
            self._removed(household.persons[0], "removed", "removal", r.randint(min(last + 1, self.today), self.today))
        current = [versions[-1] for versions in household.persons if versions[-1][STATUS] == "resident"]
        current.sort(key=lambda row: row[HEAD] != "1")
        for order, row in enumerate(current, 1):
            row[ORDER] = str(order)
        household.current = current
        household.head_atena_no = current[0][ATENA] if current else ""
        if current and r.random() < 0.006:
            household.support.append(self._support(current[0]))

    # --- items ----------------------------------------------------------------------------------------------------

    def _event(self, row: Row, version_no: int, reason: str, on: int) -> None:
        notified = min(self.today, on + self.random.randint(0, 13))
        row[VERSION], row[REASON] = str(version_no), reason
        row[OCCURRED], row[NOTIFIED], row[PROCESSED] = self._iso[on], self._iso[notified], self._iso[notified]

    def _processed(self, row: Row) -> int:
        return dt.date.fromisoformat(row[PROCESSED]).toordinal()

    def _numbers(self, row: Row) -> None:
        self._number += 1
        body = f"99{self._permuted(700_000_001):09d}"
        row[MY_NUMBER] = f"{body}{my_number_check_digit(body)}"
        row[RESIDENT_CODE] = self._resident_code()

    def _resident_code(self) -> str:
        body = f"1{self._permuted(300_000_007):09d}"
        return f"{body}{resident_code_check_digit(body)}"

    def _permuted(self, multiplier: int) -> int:
        """A number that looks random and never repeats: the multipliers share no factor with 10^9."""
        return (self._number * multiplier) % 1_000_000_000

    def _japanese_items(self, row: Row, member: _Member, previous: Town) -> None:
        r = self.random
        row[BIRTH] = self._iso[member.born]
        if member.born < self.today - 30000 and r.random() < 0.02:
            row[BIRTH] = row[BIRTH][:8] + "00" if r.random() < 0.5 else row[BIRTH][:5] + "00-00"
            if row[BIRTH].endswith("-00") and not row[BIRTH].endswith("-00-00") and r.random() < 0.5:
                row[INDEX["birth_note"]] = (
                    f"{dates.wareki(RegistryDate(int(row[BIRTH][:4]), int(row[BIRTH][5:7])))[:-3]}頃"
                )
        elif row[BIRTH].endswith("-02-28") and r.random() < 0.05:
            row[BIRTH] = row[BIRTH][:8] + "29"  # 戸籍 of old times hold days that the calendar lacks
        place = r.choice(self.towns) if r.random() < 0.6 else previous
        row[INDEX["domicile"]] = f"{place.text()}{r.randint(1, 480)}番地".translate(_WIDE)
        row[INDEX["family_head"]] = row[HEAD_NAME]
        if r.random() < 0.4:
            row[INDEX["name_kana_certified"]] = row[INDEX["name_kana_confirmed"]] = "1"
        if row[INDEX["previous_address"]] and r.random() < 0.3:
            row[INDEX["former_head_name"]] = row[HEAD_NAME]
        if r.random() < 0.002:
            row[INDEX["last_registered_address"]] = row[INDEX["previous_address"]]
        if r.random() < 0.02:
            row[INDEX["reissue_entered"]] = "1998-10-01"
        if r.random() < 0.01:
            row[INDEX["memo"]] = r.choice(_MEMOS)

    def _foreign_items(self, row: Row, member: _Member, start: int) -> None:
        r = self.random
        if member.foreign is None:
            return
        nationality, status, name = member.foreign
        row[INDEX["birth_western"]] = self._iso[member.born]
        row[INDEX["name_roman"]], row[INDEX["name_kanji"]] = name.roman, name.kanji
        row[INDEX["name_katakana"]] = name.kana
        row[INDEX["name_priority"]] = "1"
        if name.alias:
            row[INDEX["alias"]], row[INDEX["alias_kana"]] = name.alias, name.alias_kana
            row[INDEX["alias_entered_on"]] = self._iso[start]
            row[INDEX["alias_entered_at"]] = self.towns[0].city
            row[INDEX["alias_entered_code"]] = self.municipality
            row[INDEX["alias_kana_confirmed"]] = "1"
            row[INDEX["name_priority"]] = r.choice("12")
        row[INDEX["foreign_since"]] = self._iso[max(start, min(self.today, _FOREIGN_SYSTEM))]
        row[INDEX["nationality"]], row[INDEX["residence_status"]] = nationality, status
        letters = "".join(r.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=4))
        row[INDEX["card_number"]] = f"{letters[:2]}{r.randrange(100_000_000):08d}{letters[2:]}"
        row[INDEX["dwelling_notified"]] = "1"
        expires = self._iso[self.today + r.randint(20, 390)]
        if status == "特別永住者":
            row[INDEX["category"]], row[INDEX["residence_status"]] = "特別永住者", ""
            row[INDEX["special_card_issued"]], row[INDEX["special_card_expires"]] = self._iso[self.today - 900], expires
        else:
            row[INDEX["category"]] = "中長期在留者"
            row[INDEX["residence_period"]] = "無期限" if status == "永住者" else r.choice(("１年", "３年", "５年"))
            row[INDEX["residence_expires"]] = "" if status == "永住者" else expires

    def _entitle(self, row: Row, member: _Member) -> None:
        r = self.random
        days = self.today - member.born
        since = row[RESIDENT_SINCE]
        row[INDEX["voter"]] = "1" if days >= 6575 and not member.foreign else "0"
        if days >= 27394:
            row[INDEX["elderly"]], row[INDEX["elderly_acquired"]] = "1", self._iso[member.born + 27394]
        elif r.random() < 0.28:
            row[INDEX["health"]], row[INDEX["health_acquired"]] = "1", since
        if days >= 23741:
            row[INDEX["care"]], row[INDEX["care_acquired"]] = "1", self._iso[member.born + 23741]
        elif days >= 7305:
            row[INDEX["pension"]], row[INDEX["pension_category"]] = "1", r.choice("123")
            row[INDEX["pension_number"]] = f"{r.randrange(10_000_000_000):010d}"
            row[INDEX["pension_acquired"]] = self._iso[member.born + 7305]
        elif days < 6700:
            row[INDEX["child_from"]] = since[:8] + "01"
        if r.random() < 0.75:
            row[INDEX["card_status"]] = "1"
            if days > 5479:
                row[INDEX["signing_serial"]] = f"{r.randrange(10**18):020d}"
                row[INDEX["authentication_serial"]] = f"{r.randrange(10**18):020d}"
        if r.random() < 0.001:
            row[INDEX["ward"]], row[INDEX["ward_decided"]] = "1", since
            row[INDEX["ward_registered"]] = row[INDEX["ward_known"]] = since

    def _support(self, row: Row) -> Row:
        r = self.random
        self._measure += 1
        measure = [""] * len(SUPPORT)
        starts = self.today - r.randint(0, 360)
        ends = starts + 364
        provisional = self.today - starts < 20
        values = {
            "atena_no": row[ATENA],
            "measure_serial": str(self._measure),
            "name": row[NAME],
            "foreign_kana" if row[KIND] == "foreign" else "name_kana": row[KANA],
            "alias": row[INDEX["alias"]],
            "alias_kana": row[INDEX["alias_kana"]],
            "former_surname": row[INDEX["former_surname"]],
            "former_surname_kana": row[INDEX["former_surname_kana"]],
            "birth": row[BIRTH] or row[INDEX["birth_western"]],
            "sex": row[SEX],
            "address": row[ADDRESS],
            "contact": f"０９０－００００－{r.randrange(10_000):04d}".translate(_WIDE),
            "applicant_state": r.choice(("配偶者からの暴力", "ストーカー行為等", "児童虐待", "その他前記に準ずるもの")),
            "wish_inspection": "1",
            "wish_copy": "1",
            "wish_removed_copy": "1" if row[INDEX["previous_address"]] else "0",
            "removed_copy_address": row[INDEX["previous_address"]],
            "wish_annex": "1" if row[INDEX["domicile"]] else "0",
            "annex_domicile": row[INDEX["domicile"]],
            "wish_former_annex": "0",
            "wish_property": "0",
            "starts_on": "" if provisional else self._iso[starts],
            "ends_on": "" if provisional else self._iso[ends],
            "provisional": "1" if provisional else "0",
            "provisional_from": self._iso[starts] if provisional else "",
            "provisional_until": self._iso[starts + 90] if provisional else "",
            "first_received_at": f"{self.towns[0].prefecture}{self.towns[0].city}",
        }
        for key, value in values.items():
            measure[SUPPORT_INDEX[key]] = value
        return measure

    # --- parts ----------------------------------------------------------------------------------------------------

    def _surname(self) -> Name:
        found = surnames().draw(self.random)
        variants = VARIANTS.get(found.text)
        if variants and self.random.random() < 0.2:
            return Name(self.random.choice(variants), found.kana)
        return found

    def _name(self, member: _Member) -> Name:
        if member.foreign:
            name = member.foreign[2]
            return Name(name.kanji or name.roman, name.kana)
        year = 1970 + (member.born - 719163) // 365.25
        given = given_names(member.sex, (year > 1949) + (year > 1979) + (year > 1999)).draw(self.random)
        return Name(f"{member.surname.text}\u3000{given.text}", f"{member.surname.kana}\u3000{given.kana}")

    def _foreign(self) -> tuple[str, str, ForeignName]:
        country = self.random.choices(tuple(FOREIGN), [row[0] for row in FOREIGN.values()])[0]
        return country, FOREIGN[country][1], self.random.choice(FOREIGN[country][2])

    def _spouse(self, head: tuple[str, str, ForeignName] | None) -> tuple[str, str, ForeignName] | None:
        if self.random.random() < (0.6 if head else 0.006):
            return self._foreign()
        return None

    def _home(self, town: Town) -> _Home:
        building = ""
        if self.random.random() < 0.16:
            building = f"{self.random.choice(_BUILDINGS)}{self.random.randint(1, 6)}0{self.random.randint(1, 8)}号"
        return _Home(f"{town.text()}{self._lot()}", building.translate(_WIDE), town.code, town.postal)

    def _lot(self) -> str:
        r = self.random
        shape = r.random()
        if shape < 0.3:
            return f"{r.randint(1, 5)}丁目{r.randint(1, 30)}番地の{r.randint(1, 24)}".translate(_WIDE)
        if shape < 0.75:
            return f"字{r.choice(_HAMLETS)}{r.randint(1, 240)}番地".translate(_WIDE)
        return f"字{r.choice(_HAMLETS)}{r.randint(1, 240)}番地の{r.randint(1, 12)}".translate(_WIDE)

    def _born(self, age: int) -> int:
        return self.today - int(age * 365.25) - self.random.randrange(365)

    def _atena_no(self) -> str:
        self._serial, number = _next_number(self._serial)
        return number

    def _setai_no(self) -> str:
        self._setai_serial, number = _next_number(self._setai_serial)
        return number


def _next_number(serial: int) -> tuple[int, str]:
    while True:
        serial += 1
        number = in_house_number(serial)
        if number is not None:
            return serial, number


def _settle(row: Row, home: _Home) -> None:
    row[ADDRESS], row[BUILDING], row[ADDRESS_CODE], row[POSTAL] = home.text, home.building, home.code, home.postal


def _entry_reason(row: Row, member: _Member, start: int) -> str:
    if start == member.born:
        return "birth"
    if row[INDEX["reissue_entered"]] and row[RESIDENT_SINCE] < "1998-10-01":
        return "entry_reissue"
    return "move_in_abroad" if row[INDEX["previous_country"]] else "move_in"


_FOREIGN_SYSTEM: Final = dt.date(2012, 7, 9).toordinal()  # foreign residents entered the register on this day
_SHAPES: Final = ("single", "couple", "family", "three", "parent", "others")
_SHAPE_WEIGHTS: Final = (34, 55, 84, 91, 97, 100)
_HEAD_AGE: Final[dict[str, tuple[float, float]]] = {
    "single": (54, 21),
    "couple": (64, 14),
    "family": (44, 9),
    "three": (50, 9),
    "parent": (47, 12),
    "others": (58, 14),
}
_BUILDINGS: Final = ("コーポ梅本", "ハイツ内郷", "メゾン平", "サンコーポ", "県営住宅", "グリーンハイツ", "第２常磐荘")
_HAMLETS: Final = (
    "梅本",
    "堂根",
    "南町",
    "北目",
    "作町",
    "石田",
    "前田",
    "沼ノ内",
    "細谷",
    "上ノ原",
    "宮前",
    "新田",
    "久保",
    "大門",
)
_REMARKS: Final = (
    "出生地　いわき市",
    "本籍変更による職権修正",
    "旧住所表示",
    "平成２３年３月　避難",
    "住居表示実施による修正",
)
_MEMOS: Final = ("窓口で筆談を希望", "通知は方書まで記載", "代理人届出あり")
