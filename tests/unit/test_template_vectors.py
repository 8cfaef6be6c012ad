"""The server's preview renders as tests/vectors/templates.json says, which binds the clients too."""

import json
from pathlib import Path
from typing import Any

import pytest

from registry.core.content import Content
from registry.core.problems import ProblemsFound
from registry.core.templates import TemplateSyntaxError, render

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "templates.json").read_text(encoding="utf-8"))["vectors"]


def preview(vector: dict[str, Any]) -> Any:
    """As registry.selectors.preview does with a stored version."""
    template = vector["template"]
    content = Content("text" if isinstance(template, str) else "chat", template, input_schema=vector["input_schema"])
    return render(template, content.defaults | vector["values"])


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "rendered" in vector])
def test_vector__rendered(vector: dict[str, Any]) -> None:
    assert preview(vector) == vector["rendered"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "missing" in vector or "refused" in vector])
def test_vector__refused_values(vector: dict[str, Any]) -> None:
    with pytest.raises(ProblemsFound) as refused:
        preview(vector)

    found = {code: [p.field for p in refused.value.problems if p.code == code] for code in ("required", "invalid")}
    assert found == {
        "required": [f"variables.{name}" for name in vector.get("missing", [])],
        "invalid": [f"variables.{vector['refused']}"] if "refused" in vector else [],
    }


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "malformed" in vector])
def test_vector__malformed(vector: dict[str, Any]) -> None:
    with pytest.raises(TemplateSyntaxError):
        preview(vector)
