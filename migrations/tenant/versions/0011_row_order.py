"""証跡の順序: which transaction wrote a row of the log is for the database to say, not for whoever writes the row."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
kind = "expand"


def upgrade() -> None:
    """A row that named a transaction of its own choice would never be given its place among the leaves."""
    op.execute("REVOKE INSERT ON __tenant__.audit_row FROM __tenant___registry")
    op.execute(
        "GRANT INSERT (op_no, part, kind, action, result, at, body_sealed) ON __tenant__.audit_row TO __tenant___registry"
    )
