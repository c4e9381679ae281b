"""緩和の申請: what would protect somebody less is asked for by one person and decided by another, and both rows stay."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
kind = "expand"

# The database itself keeps two persons apart: a step carries who asked, and its own check compares the two. It also keeps
# an ask from ending twice: there is a first step and a second, and no third.
_TABLES = """
CREATE SEQUENCE __tenant__.loosening_seq AS bigint;

CREATE TABLE __tenant__.loosening (
    loosening_no bigint PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('end', 'narrow', 'release')),
    measure_no bigint,
    base_version integer CHECK (base_version >= 1),
    suppression_no bigint,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    terminal text NOT NULL DEFAULT '',
    asked_sealed bytea NOT NULL,
    UNIQUE (loosening_no, asked_by),
    CONSTRAINT loosening_of_one CHECK ((kind = 'release') = (suppression_no IS NOT NULL)
        AND (kind = 'release') = (measure_no IS NULL) AND (measure_no IS NULL) = (base_version IS NULL))
);
CREATE INDEX loosening_measure ON __tenant__.loosening (measure_no) WHERE measure_no IS NOT NULL;
CREATE INDEX loosening_suppression ON __tenant__.loosening (suppression_no) WHERE suppression_no IS NOT NULL;

CREATE TABLE __tenant__.loosening_step (
    loosening_no bigint NOT NULL,
    step_no integer NOT NULL CHECK (step_no IN (1, 2)),
    state text NOT NULL CHECK (state IN ('asked', 'approved', 'declined', 'withdrawn')),
    asked_by text NOT NULL,
    done_by text NOT NULL,
    done_at timestamptz NOT NULL,
    version_no integer,
    comment_sealed bytea,
    PRIMARY KEY (loosening_no, step_no),
    FOREIGN KEY (loosening_no, asked_by) REFERENCES __tenant__.loosening (loosening_no, asked_by),
    CONSTRAINT loosening_step_order CHECK ((step_no = 1) = (state = 'asked')),
    CONSTRAINT loosening_step_two_persons CHECK ((state IN ('approved', 'declined')) = (done_by <> asked_by)),
    CONSTRAINT loosening_step_result CHECK (version_no IS NULL OR state = 'approved')
);

GRANT USAGE ON SEQUENCE __tenant__.loosening_seq TO __tenant___registry;
GRANT SELECT, INSERT ON __tenant__.loosening, __tenant__.loosening_step TO __tenant___registry;
GRANT SELECT ON __tenant__.loosening, __tenant__.loosening_step TO __tenant___rekey;
GRANT UPDATE (asked_sealed) ON __tenant__.loosening TO __tenant___rekey;
GRANT UPDATE (comment_sealed) ON __tenant__.loosening_step TO __tenant___rekey;
"""

# As in 0009, with one running number more.
_NUMBERS = """
CREATE OR REPLACE FUNCTION __tenant__.numbers_beyond_use(atena_digits integer, setai_digits integer, move boolean)
RETURNS TABLE (name text, stands bigint, used bigint)
LANGUAGE plpgsql AS $body$
DECLARE
    counter regclass;
BEGIN
    FOR name, used IN
        SELECT 'atena_seq', (SELECT max(left(v.atena_no, -1)::bigint) FROM __tenant__.resident_version v
                             WHERE length(v.atena_no) = atena_digits AND v.atena_no ~ '^[0-9]+$')
        UNION ALL SELECT 'setai_seq', (SELECT max(left(v.setai_no, -1)::bigint) FROM __tenant__.resident_version v
                                       WHERE length(v.setai_no) = setai_digits AND v.setai_no ~ '^[0-9]+$')
        UNION ALL SELECT 'event_seq', greatest(
            (SELECT max(e.event_no) FROM __tenant__.event e),
            (SELECT max(v.event_no) FROM __tenant__.resident_version v),
            (SELECT max(r.first_event + r.rows_total) FROM __tenant__.import_run r
             WHERE NOT EXISTS (SELECT FROM __tenant__.import_end d WHERE d.run_no = r.run_no)))
        UNION ALL SELECT 'case_seq', greatest(
            (SELECT max(c.case_no) FROM __tenant__.change_case c), (SELECT max(e.case_no) FROM __tenant__.event e))
        UNION ALL SELECT 'measure_seq', greatest(
            (SELECT max(m.measure_no) FROM __tenant__.support_measure m),
            (SELECT max(r.first_measure + r.rows_total) FROM __tenant__.import_run r
             WHERE NOT EXISTS (SELECT FROM __tenant__.import_end d WHERE d.run_no = r.run_no)))
        UNION ALL SELECT 'suppression_seq', (SELECT max(s.suppression_no) FROM __tenant__.suppression s)
        UNION ALL SELECT 'loosening_seq', (SELECT max(l.loosening_no) FROM __tenant__.loosening l)
        UNION ALL SELECT 'code_stock_seq', greatest(
            (SELECT max(s.stock_no) FROM __tenant__.resident_code_stock s),
            (SELECT max(r.first_code + r.rows_total) FROM __tenant__.import_run r
             WHERE NOT EXISTS (SELECT FROM __tenant__.import_end d WHERE d.run_no = r.run_no)))
        UNION ALL SELECT 'issue_seq', greatest(
            (SELECT max(a.application_no) FROM __tenant__.certificate_application a),
            (SELECT max(i.issue_no) FROM __tenant__.certificate_issue i))
        UNION ALL SELECT 'import_seq', (SELECT max(r.run_no) FROM __tenant__.import_run r)
        UNION ALL SELECT 'audit_op_seq', (SELECT max(a.op_no) FROM __tenant__.audit_row a)
    LOOP
        used := coalesce(used, 0);
        counter := format('__tenant__.%I', name)::regclass;
        stands := coalesce(pg_catalog.pg_sequence_last_value(counter), 0);
        IF move AND used - stands > 100000 AND pg_catalog.has_sequence_privilege(counter, 'UPDATE') THEN
            stands := pg_catalog.setval(counter, used);
        END IF;
        WHILE move AND stands < used LOOP
            stands := pg_catalog.nextval(counter);
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$body$
"""

_PLAIN: dict[str, dict[str, str]] = {
    "loosening": {
        "loosening_no": "running number",
        "kind": "one of three words",
        "measure_no": "running number of the measure",
        "base_version": "history number of the measure it was asked for",
        "suppression_no": "running number of the suppression",
        "asked_by": "staff account",
        "asked_at": "instant of the ask",
        "terminal": "registered terminal",
    },
    "loosening_step": {
        "loosening_no": "running number",
        "step_no": "first or second",
        "state": "one of four states",
        "asked_by": "staff account, so that the database itself compares the two persons",
        "done_by": "staff account",
        "done_at": "instant of the step",
        "version_no": "history number that the approval wrote",
    },
}


def upgrade() -> None:
    """Two tables, insert-only, whose rows say who asked and who decided; and the count of their number."""
    op.execute(_TABLES)
    op.execute(_NUMBERS)
    for table, columns in _PLAIN.items():
        for column, reason in columns.items():
            op.execute(f"COMMENT ON COLUMN __tenant__.{table}.{column} IS 'plain: {reason}'")
