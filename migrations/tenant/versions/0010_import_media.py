"""移行の媒体: which media a municipality received, from whom, and that each went back or was destroyed."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
kind = "expand"

_TABLES = """
CREATE TABLE __tenant__.import_medium (
    medium_no text PRIMARY KEY CHECK (medium_no ~ '^[A-Z0-9][A-Z0-9-]{1,39}$'),
    kind text NOT NULL CHECK (kind IN ('usb', 'disk', 'optical', 'tape')),
    encryption text NOT NULL CHECK (encryption <> ''),
    registered_at timestamptz NOT NULL,
    registered_by text NOT NULL,
    op_no bigint NOT NULL
);
CREATE TABLE __tenant__.import_medium_step (
    medium_no text NOT NULL REFERENCES __tenant__.import_medium,
    step_no integer NOT NULL CHECK (step_no >= 1),
    state text NOT NULL CHECK (state IN ('in', 'returned', 'destroyed')),
    on_day date NOT NULL,
    noted_at timestamptz NOT NULL,
    noted_by text NOT NULL,
    op_no bigint NOT NULL,
    person_sealed bytea NOT NULL,
    PRIMARY KEY (medium_no, step_no)
);
GRANT SELECT, INSERT ON __tenant__.import_medium, __tenant__.import_medium_step TO __tenant___registry;
GRANT SELECT ON __tenant__.import_medium_step TO __tenant___rekey;
GRANT UPDATE (person_sealed) ON __tenant__.import_medium_step TO __tenant___rekey;
"""

_PLAIN: dict[str, dict[str, str]] = {
    "import_medium": {
        "medium_no": "registered number of a medium",
        "kind": "one of four words",
        "encryption": "how the medium is encrypted, no key and no person",
        "registered_at": "instant of registration",
        "registered_by": "staff account",
        "op_no": "number in the operation log",
    },
    "import_medium_step": {
        "medium_no": "registered number of a medium",
        "step_no": "running number",
        "state": "one of three words",
        "on_day": "day on which it came, went back or was destroyed",
        "noted_at": "instant of the note",
        "noted_by": "staff account",
        "op_no": "number in the operation log",
    },
}


def upgrade() -> None:
    """Two tables, insert-only: the course of a medium is added to, never rewritten."""
    op.execute(_TABLES)
    for table, columns in _PLAIN.items():
        for column, reason in columns.items():
            op.execute(f"COMMENT ON COLUMN __tenant__.{table}.{column} IS 'plain: {reason}'")
