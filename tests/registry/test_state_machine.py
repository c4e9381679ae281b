"""Random changes, hundreds of them: the register stays whole on every day and never rewrites what was known."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.registry.town import Town, whole

from juki.registry.model import REASONS, ReasonGroup, Record, Status, as_of, timeline


class Register(RuleBasedStateMachine):
    """A town under random changes."""

    def __init__(self) -> None:
        super().__init__()
        self.town = Town(0)
        self.known: list[tuple[dt.datetime, dict[tuple[str, dt.date], int | None]]] = []
        self.days: set[dt.date] = set()

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.town = Town(seed)

    @rule(days=st.integers(0, 15))
    def time_passes(self, days: int) -> None:
        self.town.today += dt.timedelta(days=days)

    @rule()
    def somebody_brings_a_form(self) -> None:
        change = self.town.propose()
        if change is None:
            return
        change, scene, allowed = self.town.judge(change)
        if not allowed:
            return
        before = {a: len(v) for a, v in self.town.records.items()}
        fresh = self.town.commit(change, scene)
        assert all(len(v) >= before.get(a, 0) for a, v in self.town.records.items())
        self.days |= {v.valid_from for v in fresh} | {self.town.today, dt.date.max}
        self.known.append((fresh[0].known_from, self._picture()))  # pyright: ignore[reportArgumentType]

    def _picture(self, known_at: dt.datetime | None = None) -> dict[tuple[str, dt.date], int | None]:
        found: dict[tuple[str, dt.date], int | None] = {}
        for atena_no, versions in self.town.records.items():
            line = timeline(versions, known_at)
            for day in self.days:
                held = as_of(line, day)
                found[atena_no, day] = held.version_no if held else None
        return found

    @invariant()
    def every_household_is_whole_on_every_day(self) -> None:
        for day in self.days:
            assert whole(self.town, day) == []

    @invariant()
    def versions_are_numbered_without_gap_and_one_is_open(self) -> None:
        for versions in self.town.records.values():
            assert [v.version_no for v in versions] == list(range(1, len(versions) + 1))
            line = timeline(versions)
            assert line
            named = [v.corrects_version for v in versions if v.corrects_version]
            named += [v.cancels_version for v in versions if v.cancels_version]
            assert len(named) == len(set(named))

    @invariant()
    def nobody_who_was_struck_out_is_head_of_a_household(self) -> None:
        for versions in self.town.records.values():
            assert not any(v.is_head for v in versions if v.status is not Status.RESIDENT)

    @invariant()
    def nobody_comes_back_who_did_not_move_in_again(self) -> None:
        entries = {r.code for r in REASONS.values() if r.group is ReasonGroup.ENTRY}
        for versions in self.town.records.values():
            line = timeline(versions)
            for gone, back in pairwise(line):
                if gone.status is not Status.RESIDENT and back.status is Status.RESIDENT:
                    of_the_day = {
                        self.town.events[v.event_no].reason for v in versions if v.valid_from == back.valid_from
                    }
                    assert of_the_day & entries

    @invariant()
    def what_was_known_reads_the_same_for_ever(self) -> None:
        for known_at, picture in self.known[-3:]:
            now = self._picture(known_at)
            assert {key: now[key] for key in picture} == picture


TestRegister = Register.TestCase
TestRegister.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def _play(seed: int, steps: int) -> dict[str, tuple[Record, ...]]:
    town = Town(seed)
    for _ in range(steps):
        town.today += dt.timedelta(days=town.random.randint(0, 5))
        proposed = town.propose()
        if proposed is None:
            continue
        change, scene, allowed = town.judge(proposed)
        if allowed:
            town.commit(change, scene)
    return town.records


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_changes_in_the_same_order_make_the_same_register(seed: int) -> None:
    """Replay: nothing but the changes decides what stands in the register."""

    def bare(records: dict[str, tuple[Record, ...]]) -> dict[str, list[tuple[object, ...]]]:
        return {
            a: [(v.version_no, v.setai_no, v.status, v.valid_from, v.is_head, v.basic, v.address) for v in versions]
            for a, versions in records.items()
        }

    first, second = _play(seed, 30), _play(seed, 30)
    assert bare(first) == bare(second)


def test_the_random_changes_reach_every_form_that_the_town_knows() -> None:
    """帰化, 国籍喪失, 改製 and 再製 occur among the others, are followed by others, and are taken back."""
    seen: set[str] = set()
    after: set[str] = set()
    taken_back: set[str] = set()
    for seed in range(120):
        town = Town(seed)
        for _ in range(60):
            town.today += dt.timedelta(days=town.random.randint(0, 5))
            proposed = town.propose()
            if proposed is None:
                continue
            change, scene, allowed = town.judge(proposed)
            if not allowed:
                continue
            if scene.event is not None:
                taken_back.add(scene.event.reason)
            touched = {v.atena_no for v in town.commit(change, scene)}
            earlier = {town.events[v.event_no].reason for a in touched for v in town.records[a] if v.event_no}
            seen.add(change.reason)
            after |= earlier - {change.reason}
            for day in (town.today, dt.date.max):
                assert whole(town, day) == []
    wanted = {"entry_naturalised", "entry_nationality_lost", "entry_reissue", "entry_restored"}
    assert wanted | {"removal_nationality_lost", "household_split", "household_move", "minor"} <= seen
    assert wanted <= after
    assert wanted - {"entry_naturalised"} <= taken_back
