"""移行レイアウトの控え: the layout of an import as its files were found, so that a kept row can be cut into items for good."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
kind = "expand"


def upgrade() -> None:
    """Empty for runs from before: their rows are shown whole."""
    op.execute("ALTER TABLE __tenant__.import_run ADD COLUMN layout_found text NOT NULL DEFAULT ''")
    op.execute(
        "COMMENT ON COLUMN __tenant__.import_run.layout_found IS "
        "'plain: names, places and destinations of the items of an extract, no value'"
    )
