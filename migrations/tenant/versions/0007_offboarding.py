"""利用終了: who asked for it and who decided, kept by the municipality itself; what a key rotation may touch."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    # The wish to leave is a row of the municipality's own, written by its own people under its own role: no operator
    # of the platform can write it (R-1-2.6-RET-04).
    op.execute(
        """
        CREATE TABLE __tenant__.offboard_request (
            request_no bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
            requested_at timestamptz NOT NULL,
            requested_by text NOT NULL,
            public_key text NOT NULL,
            op_no bigint NOT NULL
        );
        COMMENT ON TABLE __tenant__.offboard_request IS '利用終了の申出';
        COMMENT ON COLUMN __tenant__.offboard_request.request_no IS 'plain: running number';
        COMMENT ON COLUMN __tenant__.offboard_request.requested_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.offboard_request.requested_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.offboard_request.public_key IS 'plain: a public key';
        COMMENT ON COLUMN __tenant__.offboard_request.op_no IS 'plain: number in the operation log';
        CREATE TABLE __tenant__.offboard_decision (
            request_no bigint NOT NULL REFERENCES __tenant__.offboard_request,
            decision text NOT NULL CHECK (decision IN ('approved', 'withdrawn')),
            decided_at timestamptz NOT NULL,
            decided_by text NOT NULL,
            op_no bigint NOT NULL,
            PRIMARY KEY (request_no, decision)
        );
        COMMENT ON TABLE __tenant__.offboard_decision IS '利用終了の承認又は取下げ: each at most once; a withdrawal stands above an approval';
        COMMENT ON COLUMN __tenant__.offboard_decision.request_no IS 'plain: running number';
        COMMENT ON COLUMN __tenant__.offboard_decision.decision IS 'plain: one of two words';
        COMMENT ON COLUMN __tenant__.offboard_decision.decided_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.offboard_decision.decided_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.offboard_decision.op_no IS 'plain: number in the operation log';
        GRANT SELECT, INSERT ON __tenant__.offboard_request, __tenant__.offboard_decision TO __tenant___registry
        """
    )
    # The rotation moves the numbers of the keys and nothing else: neither the state nor any record.
    op.execute(
        """
        GRANT UPDATE (epoch, seal_version, index_active, index_pending, changed_at) ON __tenant__.tenant_state
            TO __tenant___rekey
        """
    )
