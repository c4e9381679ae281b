"""作業一覧の行の宛名番号と世帯番号: whose row waits, so that its numbers are given to nobody else and rows are found together."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None
kind = "expand"


def upgrade() -> None:
    """Empty for rows from before, and where a row does not tell."""
    op.execute(
        "ALTER TABLE __tenant__.import_reject ADD COLUMN atena_no text NOT NULL DEFAULT '', "
        "ADD COLUMN setai_no text NOT NULL DEFAULT ''"
    )
    for column in ("atena_no", "setai_no"):
        op.execute(f"CREATE INDEX import_reject_{column} ON __tenant__.import_reject ({column}) WHERE {column} <> ''")
        op.execute(f"COMMENT ON COLUMN __tenant__.import_reject.{column} IS 'plain: in-house key'")
