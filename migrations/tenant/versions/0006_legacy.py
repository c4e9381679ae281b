"""データ移行: runs of an import, their chunks, the original bytes of every row and the work list of rows turned away."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
kind = "expand"

_TABLES = """
CREATE SEQUENCE __tenant__.import_seq AS bigint;

CREATE TABLE __tenant__.import_run (
    run_no bigint PRIMARY KEY,
    layout text NOT NULL,
    layout_digest text NOT NULL,
    source_digest text NOT NULL,
    medium text NOT NULL CHECK (medium <> ''),
    started_at timestamptz NOT NULL,
    started_by text NOT NULL,
    op_no bigint NOT NULL,
    first_event bigint NOT NULL,
    first_measure bigint NOT NULL,
    first_code bigint NOT NULL,
    rows_total bigint NOT NULL,
    chunks_total integer NOT NULL
);
CREATE UNIQUE INDEX import_run_source ON __tenant__.import_run (source_digest, layout_digest);

CREATE TABLE __tenant__.import_chunk (
    chunk_key bigint PRIMARY KEY,
    run_no bigint NOT NULL,
    chunk_no integer NOT NULL,
    counts jsonb NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    totals_sealed bytea NOT NULL
);

CREATE TABLE __tenant__.import_end (
    run_no bigint PRIMARY KEY,
    balanced boolean NOT NULL,
    report jsonb NOT NULL,
    ended_at timestamptz NOT NULL,
    ended_by text NOT NULL,
    op_no bigint NOT NULL
);

CREATE TABLE __tenant__.import_original (
    original_no bigint PRIMARY KEY,
    run_no bigint NOT NULL,
    file text NOT NULL,
    line integer NOT NULL,
    atena_no text NOT NULL,
    version_no integer NOT NULL,
    raw_sealed bytea NOT NULL
);
CREATE INDEX import_original_resident ON __tenant__.import_original (atena_no);

CREATE TABLE __tenant__.import_reject (
    entry_no bigint PRIMARY KEY,
    run_no bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('rejected', 'held', 'alert')),
    file text NOT NULL,
    line integer NOT NULL,
    item text NOT NULL,
    value_class text NOT NULL,
    reason text NOT NULL,
    raw_sealed bytea NOT NULL
);
CREATE INDEX import_reject_run ON __tenant__.import_reject (run_no, outcome, entry_no);

CREATE TABLE __tenant__.import_decision (
    entry_no bigint PRIMARY KEY,
    decision text NOT NULL CHECK (decision IN ('resolved', 'dismissed')),
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL,
    reason_sealed bytea NOT NULL
);
"""

_GRANTS = """
GRANT USAGE ON SEQUENCE __tenant__.import_seq TO __tenant___registry;
GRANT SELECT, INSERT ON __tenant__.import_run, __tenant__.import_chunk, __tenant__.import_end,
    __tenant__.import_original, __tenant__.import_reject, __tenant__.import_decision TO __tenant___registry;
GRANT SELECT ON __tenant__.import_chunk, __tenant__.import_original, __tenant__.import_reject,
    __tenant__.import_decision TO __tenant___rekey;
GRANT UPDATE (totals_sealed) ON __tenant__.import_chunk TO __tenant___rekey;
GRANT UPDATE (raw_sealed) ON __tenant__.import_original, __tenant__.import_reject TO __tenant___rekey;
GRANT UPDATE (reason_sealed) ON __tenant__.import_decision TO __tenant___rekey;
"""

# Why a column may stand in plain sight.
_PLAIN: dict[str, dict[str, str]] = {
    "import_run": {
        "run_no": "running number",
        "layout": "name of a layout",
        "layout_digest": "digest of a mapping file",
        "source_digest": "digest of a whole extract",
        "medium": "registered number of a medium",
        "started_at": "instant of the start",
        "started_by": "staff account",
        "op_no": "number in the operation log",
        "first_event": "running number",
        "first_measure": "running number",
        "first_code": "running number",
        "rows_total": "count",
        "chunks_total": "count",
    },
    "import_chunk": {
        "chunk_key": "running number: run and chunk",
        "run_no": "running number",
        "chunk_no": "running number",
        "counts": "counts of rows by file, reason, state and kind",
        "written_at": "instant of writing",
    },
    "import_end": {
        "run_no": "running number",
        "balanced": "whether every row is accounted for",
        "report": "counts and comparisons, no value of a person",
        "ended_at": "instant of the end",
        "ended_by": "staff account",
        "op_no": "number in the operation log",
    },
    "import_original": {
        "original_no": "running number: run, file and line",
        "run_no": "running number",
        "file": "name of a file of the extract",
        "line": "line in that file",
        "atena_no": "in-house key",
        "version_no": "history number",
    },
    "import_reject": {
        "entry_no": "running number: run, chunk and place in it",
        "run_no": "running number",
        "outcome": "one of three words",
        "file": "name of a file of the extract",
        "line": "line in that file",
        "item": "name of an item, not its value",
        "value_class": "kind and length of a value, not the value",
        "reason": "code of a rule",
    },
    "import_decision": {
        "entry_no": "running number",
        "decision": "one of two words",
        "decided_by": "staff account",
        "decided_at": "instant of the decision",
    },
}


def upgrade() -> None:
    """Create the tables of the import, insert-only for every role a service can become."""
    op.execute(_TABLES)
    op.execute(_GRANTS)
    for table, columns in _PLAIN.items():
        for column, reason in columns.items():
            op.execute(f"COMMENT ON COLUMN __tenant__.{table}.{column} IS 'plain: {reason}'")
