"""異動の様式: each paper form as steps of fields, and the change that the fields say. No request, no database."""

from __future__ import annotations

from typing import Final

from juki.console.procedures import amending, household, joining, leaving, status
from juki.console.procedures.again import Refilled, refilled
from juki.console.procedures.findings import field_of, place_findings, place_problem, sentence
from juki.console.procedures.notice import reception
from juki.console.procedures.procedure import LAST, MAX_PERSONS, About, Member, Procedure, Step, persons_of

PROCEDURES: Final = {
    p.slug: p
    for p in (
        Procedure(slug="move-in", title="転入", steps=joining.move_in_steps, build=joining.move_in, grows=True),
        Procedure(slug="relocate", title="転居", steps=leaving.relocate_steps, build=leaving.relocate),
        Procedure(slug="birth", title="出生", steps=joining.birth_steps, build=joining.birth),
        Procedure(slug="death", title="死亡・職権消除", steps=leaving.death_steps, build=leaving.death),
        Procedure(slug="move-out", title="転出", steps=leaving.move_out_steps, build=leaving.move_out),
        Procedure(
            slug="head-change", title="世帯主変更", steps=household.head_change_steps, build=household.head_change
        ),
        Procedure(slug="nationality", title="帰化・国籍喪失", steps=status.nationality_steps, build=status.nationality),
        Procedure(slug="remake", title="改製・再製", steps=status.remake_steps, build=status.remake),
        Procedure(slug="correct", title="誤記修正・職権修正", steps=amending.correct_steps, build=amending.correct),
        Procedure(slug="cancel", title="異動の取消し", steps=amending.cancel_steps, build=amending.cancel),
    )
}


__all__ = [
    "LAST",
    "MAX_PERSONS",
    "PROCEDURES",
    "About",
    "Member",
    "Procedure",
    "Refilled",
    "Step",
    "field_of",
    "persons_of",
    "place_findings",
    "place_problem",
    "reception",
    "refilled",
    "sentence",
]
