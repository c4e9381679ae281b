"""データ移行: the front door for incumbents' extracts coming in and standard layouts going out."""

from juki.legacy.import_extract import dry_run, report, run_import
from juki.legacy.layout import built_in as built_in_layouts
from juki.legacy.layout import load as load_layout
from juki.legacy.model import Report
from juki.legacy.work_list import dismiss, open_row, resolve, work_counts, worklist

__all__ = [
    "Report",
    "built_in_layouts",
    "dismiss",
    "dry_run",
    "load_layout",
    "open_row",
    "report",
    "resolve",
    "run_import",
    "work_counts",
    "worklist",
]
