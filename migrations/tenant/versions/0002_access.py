"""Who may work: operators, their secrets, duties, terminals, sessions, approvals, and the machines that call."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    _operators()
    _duties()
    _terminals()
    _sessions()
    _machines()
    _grants()


def _operators() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.operator (
            operator_id text PRIMARY KEY CHECK (operator_id ~ '^op-[0-9a-z]{4,32}$'),
            login_name text NOT NULL UNIQUE CHECK (login_name ~ '^[a-z0-9][a-z0-9._-]{2,31}$'),
            employment text NOT NULL CHECK (employment IN ('official', 'contractor')),
            contract_no text NOT NULL DEFAULT '',
            office text NOT NULL,
            state text NOT NULL CHECK (state IN ('active', 'suspended', 'ended')),
            valid_from date NOT NULL,
            valid_until date,
            pledged_on date,
            rule_accepted_on date,
            registered_at timestamptz NOT NULL,
            registered_by text NOT NULL,
            row_version integer NOT NULL CHECK (row_version > 0),
            profile_sealed bytea NOT NULL,
            CHECK (employment = 'official' OR (contract_no <> '' AND (state <> 'active' OR pledged_on IS NOT NULL)))
        );
        COMMENT ON TABLE __tenant__.operator IS '操作者: one account of one named person';
        COMMENT ON COLUMN __tenant__.operator.operator_id IS 'plain: id of our own, stands in every log';
        COMMENT ON COLUMN __tenant__.operator.login_name IS 'plain: typed at log-in, chosen without a reason to hide';
        COMMENT ON COLUMN __tenant__.operator.employment IS 'plain: official or contractor';
        COMMENT ON COLUMN __tenant__.operator.contract_no IS 'plain: number of a contract, no person in it';
        COMMENT ON COLUMN __tenant__.operator.office IS 'plain: code of a department';
        COMMENT ON COLUMN __tenant__.operator.state IS 'plain: state of the account';
        COMMENT ON COLUMN __tenant__.operator.valid_from IS 'plain: validity of the account';
        COMMENT ON COLUMN __tenant__.operator.valid_until IS 'plain: validity of the account';
        COMMENT ON COLUMN __tenant__.operator.pledged_on IS 'plain: date of a written pledge';
        COMMENT ON COLUMN __tenant__.operator.rule_accepted_on IS 'plain: date the password rule was accepted';
        COMMENT ON COLUMN __tenant__.operator.registered_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.operator.registered_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.operator.row_version IS 'plain: a count, bound into the seal'
        """
    )
    op.execute(
        """
        CREATE TABLE __tenant__.credential (
            operator_id text PRIMARY KEY REFERENCES __tenant__.operator,
            changed_at timestamptz NOT NULL,
            must_change boolean NOT NULL,
            last_step bigint NOT NULL DEFAULT 0,
            failures smallint NOT NULL DEFAULT 0,
            locked_until timestamptz,
            row_version integer NOT NULL CHECK (row_version > 0),
            secret_sealed bytea NOT NULL
        );
        COMMENT ON TABLE __tenant__.credential IS 'Password digest and one-time-code secret of one operator, sealed';
        COMMENT ON COLUMN __tenant__.credential.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.credential.changed_at IS 'plain: start of the half-year term';
        COMMENT ON COLUMN __tenant__.credential.must_change IS 'plain: set by others, so to be changed at log-in';
        COMMENT ON COLUMN __tenant__.credential.last_step IS 'plain: last one-time step used, so that it is not used twice';
        COMMENT ON COLUMN __tenant__.credential.failures IS 'plain: failures in a row';
        COMMENT ON COLUMN __tenant__.credential.locked_until IS 'plain: end of a lock-out';
        COMMENT ON COLUMN __tenant__.credential.row_version IS 'plain: a count, bound into the seal';
        CREATE TABLE __tenant__.account_event (
            event_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            operator_id text NOT NULL,
            what text NOT NULL,
            at timestamptz NOT NULL,
            by_whom text NOT NULL,
            note text NOT NULL DEFAULT ''
        );
        CREATE INDEX account_event_operator ON __tenant__.account_event (operator_id, event_no);
        COMMENT ON TABLE __tenant__.account_event IS 'ID管理簿: life of every account, never edited';
        COMMENT ON COLUMN __tenant__.account_event.event_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.account_event.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.account_event.what IS 'plain: one of a list of events';
        COMMENT ON COLUMN __tenant__.account_event.at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.account_event.by_whom IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.account_event.note IS 'plain: code of a duty or reason, never free text about a person';
        CREATE TABLE __tenant__.login_failure (
            failure_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL,
            operator_id text NOT NULL DEFAULT '',
            terminal_id text NOT NULL,
            reason text NOT NULL
        );
        CREATE INDEX login_failure_at ON __tenant__.login_failure (at);
        COMMENT ON TABLE __tenant__.login_failure IS 'Every refused log-in; what was typed as a name is not kept';
        COMMENT ON COLUMN __tenant__.login_failure.failure_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.login_failure.at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.login_failure.operator_id IS 'plain: id of our own, empty where the name is unknown';
        COMMENT ON COLUMN __tenant__.login_failure.terminal_id IS 'plain: id of a terminal';
        COMMENT ON COLUMN __tenant__.login_failure.reason IS 'plain: code of the refusal'
        """
    )


