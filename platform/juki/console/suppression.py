"""抑止: holding a process of one person back, and letting it go for a while or asking that it be let go for good."""

from __future__ import annotations

from typing import Final

from juki.console.form import Field
from juki.registry.model import Level, Process

HOLD: Final = (
    Field(name="process", label="抑止する処理", kind="select", required=True, width="s",
          options=((Process.ISSUE.value, "発行"), (Process.CHANGE.value, "異動"), (Process.INQUIRY.value, "照会"))),
    Field(name="level", label="強さ", kind="select", required=True, width="s",
          options=((Level.ERROR.value, "停止"), (Level.ALERT.value, "注意"))),
    Field(name="reason", label="理由", required=True, width="l", max=300),
)  # fmt: skip

FOR_GOOD: Final = "0"
"""A release that does not come back by itself: it is asked for, and another person approves."""

RELEASE: Final = (
    Field(
        name="minutes",
        label="解除の長さ",
        kind="radio",
        required=True,
        options=(
            ("30", "30分（過ぎると抑止に戻ります）"),
            ("240", "4時間（過ぎると抑止に戻ります）"),
            (FOR_GOOD, "この先ずっと（抑止をやめます。ほかの職員の承認が必要です）"),
        ),
    ),
    Field(name="reason", label="理由", required=True, width="l", max=300),
)
