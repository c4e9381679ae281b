"""証跡: sealed rows of every operation, their leaves, the tree above them and its signed heads."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    _rows()
    _tree()
    _grants()


def _rows() -> None:
    op.execute(
        """
        CREATE SEQUENCE __tenant__.audit_op_seq AS bigint;
        CREATE TABLE __tenant__.audit_key (
            key_no integer PRIMARY KEY CHECK (key_no BETWEEN 1 AND 65535),
            period text NOT NULL UNIQUE CHECK (period ~ '^[0-9]{4}-[0-9]{2}$'),
            made_at timestamptz NOT NULL,
            key_sealed bytea NOT NULL
        );
        COMMENT ON TABLE __tenant__.audit_key IS
            'Keys of the log, one a month, sealed under the root: the root can turn while the rows stay as witnessed';
        COMMENT ON COLUMN __tenant__.audit_key.key_no IS 'plain: number of a key, not the key';
        COMMENT ON COLUMN __tenant__.audit_key.period IS 'plain: month of the key';
        COMMENT ON COLUMN __tenant__.audit_key.made_at IS 'plain: time of work';
        CREATE TABLE __tenant__.audit_row (
            op_no bigint NOT NULL CHECK (op_no > 0),
            part integer NOT NULL CHECK (part >= 0),
            kind text NOT NULL CHECK (kind IN ('intent', 'outcome', 'disclosure', 'subjects')),
            action text NOT NULL,
            result text NOT NULL CHECK (result IN ('', 'done', 'refused', 'failed', 'unknown')),
            at timestamptz NOT NULL,
            xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            body_sealed bytea NOT NULL,
            PRIMARY KEY (op_no, part),
            CHECK ((part = 0) = (kind = 'intent')),
            CHECK ((part = 1) = (kind = 'outcome')),
            CHECK ((kind = 'outcome') = (result <> ''))
        );
        CREATE INDEX audit_row_xid ON __tenant__.audit_row (xid);
        CREATE INDEX audit_row_at ON __tenant__.audit_row (at, op_no);
        COMMENT ON TABLE __tenant__.audit_row IS
            'Part 0 is what somebody set out to do, part 1 how it ended; the key allows one ending';
        COMMENT ON COLUMN __tenant__.audit_row.op_no IS 'plain: number of the operation, quoted to staff';
        COMMENT ON COLUMN __tenant__.audit_row.part IS 'plain: position within the operation';
        COMMENT ON COLUMN __tenant__.audit_row.kind IS 'plain: kind of row, for the sweeper';
        COMMENT ON COLUMN __tenant__.audit_row.action IS 'plain: name of a function, for lists and analyses';
        COMMENT ON COLUMN __tenant__.audit_row.result IS 'plain: how it ended, for lists and analyses';
        COMMENT ON COLUMN __tenant__.audit_row.at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.audit_row.xid IS 'plain: transaction, gives the order of leaves';
        COMMENT ON COLUMN __tenant__.audit_row.body_sealed IS
            'Under a key of audit_key, never re-sealed: its bytes are in a witnessed leaf';
        CREATE TABLE __tenant__.audit_subject (
            subject_fp bytea NOT NULL CHECK (octet_length(subject_fp) = 16),
            op_no bigint NOT NULL,
            PRIMARY KEY (subject_fp, op_no)
        );
        COMMENT ON TABLE __tenant__.audit_subject IS 'Which operations touched a person, found by keyed digest only';
        COMMENT ON COLUMN __tenant__.audit_subject.subject_fp IS 'plain: keyed digest of 宛名番号 under a key of audit_key';
        COMMENT ON COLUMN __tenant__.audit_subject.op_no IS 'plain: number of the operation'
        """
    )


def _tree() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.audit_leaf (
            leaf_no bigint PRIMARY KEY CHECK (leaf_no >= 0),
            op_no bigint NOT NULL,
            part integer NOT NULL,
            leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
            UNIQUE (op_no, part)
        );
        COMMENT ON TABLE __tenant__.audit_leaf IS 'Place of each row in the log and the hash of its sealed bytes';
        COMMENT ON COLUMN __tenant__.audit_leaf.leaf_no IS 'plain: place in the log';
        COMMENT ON COLUMN __tenant__.audit_leaf.op_no IS 'plain: number of the operation';
        COMMENT ON COLUMN __tenant__.audit_leaf.part IS 'plain: position within the operation';
        COMMENT ON COLUMN __tenant__.audit_leaf.leaf_hash IS 'plain: digest of ciphertext';
        CREATE TABLE __tenant__.audit_tile (
            height smallint NOT NULL CHECK (height >= 0),
            tile_no bigint NOT NULL CHECK (tile_no >= 0),
            root bytea NOT NULL CHECK (octet_length(root) = 32),
            PRIMARY KEY (height, tile_no)
        );
        COMMENT ON TABLE __tenant__.audit_tile IS 'Roots of full subtrees of 2^height leaves, so that a proof reads few rows';
        COMMENT ON COLUMN __tenant__.audit_tile.height IS 'plain: height in the tree';
        COMMENT ON COLUMN __tenant__.audit_tile.tile_no IS 'plain: place in the tree';
        COMMENT ON COLUMN __tenant__.audit_tile.root IS 'plain: digest of digests';
        CREATE TABLE __tenant__.audit_checkpoint (
            size bigint PRIMARY KEY CHECK (size > 0),
            root bytea NOT NULL CHECK (octet_length(root) = 32),
            edge bytea NOT NULL,
            horizon pg_snapshot NOT NULL,
            made_at timestamptz NOT NULL,
            note text NOT NULL
        );
        COMMENT ON TABLE __tenant__.audit_checkpoint IS 'Signed heads of the log';
        COMMENT ON COLUMN __tenant__.audit_checkpoint.size IS 'plain: number of leaves';
        COMMENT ON COLUMN __tenant__.audit_checkpoint.root IS 'plain: digest of digests';
        COMMENT ON COLUMN __tenant__.audit_checkpoint.edge IS 'plain: digests of the right edge, so that the tree grows without reading it';
        COMMENT ON COLUMN __tenant__.audit_checkpoint.horizon IS 'plain: transactions already counted';
        COMMENT ON COLUMN __tenant__.audit_checkpoint.made_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.audit_checkpoint.note IS 'plain: the signed head as published'
        """
    )


def _grants() -> None:
    op.execute(
        """
        GRANT USAGE ON SEQUENCE __tenant__.audit_op_seq TO __tenant___registry;
        GRANT SELECT, INSERT ON __tenant__.audit_key, __tenant__.audit_row, __tenant__.audit_subject,
            __tenant__.audit_leaf, __tenant__.audit_tile, __tenant__.audit_checkpoint TO __tenant___registry;
        GRANT SELECT, UPDATE (key_sealed) ON __tenant__.audit_key TO __tenant___rekey
        """
    )
