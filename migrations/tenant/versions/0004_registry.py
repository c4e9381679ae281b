"""住民・世帯・異動: the register of one municipality, insert-only, sealed by disclosure group, searched through two index slots."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
kind = "expand"

_TABLES = """
CREATE SEQUENCE __tenant__.event_seq AS bigint;
CREATE SEQUENCE __tenant__.case_seq AS bigint;
CREATE SEQUENCE __tenant__.measure_seq AS bigint;
CREATE SEQUENCE __tenant__.suppression_seq AS bigint;
CREATE SEQUENCE __tenant__.code_stock_seq AS bigint;

CREATE TABLE __tenant__.event (
    event_no bigint PRIMARY KEY,
    reason text NOT NULL,
    occurred_on date NOT NULL,
    notified_on date,
    processed_on date NOT NULL,
    known_from timestamptz NOT NULL,
    case_no bigint,
    cancels_event bigint,
    entered_by text NOT NULL,
    confirmed_by text NOT NULL,
    terminal text NOT NULL DEFAULT '',
    detail_sealed bytea
);
CREATE UNIQUE INDEX event_case_once ON __tenant__.event (case_no) WHERE case_no IS NOT NULL;
CREATE UNIQUE INDEX event_cancelled_once ON __tenant__.event (cancels_event) WHERE cancels_event IS NOT NULL;

CREATE TABLE __tenant__.resident_version (
    atena_no text NOT NULL CHECK (atena_no <> ''),
    version_no integer NOT NULL CHECK (version_no >= 1),
    event_no bigint NOT NULL,
    setai_no text NOT NULL CHECK (setai_no <> ''),
    member_order integer NOT NULL,
    is_head boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('resident', 'moved_out', 'deceased', 'removed', 'void')),
    kind text NOT NULL CHECK (kind IN ('japanese', 'foreign')),
    valid_from date NOT NULL,
    known_from timestamptz NOT NULL,
    corrects_version integer CHECK (corrects_version < version_no),
    cancels_version integer CHECK (cancels_version < version_no),
    basic_sealed bytea,
    address_sealed bytea,
    domicile_sealed bytea,
    my_number_sealed bytea,
    resident_code_sealed bytea,
    foreigner_sealed bytea,
    entitlements_sealed bytea,
    removal_sealed bytea,
    notes_sealed bytea,
    PRIMARY KEY (atena_no, version_no)
);
CREATE INDEX resident_version_setai ON __tenant__.resident_version (setai_no);
CREATE INDEX resident_version_event ON __tenant__.resident_version (event_no);

CREATE TABLE __tenant__.change_case (
    case_no bigint PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('entered', 'confirmed', 'handed_back', 'withdrawn')),
    reason text NOT NULL,
    form_no text NOT NULL CHECK (form_no <> ''),
    source text NOT NULL,
    channel text NOT NULL,
    identity_checked boolean NOT NULL,
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL,
    terminal text NOT NULL DEFAULT '',
    replaces_case bigint,
    base jsonb NOT NULL,
    change_sealed bytea NOT NULL,
    numbers_sealed bytea,
    reception_sealed bytea NOT NULL
);
CREATE INDEX change_case_waiting ON __tenant__.change_case (entered_at) WHERE state IN ('entered', 'handed_back');

CREATE TABLE __tenant__.case_step (
    case_no bigint NOT NULL,
    step_no integer NOT NULL,
    state text NOT NULL,
    done_by text NOT NULL,
    done_at timestamptz NOT NULL,
    event_no bigint,
    comment_sealed bytea,
    PRIMARY KEY (case_no, step_no)
);

CREATE TABLE __tenant__.resident_index_a (
    atena_no text NOT NULL,
    version_no integer NOT NULL,
    family_fp bigint,
    full_fp bigint,
    other_fp bigint[],
    kana_fp integer[],
    birth_fp integer[],
    address_fp integer[],
    PRIMARY KEY (atena_no, version_no)
);
CREATE INDEX resident_index_a_family ON __tenant__.resident_index_a (family_fp);
CREATE INDEX resident_index_a_full ON __tenant__.resident_index_a (full_fp);
CREATE INDEX resident_index_a_other ON __tenant__.resident_index_a USING gin (other_fp) WHERE other_fp IS NOT NULL;
CREATE INDEX resident_index_a_kana ON __tenant__.resident_index_a USING gin (kana_fp);
CREATE INDEX resident_index_a_birth ON __tenant__.resident_index_a USING gin (birth_fp);
CREATE INDEX resident_index_a_address ON __tenant__.resident_index_a USING gin (address_fp);
CREATE TABLE __tenant__.resident_index_b (LIKE __tenant__.resident_index_a INCLUDING ALL);

