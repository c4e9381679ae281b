"""受付番号: one paper form is one case, for as long as the case is not withdrawn."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
kind = "expand"


def upgrade() -> None:
    """A case that waits, was handed back or is confirmed holds the number of its form alone, however it is written."""
    op.execute(
        "CREATE UNIQUE INDEX change_case_form_once ON __tenant__.change_case (upper(form_no)) WHERE state <> 'withdrawn'"
    )
