"""採番: every running number can be put beyond the numbers in use, after an import, a restore or a re-import."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
kind = "expand"

# It moves forward only. Over a small gap it draws, because others may draw at the same time; a large gap nobody else can
# cross in the meantime. A service may set the two in-house numbers, whose values an incumbent chose and which are looked
# up before they are given out; from all the others it may only draw.
_FUNCTION = """
CREATE FUNCTION __tenant__.numbers_beyond_use(atena_digits integer, setai_digits integer, move boolean)
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
$body$;
REVOKE ALL ON FUNCTION __tenant__.numbers_beyond_use(integer, integer, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION __tenant__.numbers_beyond_use(integer, integer, boolean) TO __tenant___registry;
GRANT UPDATE ON SEQUENCE __tenant__.atena_seq, __tenant__.setai_seq TO __tenant___registry
"""


def upgrade() -> None:
    """One function, which can do no more than waste numbers."""
    op.execute(_FUNCTION)