CREATE TABLE __tenant__.resident_number_a (
    kind text NOT NULL CHECK (kind IN ('my_number', 'resident_code', 'card')),
    number_fp bytea NOT NULL,
    atena_no text NOT NULL,
    PRIMARY KEY (kind, number_fp, atena_no)
);
CREATE TABLE __tenant__.resident_number_b (LIKE __tenant__.resident_number_a INCLUDING ALL);

CREATE TABLE __tenant__.resident_code_stock (
    stock_no bigint PRIMARY KEY,
    added_at timestamptz NOT NULL,
    added_by text NOT NULL,
    code_sealed bytea NOT NULL
);
CREATE TABLE __tenant__.resident_code_use (
    stock_no bigint PRIMARY KEY,
    atena_no text NOT NULL,
    event_no bigint NOT NULL
);

CREATE TABLE __tenant__.number_request (
    atena_no text NOT NULL,
    request_no integer NOT NULL,
    step text NOT NULL CHECK (step IN ('wanted', 'received')),
    event_no bigint NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (atena_no, request_no, step)
);

CREATE TABLE __tenant__.support_measure (
    measure_no bigint NOT NULL,
    version_no integer NOT NULL CHECK (version_no >= 1),
    state text NOT NULL CHECK (state IN ('provisional', 'in_force', 'ended')),
    ends_on date,
    known_from timestamptz NOT NULL,
    entered_by text NOT NULL,
    measure_sealed bytea NOT NULL,
    PRIMARY KEY (measure_no, version_no)
);
CREATE TABLE __tenant__.support_subject_a (
    subject_fp bytea NOT NULL,
    measure_no bigint NOT NULL,
    PRIMARY KEY (subject_fp, measure_no)
);
CREATE TABLE __tenant__.support_subject_b (LIKE __tenant__.support_subject_a INCLUDING ALL);

CREATE TABLE __tenant__.suppression (
    suppression_no bigint PRIMARY KEY,
    atena_no text NOT NULL,
    process text NOT NULL CHECK (process IN ('change', 'issue', 'inquiry')),
    level text NOT NULL CHECK (level IN ('error', 'alert')),
    starts_on date NOT NULL,
    ends_on date,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    reason_sealed bytea NOT NULL
);
CREATE INDEX suppression_resident ON __tenant__.suppression (atena_no);
CREATE TABLE __tenant__.suppression_release (
    suppression_no bigint NOT NULL,
    release_no integer NOT NULL,
    released_by text NOT NULL,
    released_at timestamptz NOT NULL,
    until timestamptz,
    reason_sealed bytea NOT NULL,
    PRIMARY KEY (suppression_no, release_no)
);
"""

_GRANTS = """
GRANT USAGE ON SEQUENCE __tenant__.event_seq, __tenant__.case_seq, __tenant__.measure_seq,
    __tenant__.suppression_seq, __tenant__.code_stock_seq TO __tenant___registry;
GRANT SELECT, INSERT ON __tenant__.event, __tenant__.resident_version, __tenant__.change_case, __tenant__.case_step,
    __tenant__.resident_index_a, __tenant__.resident_index_b, __tenant__.resident_number_a, __tenant__.resident_number_b,
    __tenant__.resident_code_stock, __tenant__.resident_code_use, __tenant__.number_request,
    __tenant__.support_measure, __tenant__.support_subject_a, __tenant__.support_subject_b,
    __tenant__.suppression, __tenant__.suppression_release TO __tenant___registry;
GRANT UPDATE (state) ON __tenant__.change_case TO __tenant___registry;

GRANT SELECT ON __tenant__.event, __tenant__.resident_version, __tenant__.change_case, __tenant__.case_step,
    __tenant__.resident_code_stock, __tenant__.support_measure, __tenant__.suppression,
    __tenant__.suppression_release TO __tenant___rekey;
GRANT UPDATE (detail_sealed) ON __tenant__.event TO __tenant___rekey;
GRANT UPDATE (basic_sealed, address_sealed, domicile_sealed, my_number_sealed, resident_code_sealed, foreigner_sealed,
    entitlements_sealed, removal_sealed, notes_sealed) ON __tenant__.resident_version TO __tenant___rekey;
