"""交付する市区町村の設定: what a municipality decided is what its papers show."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from juki.access.model import Caller
from juki.certificates.office import office_of
from juki.problem import Refused
from juki.tenancy import Fleet


async def test_a_town_prints_itself_without_its_county_and_a_city_as_it_is(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """発行番号 and 認証者: names, counter and fees come from the municipality's own file."""
    city = office_of(await fleet.tenant("072044"), caller(terminal="IWK-ONA-01"))
    town = office_of(await fleet.tenant("075418"), caller(tenant="075418", terminal="HRN-HON-02"))
    assert (city.municipality, city.counter, city.head_title) == ("いわき市", "小名浜支所1", "いわき市長")
    assert (town.municipality, town.counter, town.head_title) == ("広野町", "本庁2", "広野町長")
    assert sorted(city.fees_yen.values()) == [300, 300]
    assert city.seal_svg != town.seal_svg


async def test_a_real_impression_and_own_glyphs_replace_what_is_drawn(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """公印, 外字: handed over by the municipality as outlines; a seal is never wider than 25 mm."""
    tenant = await fleet.tenant("072044")
    seal = msgspec.structs.replace(tenant.settings.seal, picture="<svg/>", size_mm=40.0)
    settings = msgspec.structs.replace(tenant.settings, seal=seal, glyphs={"U+E000": "<svg id='e000'/>"})
    office = office_of(msgspec.structs.replace(tenant, settings=settings), caller())
    assert office.seal_svg == "<svg/>"
    assert office.seal_mm == 25.0
    assert office.glyphs == {"\ue000": "<svg id='e000'/>"}


async def test_a_terminal_of_another_municipality_issues_nothing_here(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """P-3-2, R-1-3.3-PRV-02: papers come from registered terminals only."""
    with pytest.raises(Refused) as caught:
        office_of(await fleet.tenant("072044"), caller(terminal="HRN-HON-01"))
    assert caught.value.code == "certificates.terminal_unknown"


async def test_two_terminals_of_one_office_with_one_number_never_print_the_same_number(
    fleet: Fleet, caller: Callable[..., Caller]
) -> None:
    """発行番号: 市民課 1 and 税務課 1 both stand in the main office, so each prints its whole id."""
    tenant = await fleet.tenant("072044")
    other = msgspec.structs.replace(tenant.settings.terminals[0], id="IWK-ZEI-01")
    settings = msgspec.structs.replace(tenant.settings, terminals=(*tenant.settings.terminals, other))
    tenant = msgspec.structs.replace(tenant, settings=settings)
    counters = [office_of(tenant, caller(terminal=t.id)).counter for t in settings.terminals]
    assert len(set(counters)) == len(counters)
    assert "本庁2" in counters
