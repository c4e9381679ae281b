"""届出: the first page of every form, with the 受付記録 and the dates it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from juki.console.form import Field, Form, Option
from juki.console.procedures.procedure import Step
from juki.dates import RegistryDate
from juki.registry.model import Channel, Document, Reception, Source

SOURCES: Final[tuple[Option, ...]] = (
    (Source.PERSON.value, "本人"),
    (Source.AGENT.value, "代理人・同一世帯の者"),
    (Source.ADMINISTRATION.value, "行政機関"),
    (Source.LOCAL_GOVERNMENT.value, "他の市区町村"),
)
DOCUMENTS: Final[tuple[Option, ...]] = (
    (Document.MY_NUMBER_CARD.value, "個人番号カード"),
    (Document.DRIVING_LICENCE.value, "運転免許証"),
    (Document.PASSPORT.value, "旅券"),
    (Document.RESIDENCE_CARD.value, "在留カード・特別永住者証明書"),
    (Document.TWO_DOCUMENTS.value, "資格確認書等の2点"),
    (Document.NOT_NEEDED.value, "不要（職権・通知による）"),
    (Document.NONE.value, "確認できず（住所あてに通知）"),
)
DATE_HINT: Final = "例: R8.11.20、令和8年11月20日、20261120"


def reception(form: Form, operator: str) -> Reception:
    """受付記録 from the first page."""
    return Reception(
        form_no=form.text("form_no"),
        source=Source(form.text("source") or Source.PERSON.value),
        channel=Channel.PAPER,
        notifier=form.text("notifier"),
        document=Document(form.text("document") or Document.NONE.value),
        checked_by=operator,
    )


def first_page(occurred: str, reasons: Sequence[Option] = (), *, unknown: bool = False, hint: str = DATE_HINT) -> Step:
    """届出: what every form asks first; `reasons` where the form serves several 異動事由."""
    asked = [
        Field(name="form_no", label="届出書の受付番号", required=True, width="s", max=40, autofocus=True),
        Field(
            name="occurred_on",
            label=occurred,
            kind="date",
            required=True,
            width="s",
            hint=hint,
            unknown_allowed=unknown,
        ),
        Field(name="notified_on", label="届出日", kind="date", width="s", hint="空欄は今日"),
        Field(
            name="notifier",
            label="届出人の氏名",
            width="m",
            hint="職権のほかは必須",
            needed_when=("source", (Source.PERSON.value, Source.AGENT.value)),
        ),
        Field(
            name="source",
            label="届出人の区分",
            kind="select",
            required=True,
            default=Source.PERSON.value,
            options=SOURCES,
            width="m",
        ),
        Field(name="document", label="本人確認", kind="select", required=True, options=DOCUMENTS, width="m"),
        Field(name="remarks", label="留意事項", kind="textarea", width="l", max=500),
    ]
    if reasons:
        asked.insert(
            1,
            Field(
                name="reason",
                label="異動事由",
                kind="select",
                required=True,
                options=reasons,
                width="m",
                default=reasons[0][0],
            ),
        )
    return Step(title="届出", fields=asked)


def notice_of(form: Form) -> dict[str, Any]:
    """異動日, 届出日 and 留意事項 as given."""
    notified = form.date("notified_on")
    return {
        "occurred_on": form.date("occurred_on") or RegistryDate(0),
        "notified_on": notified.to_date() if notified else None,
        "remarks": form.text("remarks"),
    }
