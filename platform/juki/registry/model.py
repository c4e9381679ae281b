"""住民・世帯・異動: every pure type and rule of the register under one name, for whoever reads it from outside."""

SEALED = (
    *(("resident_version", group, "atena_no", "version_no", f"{group}_sealed") for group in GROUPS),
    ("event", "event", "event_no", "1", "detail_sealed"),
    ("change_case", "case", "case_no", "1", "change_sealed"),
    ("change_case", "my_number", "case_no", "1", "numbers_sealed"),
    ("change_case", "reception", "case_no", "1", "reception_sealed"),
    ("case_step", "case", "case_no", "step_no", "comment_sealed"),
    ("resident_code_stock", "resident_code", "stock_no", "1", "code_sealed"),
    ("support_measure", "support", "measure_no", "version_no", "measure_sealed"),
    ("suppression", "support", "suppression_no", "1", "reason_sealed"),
    ("suppression_release", "support", "suppression_no", "release_no", "reason_sealed"),
)
"""Sealed columns for re-keying: table, group, column of the row key, column of the row version ("1": always 1), sealed column."""
