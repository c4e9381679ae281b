"""転入: from the form to the register, by two persons."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from juki import registry
from juki.problem import Invalid, NotFound, Refused
from juki.registry.model import GROUPS, Status
from tests.registry.conftest import Desk, family, my_number, newcomer, three


async def test_a_family_of_three_moves_in_and_stands_in_the_register_after_a_second_person_confirmed(desk: Desk) -> None:
    """R-12-3.2-QUA-01, R-1-1.1-DAT-01: 転入 of three with 個人番号."""
    change = three()
    case_no = await desk.enter(change)
    result = await desk.confirm(case_no, change)
    assert len(result.new_atena_nos) == 3
    head = await desk.read(result.new_atena_nos[0])
    home = await desk.do(desk.clerk, lambda op: registry.household(op, head.setai_no, groups=("basic", "address")))
    assert [m.is_head for m in home.members] == [True, False, False]
    assert [m.basic.relationship for m in home.members] == ["世帯主", "妻", "子"]
    assert {m.basic.head_name for m in home.members} == {"渡邊　一郎"}
    assert head.my_number is not None
    assert head.my_number.my_number == change.persons[0].my_number
    assert head.status is Status.RESIDENT
