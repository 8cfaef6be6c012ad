"""OpenFeature's protocol as its authors describe it (tests/vectors/ofrep), to hold our answers against."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

BULK = "/ofrep/v1/evaluate/flags"
JSON = "application/json"
SPEC = yaml.safe_load((Path(__file__).parent / "vectors" / "ofrep" / "openapi-0.3.0.yaml").read_text())
FAILURES = {BULK: "bulkEvaluationFailure", BULK + "/{key}": "evaluationFailure"}

# An evaluation is oneOf the kinds of flags, of which codeDefaultFlag (a flag without a value) asks for nothing, so that
# no evaluation with a value could be of one kind alone. Ours always have a value.
_, KINDS_OF_FLAGS = SPEC["components"]["schemas"]["evaluationSuccess"]["allOf"]
KINDS_OF_FLAGS["oneOf"].remove({"$ref": "#/components/schemas/codeDefaultFlag"})


def assert_conforms(path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """The answer to a POST to this path is one that the specification knows; those of other statuses fail alike."""
    operation = BULK if path == BULK else BULK + "/{key}"
    if status in {429, 503}:
        assert re.fullmatch(r"[0-9]+", headers["Retry-After"])
    if status == 304:
        assert body == b""
        return
    assert headers["Content-Type"] == JSON
    assert ("ETag" in headers) == (operation == BULK and status == 200)
    answer = json.loads(body)
    validator(operation, status).validate(answer)
    assert "errorDetails" in answer or status == 200


def validator(operation: str, status: int) -> Draft202012Validator:
    """Of an answer's body. Where the specification leaves the body open, it is a failure like the others."""
    described = SPEC["paths"][operation]["post"]["responses"].get(str(status), {})
    failure = {"$ref": f"#/components/schemas/{FAILURES[operation]}"}
    schema = described.get("content", {JSON: {"schema": failure}})[JSON]["schema"]
    return Draft202012Validator({**schema, "components": SPEC["components"]})


def evaluation(**members: Any) -> dict[str, Any]:
    return {"key": "greeter", "reason": "STATIC", "variant": "v1.0", "value": {}, **members}
