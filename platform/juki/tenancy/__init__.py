"""テナント管理: the directory of municipalities, their schemas and roles, and the sessions in which work is done."""

from __future__ import annotations

from juki.tenancy.checking import Finding, check
from juki.tenancy.directory import OPEN_STATES, Settings, Tenant, TenantFile, read_file
from juki.tenancy.fleet import Fleet, bulk, connect, enter_write, role_of, system_clock
from juki.tenancy.provisioning import Provisioned, add, change_state, find, list_tenants, prepare_control
from juki.tenancy.revisions import Revision, load_tree
from juki.tenancy.session import TenantSession

__all__ = [
    "OPEN_STATES",
    "Finding",
    "Fleet",
    "Provisioned",
    "Revision",
    "Settings",
    "Tenant",
    "TenantFile",
    "TenantSession",
    "add",
    "bulk",
    "change_state",
    "check",
    "connect",
    "enter_write",
    "find",
    "list_tenants",
    "load_tree",
    "prepare_control",
    "read_file",
    "role_of",
    "system_clock",
]