def _duties() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.duty_grant (
            grant_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            operator_id text NOT NULL REFERENCES __tenant__.operator,
            duty text NOT NULL,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL,
            approved_by text,
            approved_at timestamptz,
            valid_from date NOT NULL,
            valid_until date NOT NULL,
            state text NOT NULL CHECK (state IN ('requested', 'granted', 'refused', 'revoked')),
            CHECK (valid_until >= valid_from),
            CHECK (approved_by IS NULL OR approved_by <> requested_by),
            CHECK (approved_by IS NULL OR approved_by <> operator_id),
            CHECK ((state = 'requested') = (approved_by IS NULL))
        );
        CREATE UNIQUE INDEX duty_grant_open ON __tenant__.duty_grant (operator_id, duty)
            WHERE state = 'requested';
        COMMENT ON TABLE __tenant__.duty_grant IS 'Which duty which operator has, asked for by one and approved by another';
        COMMENT ON COLUMN __tenant__.duty_grant.grant_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.duty_grant.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.duty_grant.duty IS 'plain: name of a duty';
        COMMENT ON COLUMN __tenant__.duty_grant.requested_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.duty_grant.requested_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.duty_grant.approved_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.duty_grant.approved_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.duty_grant.valid_from IS 'plain: validity of the grant';
        COMMENT ON COLUMN __tenant__.duty_grant.valid_until IS 'plain: validity of the grant';
        COMMENT ON COLUMN __tenant__.duty_grant.state IS 'plain: state of the grant';
        CREATE TABLE __tenant__.revocation_ledger (
            ledger_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            operator_id text NOT NULL,
            duty text NOT NULL,
            access_right text NOT NULL,
            effective_on date NOT NULL,
            reason text NOT NULL,
            executed_by text NOT NULL,
            executed_at timestamptz NOT NULL
        );
        CREATE INDEX revocation_ledger_operator ON __tenant__.revocation_ledger (operator_id, ledger_no);
        COMMENT ON TABLE __tenant__.revocation_ledger IS '失効管理簿: one row a right taken away, never edited';
        COMMENT ON COLUMN __tenant__.revocation_ledger.ledger_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.revocation_ledger.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.revocation_ledger.duty IS 'plain: name of a duty';
        COMMENT ON COLUMN __tenant__.revocation_ledger.access_right IS 'plain: name of a right';
        COMMENT ON COLUMN __tenant__.revocation_ledger.effective_on IS 'plain: day the right ended';
        COMMENT ON COLUMN __tenant__.revocation_ledger.reason IS 'plain: one of a list of reasons';
        COMMENT ON COLUMN __tenant__.revocation_ledger.executed_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.revocation_ledger.executed_at IS 'plain: time of work';
        CREATE TABLE __tenant__.account_review (
            review_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            operator_id text NOT NULL,
            decision text NOT NULL CHECK (decision IN ('keep', 'change', 'end')),
            decided_by text NOT NULL,
            decided_at timestamptz NOT NULL,
            CHECK (decided_by <> operator_id)
        );
        CREATE INDEX account_review_operator ON __tenant__.account_review (operator_id, decided_at);
        COMMENT ON TABLE __tenant__.account_review IS '定期点検: what was decided about each account, twice a year';
        COMMENT ON COLUMN __tenant__.account_review.review_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.account_review.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.account_review.decision IS 'plain: one of a list of decisions';
        COMMENT ON COLUMN __tenant__.account_review.decided_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.account_review.decided_at IS 'plain: time of work'
        """
    )


def _terminals() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.terminal (
            terminal_id text PRIMARY KEY CHECK (terminal_id ~ '^[A-Z0-9][A-Z0-9-]{2,31}$'),
            label text NOT NULL,
            office text NOT NULL,
            functions text[] NOT NULL,
            state text NOT NULL CHECK (state IN ('active', 'suspended', 'ended')),
            registered_at timestamptz NOT NULL,
            registered_by text NOT NULL,
            token_digest bytea UNIQUE CHECK (octet_length(token_digest) = 32),
            enrol_digest bytea CHECK (octet_length(enrol_digest) = 32),
            enrol_until timestamptz
        );
        COMMENT ON TABLE __tenant__.terminal IS '端末: registered machines and the functions each may reach';
        COMMENT ON COLUMN __tenant__.terminal.terminal_id IS 'plain: id of a terminal';
        COMMENT ON COLUMN __tenant__.terminal.label IS 'plain: place of a machine';
        COMMENT ON COLUMN __tenant__.terminal.office IS 'plain: code of a department';
        COMMENT ON COLUMN __tenant__.terminal.functions IS 'plain: names of rights';
        COMMENT ON COLUMN __tenant__.terminal.state IS 'plain: state of the registration';
        COMMENT ON COLUMN __tenant__.terminal.registered_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.terminal.registered_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.terminal.token_digest IS 'plain: digest of a random token';
        COMMENT ON COLUMN __tenant__.terminal.enrol_digest IS 'plain: digest of a random one-time code';
        COMMENT ON COLUMN __tenant__.terminal.enrol_until IS 'plain: end of the one-time code';
        CREATE TABLE __tenant__.hours_approval (
            approval_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            operator_id text NOT NULL REFERENCES __tenant__.operator,
            terminal_id text NOT NULL REFERENCES __tenant__.terminal,
            from_at timestamptz NOT NULL,
            until_at timestamptz NOT NULL,
            reason text NOT NULL,
            approved_by text NOT NULL,
            approved_at timestamptz NOT NULL,
            CHECK (until_at > from_at),
            CHECK (approved_by <> operator_id)
        );
        CREATE INDEX hours_approval_operator ON __tenant__.hours_approval (operator_id, until_at);
        COMMENT ON TABLE __tenant__.hours_approval IS '時間外利用承認: who may work on which terminal outside hours, until when';
        COMMENT ON COLUMN __tenant__.hours_approval.approval_no IS 'plain: running number of our own';
        COMMENT ON COLUMN __tenant__.hours_approval.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.hours_approval.terminal_id IS 'plain: id of a terminal';
        COMMENT ON COLUMN __tenant__.hours_approval.from_at IS 'plain: span of the approval';
        COMMENT ON COLUMN __tenant__.hours_approval.until_at IS 'plain: span of the approval';
        COMMENT ON COLUMN __tenant__.hours_approval.reason IS 'plain: reason as a heading, never about a resident';
        COMMENT ON COLUMN __tenant__.hours_approval.approved_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.hours_approval.approved_at IS 'plain: time of work'
        """
    )


