"""The way back after a page of its own: 照会の目的 asked for first, and the browser's Back."""

from __future__ import annotations

import pytest
from tests.web.counter import IWAKI, Browser


@pytest.mark.parametrize(
    ("there", "location"),
    [
        (f"/{IWAKI}/residents/渡邊", f"/{IWAKI}/residents/%E6%B8%A1%E9%82%8A"),
        (f"/{IWAKI}/residents/1?day=R8.11.20&a=%E6%B8%A1", f"/{IWAKI}/residents/1?day=R8.11.20&a=%E6%B8%A1"),
        (f"/{IWAKI}/cases", f"/{IWAKI}/cases"),
        ("//evil.example/渡邊", f"/{IWAKI}/search"),
        ("https://evil.example/", f"/{IWAKI}/search"),
        (f"/{IWAKI}/\\evil.example", f"/{IWAKI}/search"),
        (f"/{IWAKI}/..//evil.example", f"/{IWAKI}/search"),
        (f"/{IWAKI}/../075418/search", f"/{IWAKI}/search"),
        (f"/{IWAKI}/%2e%2E/075418/search", f"/{IWAKI}/search"),
        (f"/{IWAKI}/residents/\u2028渡邊", f"/{IWAKI}/search"),
        ("", f"/{IWAKI}/search"),
    ],
)
async def test_the_purpose_leads_back_to_our_own_pages_whatever_letters_stand_in_the_address(
    clerk: Browser, there: str, location: str
) -> None:
    """A header carries ASCII; a path in Japanese is coded, and only paths of this municipality are taken."""
    await clerk.get("/purpose", params={"next": there})
    answer = await clerk.post("/purpose", {"purpose": "notification", "next": there}, follow=False)
    assert (answer.status_code, answer.headers["location"]) == (303, location)


async def test_a_page_in_japanese_asks_for_the_purpose_first(clerk: Browser) -> None:
    """The question knows where it came from, letter by letter."""
    clerk.client.cookies.delete("juki-purpose")
    asked = await clerk.client.get(f"/{IWAKI}/residents/渡邊 1", follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/{IWAKI}/purpose?next=/{IWAKI}/residents/%E6%B8%A1%E9%82%8A%201"
    await clerk.get(asked.headers["location"])
    assert clerk.hidden()["next"] == [f"/{IWAKI}/residents/渡邊 1"]
    answer = await clerk.post("/purpose", {"purpose": "notification", **clerk.hidden()}, follow=False)
    assert answer.headers["location"] == f"/{IWAKI}/residents/%E6%B8%A1%E9%82%8A%201"


async def test_an_address_with_wide_digits_is_no_municipality(clerk: Browser) -> None:
    """A code is ASCII digits; anything else is not found, not a fault."""
    answer = await clerk.client.get("/０７２０４４/cases", headers={"accept": "text/html"}, follow_redirects=False)
    assert answer.status_code in (303, 404)
