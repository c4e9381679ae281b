"""状況: where a case stands and what comes next, for whoever looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from juki.config import Config
from juki.offboarding import store
from juki.offboarding.model import Case, CaseState, StepRecord

_NEXT: Final[Mapping[CaseState, str]] = {
    CaseState.REQUESTED: "申出者以外の所属長が承認してください。",
    CaseState.APPROVED: "承認をもう一度実行し、窓口業務を閉じてください。",
    CaseState.LEAVING: "データを書き出してください。",
    CaseState.EXPORTED: "書き出しを開いて突合し、検証者と確認者を指名し、猶予期間の後に消去を始めてください。",
    CaseState.ERASING: "消去をもう一度実行してください。続きから始まります。",
    CaseState.ERASED: "検証者が検証してください。",
    CaseState.VERIFIED: "確認者が確認してください。",
    CaseState.VALIDATED: "証明書を発行してください。",
    CaseState.CERTIFIED: "KMS鍵の削除の日の後に、確定版の証明書を発行してください。",
    CaseState.REJECTED: "消去をもう一度実行してください。",
}


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A case with its steps; `next` is a sentence for staff."""

    case: Case
    steps: tuple[StepRecord, ...]
    next: str


def status(config: Config, code: str) -> Status:
    """The case of a municipality; NotFound `offboarding.no_case`."""
    with store.control(config) as connection:
        case = store.case_of(connection, code)
        return Status(case=case, steps=store.step_records(connection, case.case_no), next=_NEXT.get(case.state, ""))
