"""Who is alive and has forgotten what; how far a key rotation is; the story of a municipality that leaves."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    _processes()
    _rotation()
    _offboarding()


def _processes() -> None:
    # A process that may hold keys keeps one session open and an advisory lock (19280, process_no) in it. The lock ends
    # with the session, so "that process is gone" is something the server knows and nobody has to guess.
    op.execute(
        """
        CREATE SEQUENCE control.process_seq AS integer;
        CREATE TABLE control.process (
            process_no integer PRIMARY KEY,
            login text NOT NULL DEFAULT session_user,
            host text NOT NULL,
            pid integer NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE control.purge_order (
            order_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_code text NOT NULL,
            reason text NOT NULL,
            ordered_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE TABLE control.purge_ack (
            order_no bigint NOT NULL REFERENCES control.purge_order (order_no),
            process_no integer NOT NULL REFERENCES control.process (process_no),
            outcome text NOT NULL CHECK (outcome IN ('acknowledged', 'session closed')),
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (order_no, process_no)
        );
        GRANT USAGE ON SEQUENCE control.process_seq TO juki_registry, juki_rekey, juki_control;
        GRANT SELECT, INSERT ON control.process, control.purge_ack TO juki_registry, juki_rekey, juki_control;
        GRANT SELECT ON control.purge_order TO juki_registry, juki_rekey, juki_control;
        GRANT INSERT ON control.purge_order TO juki_rekey, juki_control
        """
    )


def _rotation() -> None:
    op.execute(
        """
        CREATE TABLE control.rotation (
            rotation_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_code text NOT NULL REFERENCES control.tenant (code),
            kind text NOT NULL CHECK (kind IN ('kms', 'root', 'index')),
            step text NOT NULL,
            old_version integer,
            new_version integer,
            old_key text NOT NULL DEFAULT '',
            new_key text NOT NULL DEFAULT '',
            started_by text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz
        );
        CREATE UNIQUE INDEX rotation_one_running ON control.rotation (tenant_code) WHERE finished_at IS NULL;
        CREATE TABLE control.rotation_progress (
            rotation_no bigint NOT NULL REFERENCES control.rotation (rotation_no),
            part text NOT NULL,
            position bigint NOT NULL,
            positions bigint NOT NULL,
            rows_done bigint NOT NULL DEFAULT 0,
            finished boolean NOT NULL DEFAULT false,
            changed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (rotation_no, part)
        );
        GRANT SELECT, INSERT ON control.rotation, control.rotation_progress TO juki_rekey;
        GRANT UPDATE (step, new_key, finished_at) ON control.rotation TO juki_rekey;
        GRANT UPDATE (position, positions, rows_done, finished, changed_at) ON control.rotation_progress TO juki_rekey;
        GRANT SELECT ON control.rotation, control.rotation_progress TO juki_control;
        -- A retired root keeps its row, without the blob: which versions there were is evidence, what they were is not.
        GRANT INSERT ON control.wrapped_root TO juki_rekey;
        GRANT UPDATE (key_id, blob, state, retired_at) ON control.wrapped_root TO juki_rekey;
        GRANT UPDATE (epoch, key_id, seal_version, index_active, index_pending, changed_at) ON control.tenant
            TO juki_rekey;
        GRANT INSERT ON control.tenant_event TO juki_rekey
        """
    )


def _offboarding() -> None:
    # The case outlives the municipality's schema, so it lives here and holds no person: accounts by their id only.
    op.execute(
        """
        CREATE TABLE control.offboarding (
            case_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_code text NOT NULL REFERENCES control.tenant (code),
            state text NOT NULL,
            requested_by text NOT NULL,
            requested_at timestamptz NOT NULL,
            public_key text NOT NULL,
            approved_by text NOT NULL DEFAULT '',
            approved_at timestamptz,
            exported_at timestamptz,
            export_digest text NOT NULL DEFAULT '',
            erase_after timestamptz,
            erased_by text NOT NULL DEFAULT '',
            erased_at timestamptz,
            key_disabled_at timestamptz,
            key_deletion_due timestamptz,
            certificate_no integer NOT NULL DEFAULT 0
        );
        CREATE UNIQUE INDEX offboarding_one_open ON control.offboarding (tenant_code) WHERE state <> 'withdrawn';
        CREATE TABLE control.offboarding_step (
            entry_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            case_no bigint NOT NULL REFERENCES control.offboarding (case_no),
            step text NOT NULL,
            phase text NOT NULL CHECK (phase IN ('intent', 'result')),
            facts jsonb NOT NULL DEFAULT '{}',
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE TABLE control.offboarding_witness (
            case_no bigint NOT NULL REFERENCES control.offboarding (case_no),
            duty text NOT NULL CHECK (duty IN ('performed', 'verified', 'validated')),
            account text NOT NULL,
            code_digest bytea NOT NULL CHECK (octet_length(code_digest) = 32),
            appointed_at timestamptz NOT NULL,
            PRIMARY KEY (case_no, duty),
            UNIQUE (case_no, account)
        );
        CREATE TABLE control.offboarding_paper (
            case_no bigint NOT NULL REFERENCES control.offboarding (case_no),
            kind text NOT NULL,
            paper_no integer NOT NULL CHECK (paper_no > 0),
            digest bytea NOT NULL CHECK (octet_length(digest) = 32),
            accepted boolean NOT NULL,
            account text NOT NULL,
            made_at timestamptz NOT NULL,
            PRIMARY KEY (case_no, kind, paper_no)
        );
        -- What signs the certificate must outlive the municipality's own keys: a root of the platform, equally wrapped.
        CREATE TABLE control.platform_root (
            purpose text NOT NULL,
            version integer NOT NULL CHECK (version > 0),
            key_id text NOT NULL,
            blob bytea NOT NULL,
            commitment bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (purpose, version)
        );
        GRANT SELECT, INSERT ON control.platform_root TO juki_control;
        GRANT SELECT, INSERT ON control.offboarding, control.offboarding_step, control.offboarding_witness,
            control.offboarding_paper TO juki_control;
        GRANT UPDATE (state, approved_by, approved_at, exported_at, export_digest, erase_after, erased_by, erased_at,
            key_disabled_at, key_deletion_due, certificate_no) ON control.offboarding TO juki_control
        """
    )