GRANT UPDATE (change_sealed, numbers_sealed, reception_sealed) ON __tenant__.change_case TO __tenant___rekey;
GRANT UPDATE (comment_sealed) ON __tenant__.case_step TO __tenant___rekey;
GRANT UPDATE (code_sealed) ON __tenant__.resident_code_stock TO __tenant___rekey;
GRANT UPDATE (measure_sealed) ON __tenant__.support_measure TO __tenant___rekey;
GRANT UPDATE (reason_sealed) ON __tenant__.suppression, __tenant__.suppression_release TO __tenant___rekey;
GRANT SELECT, INSERT, DELETE ON __tenant__.resident_index_a, __tenant__.resident_index_b,
    __tenant__.resident_number_a, __tenant__.resident_number_b,
    __tenant__.support_subject_a, __tenant__.support_subject_b TO __tenant___rekey;
"""

# Why a column may stand in plain sight; everything not listed here is sealed (_sealed) or a blind index (_fp).
_PLAIN: dict[str, dict[str, str]] = {
    "event": {
        "event_no": "running number of the change",
        "reason": "code of one of the 37 official reasons",
        "occurred_on": "ordering day of the change; the day as written is sealed",
        "notified_on": "day a form was handed in",
        "processed_on": "business day of processing",
        "known_from": "instant of recording",
        "case_no": "in-house case number",
        "cancels_event": "in-house number of the change it cancels",
        "entered_by": "staff account",
        "confirmed_by": "staff account",
        "terminal": "registered terminal",
    },
    "resident_version": {
        "atena_no": "in-house key, meaningless outside the municipality",
        "version_no": "history number",
        "event_no": "in-house number of the change",
        "setai_no": "in-house household key",
        "member_order": "place in the household",
        "is_head": "place in the household",
        "status": "one of five states, needed to list and count",
        "kind": "one of two kinds, needed to list and count",
        "valid_from": "ordering day of the history",
        "known_from": "instant of recording",
        "corrects_version": "history number",
        "cancels_version": "history number",
    },
    "change_case": {
        "case_no": "in-house case number",
        "state": "one of four states",
        "reason": "code of one of the 37 official reasons",
        "form_no": "reception number of the paper form",
        "source": "code of who brought the information",
        "channel": "code of the way it came",
        "identity_checked": "whether identity was confirmed",
        "entered_by": "staff account",
        "entered_at": "instant of entry",
        "terminal": "registered terminal",
        "replaces_case": "in-house case number",
        "base": "in-house keys with history numbers the clerk saw",
    },
    "case_step": {
        "case_no": "in-house case number",
        "step_no": "running number",
        "state": "one of four states",
        "done_by": "staff account",
        "done_at": "instant of the step",
        "event_no": "in-house number of the change",
    },
    "resident_index_a": {"atena_no": "in-house key", "version_no": "history number"},
    "resident_index_b": {"atena_no": "in-house key", "version_no": "history number"},
    "resident_number_a": {"kind": "which number, not its value", "atena_no": "in-house key"},
    "resident_number_b": {"kind": "which number, not its value", "atena_no": "in-house key"},
    "resident_code_stock": {
        "stock_no": "running number",
        "added_at": "instant of receipt",
        "added_by": "staff account",
    },
    "resident_code_use": {
        "stock_no": "running number",
        "atena_no": "in-house key",
        "event_no": "in-house number of the change",
    },
    "number_request": {
        "atena_no": "in-house key",
        "request_no": "running number",
        "step": "one of two states",
        "event_no": "in-house number of the change",
        "made_at": "instant of the step",
    },
    "support_measure": {
        "measure_no": "running number; whom it protects is only in the seal and the blind index",
        "version_no": "history number",
        "state": "one of three states",
        "ends_on": "needed to warn before and after it runs out",
        "known_from": "instant of recording",
        "entered_by": "staff account",
    },
    "support_subject_a": {"measure_no": "running number"},
    "support_subject_b": {"measure_no": "running number"},
    "suppression": {
        "suppression_no": "running number",
        "atena_no": "in-house key",
        "process": "which process is held back",
        "level": "error or alert",
        "starts_on": "first day",
        "ends_on": "day set for review",
        "set_by": "staff account",
        "set_at": "instant of setting",
    },
    "suppression_release": {
        "suppression_no": "running number",
        "release_no": "running number",
        "released_by": "staff account",
        "released_at": "instant of release",
        "until": "end of a temporary release",
    },
}


def upgrade() -> None:
    """Create the register's tables, say why each plain column is plain, and grant no more than INSERT on history."""
    op.execute(_TABLES)
    op.execute(_GRANTS)
    for table, columns in _PLAIN.items():
        for column, reason in columns.items():
            op.execute(f"COMMENT ON COLUMN __tenant__.{table}.{column} IS 'plain: {reason}'")
