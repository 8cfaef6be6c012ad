"""Reference values that nobody in this project computed, by their id (shared/vectors/statistics.json)."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def vectors(shared: Path) -> dict[str, dict[str, Any]]:
    text = (shared / "vectors" / "statistics.json").read_text()
    return {vector["id"]: vector for vector in json.loads(text)}
