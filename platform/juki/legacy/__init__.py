"""データ移行: the front door for incumbents' extracts coming in and standard layouts going out."""

from juki.legacy.export_standard import compare, export_standard, nowhere
from juki.legacy.import_extract import dry_run, report, run_import
from juki.legacy.import_standard import import_standard
from juki.legacy.layout import built_in as built_in_layouts
from juki.legacy.layout import load as load_layout
from juki.legacy.media import add_medium, destroy_medium, media, return_medium
from juki.legacy.model import Report
from juki.legacy.standard import Comparison, Manifest, Reader, Sink, folder_reader, folder_sink, read_manifest
from juki.legacy.work_list import dismiss, open_row, resolve, work_counts, worklist

__all__ = [
    "Comparison",
    "Manifest",
    "Reader",
    "Report",
    "Sink",
    "add_medium",
    "built_in_layouts",
    "compare",
    "destroy_medium",
    "dismiss",
    "dry_run",
    "export_standard",
    "folder_reader",
    "folder_sink",
    "import_standard",
    "load_layout",
    "media",
    "nowhere",
    "open_row",
    "read_manifest",
    "report",
    "resolve",
    "return_medium",
    "run_import",
    "work_counts",
    "worklist",
]
