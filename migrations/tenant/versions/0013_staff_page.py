"""画面の控え: what a clerk sent to a page that only shows something, sealed, so that the browser's Back finds a page."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
kind = "expand"

_TABLE = """
CREATE TABLE __tenant__.staff_page (
    page_no bigint PRIMARY KEY CHECK (page_no > 0),
    session_id text NOT NULL,
    kept_at timestamptz NOT NULL,
    given_sealed bytea NOT NULL
);
CREATE INDEX staff_page_session ON __tenant__.staff_page (session_id, kept_at);

GRANT SELECT, INSERT, DELETE ON __tenant__.staff_page TO __tenant___registry;
GRANT SELECT, UPDATE (given_sealed) ON __tenant__.staff_page TO __tenant___rekey;
"""

_PLAIN = {
    "page_no": "random number that says nothing",
    "session_id": "session of staff",
    "kept_at": "instant of the request",
}


def upgrade() -> None:
    """A waiting room and no history: rows go with the session, so the service may delete from it."""
    op.execute(_TABLE)
    for column, reason in _PLAIN.items():
        op.execute(f"COMMENT ON COLUMN __tenant__.staff_page.{column} IS 'plain: {reason}'")
