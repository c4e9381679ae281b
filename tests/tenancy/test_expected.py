"""Expected-schema files: what all revisions together give, on every version of PostgreSQL.

`JUKI_TEST_WRITE=1 pytest tests/tenancy/test_expected.py` writes the files anew; the diff is then reviewed by a person.
"""

from __future__ import annotations

import os

import pytest

from juki.config import Config
from juki.tenancy import connect, drifted, expected
from juki.tenancy.revisions import MIGRATIONS, Tree
from juki.tenancy.shape import lines_of


@pytest.mark.parametrize(("tree", "schemas"), [("control", ["control"]), ("tenant", ["t072044", "t075418"])])
def test_all_revisions_together_give_the_expected_schema(config: Config, tree: Tree, schemas: list[str]) -> None:
    """R-A-3.3-CHG: a schema is what its reviewed revisions say and nothing else."""
    with connect(config, "deploy") as deploy:
        if os.environ.get("JUKI_TEST_WRITE"):
            text = "\n".join(lines_of(deploy, schemas[0])) + "\n"
            (MIGRATIONS / tree / "expected.txt").write_text(text, encoding="utf-8")
        assert drifted(deploy, schemas, expected(tree)) == {}


def test_a_column_that_nobody_reviewed_is_named(config: Config) -> None:
    """Drift is a line, not a suspicion."""
    with connect(config, "deploy") as deploy:
        deploy.execute("ALTER TABLE t075418.tenant_state ADD COLUMN hidden text")
        found = drifted(deploy, ["t072044", "t075418"], expected("tenant"))
        deploy.rollback()
    assert found == {"t075418": ["+ column tenant_state.hidden text"]}
