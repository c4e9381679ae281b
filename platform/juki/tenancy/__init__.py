"""テナント管理: the directory of municipalities, their schemas and roles, and the sessions in which work is done."""

from __future__ import annotations

from juki.tenancy.checking import Finding, check
from juki.tenancy.directory import OPEN_STATES, Settings, Tenant, TenantFile, read_file
from juki.tenancy.erasing import Eraser, Inventory, Leftovers, digest
from juki.tenancy.fleet import Connection, Fleet, bulk, check_prepared, connect, enter_write, role_of, system_clock
from juki.tenancy.halting import halt
from juki.tenancy.keys import kms_of
from juki.tenancy.locks import take_lock
from juki.tenancy.presence import order_reload
from juki.tenancy.provisioning import Provisioned, add, change_state, find, list_tenants, prepare_control
from juki.tenancy.resealing import SealedColumn
from juki.tenancy.revisions import Revision, load_tree, revision_ids
from juki.tenancy.rollout import HOUSED, Mismatch, Rollout, Step, mismatches, plan, roll_out, shape_gate
from juki.tenancy.rotation import IndexedTables, Progress, Refill, Turned, rotate_index, rotate_kms, rotate_root
from juki.tenancy.running import Running, beyond_use, running_numbers
from juki.tenancy.session import TenantSession
from juki.tenancy.shape import drifted, expected

__all__ = [
    "HOUSED",
    "OPEN_STATES",
    "Connection",
    "Eraser",
    "Finding",
    "Fleet",
    "IndexedTables",
    "Inventory",
    "Leftovers",
    "Mismatch",
    "Progress",
    "Provisioned",
    "Refill",
    "Revision",
    "Rollout",
    "Running",
    "SealedColumn",
    "Settings",
    "Step",
    "Tenant",
    "TenantFile",
    "TenantSession",
    "Turned",
    "add",
    "beyond_use",
    "bulk",
    "change_state",
    "check",
    "check_prepared",
    "connect",
    "digest",
    "drifted",
    "enter_write",
    "expected",
    "find",
    "halt",
    "kms_of",
    "list_tenants",
    "load_tree",
    "mismatches",
    "order_reload",
    "plan",
    "prepare_control",
    "read_file",
    "revision_ids",
    "role_of",
    "roll_out",
    "rotate_index",
    "rotate_kms",
    "rotate_root",
    "running_numbers",
    "shape_gate",
    "system_clock",
    "take_lock",
]
