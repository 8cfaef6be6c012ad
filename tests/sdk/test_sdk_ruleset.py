"""A body of GET /ruleset becomes a complete ruleset with the digest that the server told, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from serinus.ruleset import DigestMismatch, Malformed, read
from tests.rulesets import archived, body, encoded, prompt, rollout

TWO = {"order-extractor": prompt("order-extractor"), "greeting": prompt("greeting")}


def test_read__whole_body__every_prompt_label_and_version() -> None:
    split = prompt("order-extractor", split=rollout(500))

    ruleset = read(encoded({"order-extractor": split, "old": archived()}, generation=42), None)

    served = ruleset.prompts["order-extractor"].labels
    assert (ruleset.generation, ruleset.names) == (42, ("old", "order-extractor"))
    assert served["production"].version.ref == "order-extractor@v2.2"
    assert served["production"].split is not None
    assert served["production"].split.canary.ref == "order-extractor@v2.3"
    assert served["latest"].split is None
    assert ruleset.prompts["old"].archived


def test_read__digest__is_the_one_of_the_contract() -> None:
    # printf 'a 1\nb 2\n' | sha256sum | cut -c -20
    prompts = {"b": {**archived(), "digest": "2"}, "a": {**archived(), "digest": "1"}}

    ruleset = read(json.dumps({"generation": 1, "digest": "2951835de33689a441bf", "prompts": prompts}).encode(), None)

    assert ruleset.digest == "2951835de33689a441bf"


def test_read__changes__replace_those_prompts_and_keep_the_others() -> None:
    known = read(encoded(TWO, generation=7), None)
    after = {**TWO, "greeting": prompt("greeting", production="v2.3")}
    changes = {**body(after, generation=8, since=7), "prompts": {"greeting": after["greeting"]}}

    ruleset = read(json.dumps(changes).encode(), known)

    assert ruleset.prompts["greeting"].labels["production"].version.version == "v2.3"
    assert ruleset.prompts["order-extractor"] is known.prompts["order-extractor"]
    assert known.prompts["greeting"].labels["production"].version.version == "v2.2"


def test_read__changes_that_do_not_add_up__digest_mismatch() -> None:
    known = read(encoded({"greeting": TWO["greeting"]}), None)
    changes = {**body(TWO, since=1), "prompts": {}}

    with pytest.raises(DigestMismatch, match="expected prompts of the digest"):
        read(json.dumps(changes).encode(), known)


def test_read__changes_of_nothing_known__digest_mismatch() -> None:
    with pytest.raises(DigestMismatch, match="expected everything, got what changed"):
        read(encoded(TWO, since=1), None)


def test_read__whole_body__replaces_what_is_known() -> None:
    known = read(encoded(TWO), None)

    ruleset = read(encoded({"greeting": TWO["greeting"]}), known)

    assert ruleset.names == ("greeting",)


def test_read__members_that_are_new__ignored() -> None:
    later = {"greeting": {**prompt("greeting"), "owner": "anna"}}

    assert read(encoded(later, region="eu"), None).names == ("greeting",)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe\xff", b"[]", b"null", b"{}", b'{"prompts": []}', b"[" * 100_000]
)
def test_read__no_such_body__malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        read(text, None)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda at: at.pop(key)


def given(**members: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda at: at.update(members)


@pytest.mark.parametrize(
    ("path", "change", "expected"),
    [
        ([], without("generation"), "generation: expected a whole number"),
        ([], given(generation=True), "generation: expected a whole number"),
        ([], given(generation=-1), "generation: expected a whole number"),
        ([], without("digest"), "digest: expected text"),
        (["prompts", "p"], without("digest"), r"prompts\.p\.digest: expected text"),
        (["prompts", "p"], without("labels"), r"prompts\.p\.labels: expected an object"),
        (["prompts", "p"], given(versions=[]), r"prompts\.p\.versions: expected an object"),
        (["prompts"], given(p="text"), r"prompts\.p: expected an object"),
        (["prompts", "p", "labels"], given(latest=None), r"labels\.latest: expected an object"),
        (["prompts", "p", "labels", "latest"], given(version="v9"), "expected one of the prompt's versions, got 'v9'"),
        (["prompts", "p", "labels", "latest"], given(version=[1]), "expected one of the prompt's versions"),
        (["prompts", "p", "labels", "production", "rollout"], given(canary="v9"), r"rollout\.canary: expected one of"),
        (["prompts", "p", "labels", "production", "rollout"], given(weight_bp=10_001), "expected 0 to 10000"),
        (["prompts", "p", "labels", "production", "rollout"], given(weight_bp=0.5), "weight_bp: expected a whole"),
        (["prompts", "p", "labels", "production", "rollout"], without("salt"), "salt: expected text"),
        (["prompts", "p", "versions", "v2.2"], given(template=None), "template: expected text"),
        (["prompts", "p", "versions", "v2.2"], given(type="chat"), "template: expected a list of messages"),
        (["prompts", "p", "versions", "v2.2"], given(type="chat", template=["hi"]), "template: expected an object"),
        (["prompts", "p", "versions", "v2.2"], given(type="chat", template=[{}]), "template.role: expected text"),
        (["prompts", "p", "versions", "v2.2"], given(config=None), "config: expected an object"),
        (["prompts", "p", "versions", "v2.2"], given(variables="order"), "variables: expected a list"),
        (["prompts", "p", "versions", "v2.2"], given(variables=[1]), "variables: expected text"),
        (["prompts", "p", "versions", "v2.2"], without("ref"), "ref: expected text"),
        (["prompts", "p", "versions", "v2.2"], given(ordinal="1"), "ordinal: expected a whole number"),
    ],
)
def test_read__wrong_somewhere__malformed_and_told_where(
    path: list[str], change: Callable[[dict[str, Any]], Any], expected: str
) -> None:
    told = body({"p": prompt("p", split=rollout(500))})
    at = told
    for key in path:
        at = at[key]
    change(at)

    with pytest.raises(Malformed, match=expected):
        read(json.dumps(told).encode(), None)
