"""様式: what a paper form starts from, its pages, and the change it amounts to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from juki.console.form import Field, Form, Option
from juki.registry.model import Change

MAX_PERSONS: Final = 12
LAST: Final = "内容の確認"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the household the form is about, as far as a form must name them."""

    atena_no: str
    name: str
    relationship: str
    is_head: bool = False
    chosen: bool = False  # the person the form was opened from


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the form starts from: the person, the household, the changes made so far."""

    atena_no: str = ""
    setai_no: str = ""
    version_no: int = 0
    members: Sequence[Member] = ()
    events: Sequence[Option] = ()
    versions: Sequence[Option] = ()
    items: Sequence[Option] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a form."""

    title: str
    fields: Sequence[Field]
    lead: str = ""


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    """One paper form: its name, its pages, and what it amounts to."""

    slug: str
    title: str
    steps: Callable[[About, int], list[Step]]
    build: Callable[[About, Form], Change]
    grows: bool = False  # a person can be added


def persons_of(form: Form) -> int:
    """How many persons the form has pages for."""
    text = form.text("persons")
    return min(max(int(text) if text.isdecimal() else 1, 1), MAX_PERSONS)
