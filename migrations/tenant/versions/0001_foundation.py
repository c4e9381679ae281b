"""Foundation of a tenant schema: its state, its schema version and the counters that number people and papers."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.tenant_state (
            only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
            epoch bigint NOT NULL CHECK (epoch > 0),
            state text NOT NULL CHECK (state IN ('provisioning', 'migrating', 'active', 'suspended', 'leaving')),
            seal_version integer NOT NULL CHECK (seal_version > 0),
            index_active text NOT NULL CHECK (index_active IN ('a', 'b')),
            index_pending text CHECK (index_pending IN ('a', 'b') AND index_pending <> index_active),
            changed_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON TABLE __tenant__.tenant_state IS
            'What this home believes of itself; a writer whose directory says otherwise is turned away';
        COMMENT ON COLUMN __tenant__.tenant_state.only_row IS 'plain: constant that keeps the table at one row';
        COMMENT ON COLUMN __tenant__.tenant_state.epoch IS 'plain: counter of the directory, no person in it';
        COMMENT ON COLUMN __tenant__.tenant_state.state IS 'plain: state of the municipality, no person in it';
        COMMENT ON COLUMN __tenant__.tenant_state.seal_version IS 'plain: number of a key, not the key';
        COMMENT ON COLUMN __tenant__.tenant_state.index_active IS 'plain: name of a slot';
        COMMENT ON COLUMN __tenant__.tenant_state.index_pending IS 'plain: name of a slot';
        COMMENT ON COLUMN __tenant__.tenant_state.changed_at IS 'plain: when the state last changed'
        """
    )
    op.execute(
        """
        CREATE TABLE __tenant__.schema_version (
            revision text PRIMARY KEY,
            fingerprint text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        );
        COMMENT ON COLUMN __tenant__.schema_version.revision IS 'plain: name of a revision';
        COMMENT ON COLUMN __tenant__.schema_version.fingerprint IS 'plain: digest of a program text';
        COMMENT ON COLUMN __tenant__.schema_version.applied_at IS 'plain: when the revision was applied'
        """
    )
    op.execute(
        """
        CREATE SEQUENCE __tenant__.atena_seq AS bigint;
        CREATE SEQUENCE __tenant__.setai_seq AS bigint;
        CREATE SEQUENCE __tenant__.issue_seq AS bigint
        """
    )
    # The lock makes a change of state wait for writers under way; the comparison then turns away whoever comes
    # with an older directory. Both in one call, so that a session can send it ahead of its first statement.
    op.execute(
        """
        CREATE FUNCTION __tenant__.enter_write(expected bigint, tenant integer) RETURNS void
        LANGUAGE plpgsql AS $body$
        BEGIN
            PERFORM pg_catalog.pg_advisory_xact_lock_shared(19277, tenant);
            IF NOT EXISTS (SELECT FROM __tenant__.tenant_state s
                           WHERE s.epoch = expected AND s.state IN ('migrating', 'active', 'leaving')) THEN
                RAISE EXCEPTION 'this home has moved on' USING ERRCODE = 'JK001';
            END IF;
        END
        $body$
        """
    )
    op.execute(
        """
        REVOKE ALL ON FUNCTION __tenant__.enter_write(bigint, integer) FROM PUBLIC;
        GRANT USAGE ON SCHEMA __tenant__ TO __tenant___registry, __tenant___rekey;
        GRANT EXECUTE ON FUNCTION __tenant__.enter_write(bigint, integer) TO __tenant___registry, __tenant___rekey;
        GRANT SELECT ON __tenant__.tenant_state TO __tenant___registry, __tenant___rekey;
        GRANT SELECT ON __tenant__.schema_version TO __tenant___registry, __tenant___rekey;
        GRANT USAGE ON SEQUENCE __tenant__.atena_seq, __tenant__.setai_seq, __tenant__.issue_seq
            TO __tenant___registry
        """
    )
