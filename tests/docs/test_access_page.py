"""docs/reference/access.md says who may do what: the rights, the groups that the migration makes, the scopes."""

import importlib
import re
from pathlib import Path

from registry import rights
from registry.models import Scope

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "access.md").read_text()
MIGRATIONS = ("0008_rights_and_groups", "0014_rights_to_quality")
MADE = [importlib.import_module(f"rollout.migrations.{name}").GROUPS for name in MIGRATIONS]
GROUPS = {group: {right for groups in MADE for right in groups[group]} for group in MADE[0]}


def test_rights__page__names_each_with_the_groups_that_have_it() -> None:
    told = re.findall(r"^\| ([^|]+) \| `(\w+\.\w+)` \| (.*) \|$", PAGE, re.MULTILINE)

    assert [(permission, words) for words, permission, _ in told] == list(rights.WORDS.items())
    for _, permission, marks in told:
        has = [mark.strip() == "yes" for mark in f" {marks} ".split("|")]
        assert has == [permission in GROUPS[group] for group in ("editor", "releaser", "operator")], permission


def test_groups__have_rights_that_are_told_and_ways_to_look() -> None:
    for permissions in GROUPS.values():
        assert {permission for permission in permissions if ".view_" not in permission} <= rights.WORDS.keys()


def test_releaser__may_do_what_a_key_that_writes_may() -> None:
    assert set(rights.OF_WRITE) <= GROUPS["releaser"]


def test_scopes__page__names_each() -> None:
    assert re.findall(r"^\| `(\w+)` \| ", PAGE.partition("### ")[0], re.MULTILINE) == Scope.values
