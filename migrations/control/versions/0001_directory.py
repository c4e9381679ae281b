"""The tenant directory, the wrapped roots, the ledger of state changes and the ledger of migrations."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

kind = "expand"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE control.tenant (
            code text PRIMARY KEY CHECK (code ~ '^[0-9]{6}$'),
            name text NOT NULL,
            prefecture text NOT NULL,
            schema_name text NOT NULL UNIQUE CHECK (schema_name ~ '^t[0-9]{6}$'),
            cell text NOT NULL,
            state text NOT NULL CHECK (state IN
                ('registered', 'provisioning', 'migrating', 'active', 'suspended', 'leaving', 'erased')),
            epoch bigint NOT NULL CHECK (epoch > 0),
            key_id text NOT NULL DEFAULT '',
            settings jsonb NOT NULL,
            seal_version integer NOT NULL DEFAULT 1 CHECK (seal_version > 0),
            index_active text NOT NULL DEFAULT 'a' CHECK (index_active IN ('a', 'b')),
            index_pending text CHECK (index_pending IN ('a', 'b') AND index_pending <> index_active),
            created_at timestamptz NOT NULL DEFAULT now(),
            changed_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute(
        """
        CREATE TABLE control.wrapped_root (
            tenant_code text NOT NULL REFERENCES control.tenant (code),
            purpose text NOT NULL,
            version integer NOT NULL CHECK (version > 0),
            key_id text NOT NULL,
            blob bytea NOT NULL,
            commitment bytea NOT NULL,
            state text NOT NULL DEFAULT 'active' CHECK (state IN ('pending', 'active', 'retiring', 'retired')),
            created_at timestamptz NOT NULL DEFAULT now(),
            retired_at timestamptz,
            PRIMARY KEY (tenant_code, purpose, version)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE control.tenant_event (
            event_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_code text NOT NULL,
            what text NOT NULL,
            from_state text,
            to_state text NOT NULL,
            epoch bigint NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL DEFAULT '',
            happened_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute(
        """
        CREATE TABLE control.migration_run (
            run_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            head text NOT NULL,
            fingerprint text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT now(),
            ended_at timestamptz,
            outcome text CHECK (outcome IN ('done', 'halted'))
        );
        CREATE TABLE control.migration_ledger (
            run_no bigint NOT NULL REFERENCES control.migration_run (run_no),
            tenant_code text NOT NULL,
            revision text NOT NULL,
            wave integer NOT NULL,
            outcome text NOT NULL CHECK (outcome IN ('applied', 'failed')),
            sqlstate text,
            milliseconds integer NOT NULL,
            happened_at timestamptz NOT NULL DEFAULT now(),
            entry_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
        )
        """
    )
    # A service reads the directory and the wrapped roots of its tenants and nothing else here. Wrapped roots are
    # ciphertext of the KMS: having them is not being able to use them.
    op.execute(
        """
        GRANT USAGE ON SCHEMA control TO juki_registry, juki_rekey, juki_control;
        GRANT SELECT ON control.tenant, control.wrapped_root TO juki_registry, juki_rekey, juki_control;
        GRANT SELECT ON control.tenant_event, control.migration_run, control.migration_ledger TO juki_control
        """
    )
