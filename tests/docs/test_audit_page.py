"""docs/reference/audit.md lists every action that is recorded, and none that is gone."""

import re
from pathlib import Path

from registry.admin.audited import AuditedAdmin
from tests.acts import ACTS, LOOKS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "audit.md").read_text()
ADMIN = ROOT / "registry" / "admin"


def recorded() -> set[str]:
    """By services (tests/db/test_told_and_recorded.py sees to it that these are all), and by pages of Django's."""
    by_services = {entry for act in (*ACTS, *LOOKS) for entry in act.entries}
    pages = AuditedAdmin.__subclasses__()
    by_pages = {f"{page.kind}.{what}" for page in pages for what in ("created", "changed", "deleted")}
    sources = "".join(path.read_text() for path in ADMIN.glob("*.py"))
    return by_services | by_pages | set(re.findall(r'audit\.record\(action="(.+?)"', sources))


def test_audit_page__names_every_action_that_is_recorded() -> None:
    _, _, table = PAGE.partition("## What is recorded")

    listed = re.findall(r"`([a-z_]+\.[a-z_]+)`", "\n".join(re.findall(r"^\| .+? \| (.+) \|$", table, re.MULTILINE)))

    assert set(listed) == recorded()
    assert len(listed) == len(set(listed))
