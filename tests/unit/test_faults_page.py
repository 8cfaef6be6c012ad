"""docs/explanation/faults.md has every fault, and tests that are there and say which fault they are about.

What guarantees.md promises is shown by tests that are there, too.
"""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| (\d+) [^|]+\| ([^|]+) \|(.*)\|$", (ROOT / "docs/explanation/faults.md").read_text(), re.MULTILINE
)


@cache
def sources() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))


def test_faults_page__every_fault__once_and_in_order() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 38))


@pytest.mark.parametrize(("number", "outcome", "tests"), ROWS)
def test_faults_page__a_fault__has_its_tests_or_cannot_happen(number: str, outcome: str, tests: str) -> None:
    named = re.findall(r"`(test_\w+)`", tests)

    if outcome.startswith("Cannot happen: "):
        assert not named
    else:
        assert named
        assert re.search(rf"[Ff]aults?[ _](\d+,? )*(and )?{number}\b|test_fault_{number}__", sources())
    for test in named:
        assert re.search(rf"^def {test}\(", sources(), re.MULTILINE), f"{test} is gone"


def test_guarantees_page__every_promise__has_its_test() -> None:
    page = (ROOT / "docs/explanation/guarantees.md").read_text()
    promises = re.findall(r"^\| \*\*.*", page.partition("\n## ")[0], re.MULTILINE)

    assert [promise for promise in promises if "`test_" not in promise] == []
    for test in re.findall(r"`(test_\w+)`", page):
        assert re.search(rf"^def {test}\(", sources(), re.MULTILINE), f"{test} is gone"