def _sessions() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.staff_session (
            session_id text PRIMARY KEY,
            token_digest bytea NOT NULL UNIQUE CHECK (octet_length(token_digest) = 32),
            operator_id text NOT NULL REFERENCES __tenant__.operator,
            terminal_id text NOT NULL REFERENCES __tenant__.terminal,
            opened_at timestamptz NOT NULL,
            seen_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            password_due boolean NOT NULL,
            ended_at timestamptz,
            ended_why text
        );
        CREATE UNIQUE INDEX staff_session_one ON __tenant__.staff_session (operator_id) WHERE ended_at IS NULL;
        COMMENT ON TABLE __tenant__.staff_session IS 'Sessions; the index keeps one open session to an operator';
        COMMENT ON COLUMN __tenant__.staff_session.session_id IS 'plain: id of our own, opens nothing';
        COMMENT ON COLUMN __tenant__.staff_session.token_digest IS 'plain: digest of a random token';
        COMMENT ON COLUMN __tenant__.staff_session.operator_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.staff_session.terminal_id IS 'plain: id of a terminal';
        COMMENT ON COLUMN __tenant__.staff_session.opened_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.staff_session.seen_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.staff_session.expires_at IS 'plain: absolute end';
        COMMENT ON COLUMN __tenant__.staff_session.password_due IS 'plain: opened for changing the password only';
        COMMENT ON COLUMN __tenant__.staff_session.ended_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.staff_session.ended_why IS 'plain: one of a list of reasons'
        """
    )


def _machines() -> None:
    op.execute(
        """
        CREATE TABLE __tenant__.machine_client (
            client_id text PRIMARY KEY CHECK (client_id ~ '^mc-[0-9a-z]{4,32}$'),
            system_name text NOT NULL UNIQUE,
            scopes text[] NOT NULL,
            state text NOT NULL CHECK (state IN ('active', 'suspended', 'ended')),
            valid_until date NOT NULL,
            registered_at timestamptz NOT NULL,
            registered_by text NOT NULL,
            row_version integer NOT NULL CHECK (row_version > 0),
            secret_sealed bytea NOT NULL
        );
        COMMENT ON TABLE __tenant__.machine_client IS 'One client for one consuming system';
        COMMENT ON COLUMN __tenant__.machine_client.client_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.machine_client.system_name IS 'plain: name of a system';
        COMMENT ON COLUMN __tenant__.machine_client.scopes IS 'plain: names of scopes';
        COMMENT ON COLUMN __tenant__.machine_client.state IS 'plain: state of the client';
        COMMENT ON COLUMN __tenant__.machine_client.valid_until IS 'plain: validity of the client';
        COMMENT ON COLUMN __tenant__.machine_client.registered_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.machine_client.registered_by IS 'plain: id of an operator';
        COMMENT ON COLUMN __tenant__.machine_client.row_version IS 'plain: a count, bound into the seal';
        CREATE TABLE __tenant__.machine_assertion (
            client_id text NOT NULL,
            assertion_digest bytea NOT NULL CHECK (octet_length(assertion_digest) = 32),
            expires_at timestamptz NOT NULL,
            PRIMARY KEY (client_id, assertion_digest)
        );
        CREATE INDEX machine_assertion_expiry ON __tenant__.machine_assertion (expires_at);
        COMMENT ON TABLE __tenant__.machine_assertion IS 'Assertions already used, kept until they would expire anyway';
        COMMENT ON COLUMN __tenant__.machine_assertion.client_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.machine_assertion.assertion_digest IS 'plain: digest of a random id';
        COMMENT ON COLUMN __tenant__.machine_assertion.expires_at IS 'plain: end of the assertion';
        CREATE TABLE __tenant__.access_token (
            token_digest bytea PRIMARY KEY CHECK (octet_length(token_digest) = 32),
            client_id text NOT NULL REFERENCES __tenant__.machine_client,
            scopes text[] NOT NULL,
            issued_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            revoked_at timestamptz
        );
        CREATE INDEX access_token_expiry ON __tenant__.access_token (expires_at);
        COMMENT ON TABLE __tenant__.access_token IS 'Short-lived opaque tokens of machines';
        COMMENT ON COLUMN __tenant__.access_token.token_digest IS 'plain: digest of a random token';
        COMMENT ON COLUMN __tenant__.access_token.client_id IS 'plain: id of our own';
        COMMENT ON COLUMN __tenant__.access_token.scopes IS 'plain: names of scopes';
        COMMENT ON COLUMN __tenant__.access_token.issued_at IS 'plain: time of work';
        COMMENT ON COLUMN __tenant__.access_token.expires_at IS 'plain: end of the token';
        COMMENT ON COLUMN __tenant__.access_token.revoked_at IS 'plain: time of work'
        """
    )


def _grants() -> None:
    op.execute(
        """
        GRANT SELECT, INSERT ON __tenant__.operator, __tenant__.credential, __tenant__.account_event,
            __tenant__.login_failure, __tenant__.duty_grant, __tenant__.revocation_ledger, __tenant__.account_review,
            __tenant__.terminal, __tenant__.hours_approval, __tenant__.staff_session, __tenant__.machine_client,
            __tenant__.machine_assertion, __tenant__.access_token TO __tenant___registry;
        GRANT UPDATE (office, state, valid_until, pledged_on, rule_accepted_on, row_version, profile_sealed)
            ON __tenant__.operator TO __tenant___registry;
        GRANT UPDATE (changed_at, must_change, last_step, failures, locked_until, row_version, secret_sealed)
            ON __tenant__.credential TO __tenant___registry;
        GRANT UPDATE (approved_by, approved_at, valid_until, state) ON __tenant__.duty_grant TO __tenant___registry;
        GRANT UPDATE (label, office, functions, state, token_digest, enrol_digest, enrol_until)
            ON __tenant__.terminal TO __tenant___registry;
        GRANT UPDATE (seen_at, password_due, ended_at, ended_why) ON __tenant__.staff_session TO __tenant___registry;
        GRANT UPDATE (scopes, state, valid_until, row_version, secret_sealed)
            ON __tenant__.machine_client TO __tenant___registry;
        GRANT UPDATE (revoked_at) ON __tenant__.access_token TO __tenant___registry;
        -- Neither is a record of anything once it has expired; the log has the event.
        GRANT DELETE ON __tenant__.machine_assertion, __tenant__.access_token TO __tenant___registry;
        GRANT SELECT, UPDATE (profile_sealed) ON __tenant__.operator TO __tenant___rekey;
        GRANT SELECT, UPDATE (secret_sealed) ON __tenant__.credential TO __tenant___rekey;
        GRANT SELECT, UPDATE (secret_sealed) ON __tenant__.machine_client TO __tenant___rekey
        """
    )
