"""The SDK assigns as the vectors say, and as the server does whatever the unit is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serinus.assignment import bucket, unit_bucket

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "assignment.json").read_text(encoding="utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS)
def test_vector(vector: dict[str, Any]) -> None:
    found = bucket(vector["salt"], vector["unit"])

    assert found == vector["bucket"]
    assert unit_bucket(vector["salt"], vector["unit"]) == vector["unit_bucket"]
    assert {w: "canary" if found < int(w) else "control" for w in vector["arms"]} == vector["arms"]


@pytest.mark.parametrize("unit", ["\ud800", "a\udfffb"])
def test_bucket__lone_surrogate__hashed_as_its_escape(unit: str) -> None:
    assert bucket("salt", unit) == bucket("salt", unit.encode("ascii", "backslashreplace").decode())
    assert unit_bucket("salt", unit) == unit_bucket("salt", unit.encode("ascii", "backslashreplace").decode())
