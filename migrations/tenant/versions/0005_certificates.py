"""証明書: applications, issued copies, whose data they carried, spoiled sheets, and what waits to be handed over."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.certificate_application (
            application_no bigint PRIMARY KEY,
            token_digest bytea NOT NULL UNIQUE CHECK (octet_length(token_digest) = 32),
            kind text NOT NULL,
            relation text NOT NULL,
            copies smallint NOT NULL CHECK (copies BETWEEN 1 AND 20),
            prepared_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL CHECK (expires_at > prepared_at),
            prepared_by text NOT NULL,
            terminal_id text NOT NULL,
            op_no bigint NOT NULL,
            application_sealed bytea NOT NULL
        );
        COMMENT ON TABLE __tenant__.certificate_application IS
            'Checked applications. Only a row of this table can be issued, and its unique key makes that happen once';
        COMMENT ON COLUMN __tenant__.certificate_application.application_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.certificate_application.token_digest IS 'plain: digest of a random token';
        COMMENT ON COLUMN __tenant__.certificate_application.kind IS 'plain: kind of paper';
        COMMENT ON COLUMN __tenant__.certificate_application.relation IS 'plain: category of requester, counted yearly';
        COMMENT ON COLUMN __tenant__.certificate_application.copies IS 'plain: count of sheets';
        COMMENT ON COLUMN __tenant__.certificate_application.prepared_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.certificate_application.expires_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.certificate_application.prepared_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.certificate_application.terminal_id IS 'plain: id of a terminal';
        COMMENT ON COLUMN __tenant__.certificate_application.op_no IS 'plain: number in the operation log'
        """
    )
    op.execute(
        """
        CREATE TABLE __tenant__.certificate_issue (
            issue_no bigint PRIMARY KEY,
            application_no bigint NOT NULL REFERENCES __tenant__.certificate_application,
            copy_no smallint NOT NULL CHECK (copy_no > 0),
            kind text NOT NULL,
            terminal_id text NOT NULL,
            fiscal_year smallint NOT NULL,
            running_no integer NOT NULL CHECK (running_no BETWEEN 1 AND 999999),
            label text NOT NULL UNIQUE,
            pages smallint NOT NULL CHECK (pages > 0),
            pdf_digest bytea NOT NULL CHECK (octet_length(pdf_digest) = 32),
            items text[] NOT NULL,
            fee_yen integer NOT NULL CHECK (fee_yen >= 0),
            official_use boolean NOT NULL CHECK (NOT official_use OR fee_yen = 0),
            issued_at timestamptz NOT NULL,
            issued_by text NOT NULL,
            op_no bigint NOT NULL,
            UNIQUE (application_no, copy_no),
            UNIQUE (terminal_id, fiscal_year, running_no)
        );
        COMMENT ON TABLE __tenant__.certificate_issue IS
            '交付履歴: one row a sheet set that left the printer, never changed';
        COMMENT ON COLUMN __tenant__.certificate_issue.issue_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.certificate_issue.application_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.certificate_issue.copy_no IS 'plain: position within the application';
        COMMENT ON COLUMN __tenant__.certificate_issue.kind IS 'plain: kind of paper';
        COMMENT ON COLUMN __tenant__.certificate_issue.terminal_id IS 'plain: id of a terminal';
        COMMENT ON COLUMN __tenant__.certificate_issue.fiscal_year IS 'plain: year of the counter';
        COMMENT ON COLUMN __tenant__.certificate_issue.running_no IS 'plain: counter of a terminal';
        COMMENT ON COLUMN __tenant__.certificate_issue.label IS 'plain: 発行番号 as printed, no person in it';
        COMMENT ON COLUMN __tenant__.certificate_issue.pages IS 'plain: count of pages';
        COMMENT ON COLUMN __tenant__.certificate_issue.pdf_digest IS 'plain: digest of a file that holds a random mark';
        COMMENT ON COLUMN __tenant__.certificate_issue.items IS 'plain: names of items, never their values';
        COMMENT ON COLUMN __tenant__.certificate_issue.fee_yen IS 'plain: amount, needed for cash totals';
        COMMENT ON COLUMN __tenant__.certificate_issue.official_use IS 'plain: 公用, needed for cash totals';
        COMMENT ON COLUMN __tenant__.certificate_issue.issued_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.certificate_issue.issued_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.certificate_issue.op_no IS 'plain: number in the operation log'
        """
    )
    op.execute(
        """
        CREATE TABLE __tenant__.certificate_person (
            issue_no bigint NOT NULL REFERENCES __tenant__.certificate_issue,
            atena_no text NOT NULL,
            version_no integer NOT NULL CHECK (version_no > 0),
            items text[] NOT NULL,
            PRIMARY KEY (issue_no, atena_no)
        );
        CREATE INDEX certificate_person_atena ON __tenant__.certificate_person (atena_no, issue_no);
        COMMENT ON TABLE __tenant__.certificate_person IS 'Whose record, at which version, was on which sheet';
        COMMENT ON COLUMN __tenant__.certificate_person.issue_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.certificate_person.atena_no IS 'plain: in-house key, means nothing outside';
        COMMENT ON COLUMN __tenant__.certificate_person.version_no IS 'plain: 履歴番号, a count';
        COMMENT ON COLUMN __tenant__.certificate_person.items IS 'plain: names of items, never their values';
        CREATE TABLE __tenant__.certificate_disposal (
            issue_no bigint PRIMARY KEY REFERENCES __tenant__.certificate_issue,
            reason text NOT NULL,
            disposed_at timestamptz NOT NULL,
            disposed_by text NOT NULL,
            op_no bigint NOT NULL
        );
        COMMENT ON TABLE __tenant__.certificate_disposal IS '誤交付・書損: sheets that were spoiled and destroyed';
        COMMENT ON COLUMN __tenant__.certificate_disposal.issue_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.certificate_disposal.reason IS 'plain: one of a list of reasons';
        COMMENT ON COLUMN __tenant__.certificate_disposal.disposed_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.certificate_disposal.disposed_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.certificate_disposal.op_no IS 'plain: number in the operation log'
        """
    )
    op.execute(
        """
        CREATE TABLE __tenant__.certificate_spool (
            application_no bigint PRIMARY KEY REFERENCES __tenant__.certificate_application,
            spooled_at timestamptz NOT NULL,
            pdf_sealed bytea NOT NULL
        );
        COMMENT ON TABLE __tenant__.certificate_spool IS
            'Sealed papers until the clerk has them in hand: a lost answer is fetched again, not issued again';
        COMMENT ON COLUMN __tenant__.certificate_spool.application_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.certificate_spool.spooled_at IS 'plain: time of work';
        GRANT SELECT, INSERT ON __tenant__.certificate_application, __tenant__.certificate_issue,
            __tenant__.certificate_person, __tenant__.certificate_disposal TO __tenant___registry;
        -- The spool is a waiting room, not a history: it is emptied at hand-over and at the end of the day.
        GRANT SELECT, INSERT, DELETE ON __tenant__.certificate_spool TO __tenant___registry;
        GRANT SELECT, UPDATE (application_sealed) ON __tenant__.certificate_application TO __tenant___rekey;
        GRANT SELECT, UPDATE (pdf_sealed) ON __tenant__.certificate_spool TO __tenant___rekey
        """
    )
