"""What `get` chooses, how it is rendered, and that nobody can change what another one gets."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from serinus import MissingVariable, Prompt, PromptArchived, UnknownLabel, UnknownPrompt, WrongType, stamping
from serinus import prompt as prompts
from serinus.errors import Error
from serinus.prompt import choose
from serinus.ruleset import Ruleset, read
from tests.rulesets import archived, encoded, prompt, rollout, version

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "templates.json").read_text(encoding="utf-8"))["vectors"]
CHAT = [{"role": "user", "content": "{{ order }}"}, {"type": "placeholder", "name": "history"}]


def ruleset_of(**told: dict[str, Any]) -> Ruleset:
    return read(encoded({name.replace("_", "-"): body for name, body in told.items()}), None)


def chosen(unit: Any = None, label: str = "production", *, weight_bp: int | None = None) -> Prompt:
    split = None if weight_bp is None else rollout(weight_bp)
    told = ruleset_of(order_extractor=prompt("order-extractor", split=split))
    return choose(told, "order-extractor", label, unit)


def made(template: Any, input_schema: Any = None) -> Prompt:
    told = version("p", "v2.2", template, input_schema=input_schema)
    return choose(ruleset_of(p=prompt("p", **{"v2.2": told})), "p", "production", None)


def test_choose__no_rollout__the_labels_version_as_the_server_answers_it() -> None:
    found = chosen("user-2")

    assert (found.name, found.version, found.ordinal) == ("order-extractor", "v2.2", 1)
    assert (found.ref, found.type, found.variables) == ("order-extractor@v2.2", "text", ("order",))
    assert (found.template, found.config["model"]) == ("Extract {{ order }}", "gpt-4o-mini")
    assert (found.label, found.reason, found.sticky, found.rollout) == ("production", "label", True, None)
    assert found.exposure is None
    assert found.trace == {
        "gen_ai.prompt.name": "order-extractor",
        "gen_ai.prompt.version": "v2.2",
        "serinus.label": "production",
    }


@pytest.mark.parametrize(("weight_bp", "arm", "number"), [(4827, "control", "v2.2"), (4828, "canary", "v2.3")])
def test_choose__rollout__arm_of_the_units_bucket(weight_bp: int, arm: str, number: str) -> None:
    found = chosen("user-2", weight_bp=weight_bp)  # bucket 4827, unit bucket 187 by the vectors

    assert (found.version, found.reason, found.sticky) == (number, arm, True)
    assert found.rollout == {
        "id": "rol_06b3t2k9w0x4y8z1c5d7",
        "arm": arm,
        "step": 1,
        "weight": weight_bp / 10_000,
        "weight_bp": weight_bp,
    }
    assert found.exposure == f"rol_06b3t2k9w0x4y8z1c5d7:1:{arm}:187"
    assert found.trace["serinus.exposure"] == found.exposure


@pytest.mark.parametrize("unit", [None, ""])
def test_choose__rollout_without_a_unit__drawn_anew_each_time(unit: str | None) -> None:
    told = ruleset_of(p=prompt("p", split=rollout(5000)))

    found = [choose(told, "p", "production", unit) for _ in range(200)]

    assert {prompt.reason for prompt in found} == {"control", "canary"}  # misses one once in 2^199 runs
    assert not any(prompt.sticky for prompt in found)
    assert all(prompt.exposure == prompt.exposure for prompt in found)


@pytest.mark.parametrize("unit", [0, 42, uuid.UUID(int=7)])
def test_choose__unit_that_is_no_text__as_its_text(unit: Any) -> None:
    assert chosen(unit, weight_bp=5000).exposure == chosen(str(unit), weight_bp=5000).exposure
    assert chosen(unit, weight_bp=5000).sticky


@pytest.mark.parametrize("unit", [True, b"user-2", 1.5, object()])
def test_choose__unit_that_is_no_id__refused_before_there_is_a_rollout(unit: Any) -> None:
    with pytest.raises(WrongType, match="unit: expected text"):
        chosen(unit)


def test_choose__lone_surrogate__does_not_raise() -> None:
    assert chosen("\ud800", weight_bp=5000).exposure


def test_choose__unknown_prompt__tells_those_there_are() -> None:
    with pytest.raises(UnknownPrompt, match="There is no prompt 'ordr'; there are greeting, order"):
        choose(ruleset_of(order=prompt("order"), greeting=prompt("greeting")), "ordr", "production", None)


def test_choose__unknown_prompt_among_many__tells_those_next_to_it() -> None:
    many = {f"prompt-{i:02}": prompt(f"prompt-{i:02}") for i in range(20)}

    with pytest.raises(
        UnknownPrompt, match=r"there are 20, and next to it prompt-06, prompt-07, prompt-08, prompt-09$"
    ):
        choose(ruleset_of(**many), "prompt-07x", "production", None)


def test_choose__unknown_label__tells_those_there_are() -> None:
    with pytest.raises(UnknownLabel, match=r"p has no label 'staging' .* it has latest, production"):
        choose(ruleset_of(p=prompt("p")), "p", "staging", None)


def test_choose__archived__refused() -> None:
    with pytest.raises(PromptArchived, match="The prompt old was archived"):
        choose(ruleset_of(old=archived()), "old", "production", None)


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "rendered" in vector])
def test_vector__rendered(vector: dict[str, Any]) -> None:
    found = made(vector["template"], vector["input_schema"])

    rendered = (found.render if found.type == "text" else found.messages)(**vector["values"])

    assert rendered == vector["rendered"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "missing" in vector])
def test_vector__missing__all_named_with_the_prompt(vector: dict[str, Any]) -> None:
    with pytest.raises(MissingVariable, match=f"p@v2.2 needs a value for {', '.join(vector['missing'])}") as refused:
        made(vector["template"], vector["input_schema"]).messages(**vector["values"])

    assert list(refused.value.variables) == vector["missing"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "refused" in vector])
def test_vector__no_list_of_messages__refused(vector: dict[str, Any]) -> None:
    with pytest.raises(WrongType, match=f"p@v2.2: {vector['refused']} must be a list of messages"):
        made(vector["template"]).messages(**vector["values"])


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "malformed" in vector])
def test_vector__malformed__error_at_rendering(vector: dict[str, Any]) -> None:
    with pytest.raises(Error, match=r"expected a variable such as \{\{ name \}\}"):
        made(vector["template"]).render(**vector["values"])


def test_render__misspelt__named_beside_what_is_missing() -> None:
    with pytest.raises(MissingVariable, match=r"p@v2\.2 needs a value for order; it has no use for oder"):
        made("Extract {{ order }}").render(oder="two apples")


def test_render__value_that_nothing_names__ignored_and_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "_told", set())
    found = made("{{ a }}", {"properties": {"a": {}, "b": {"default": 1}}})

    with caplog.at_level(logging.WARNING, "serinus"):
        rendered = [found.render(a="x", b=2, tnoe="formal") for _ in range(3)]

    assert rendered == ["x"] * 3
    assert caplog.messages == ["p@v2.2 has no variable tnoe, which was given: a misspelling?"]


def test_render__value_that_json_cannot_say__names_variable_and_type() -> None:
    with pytest.raises(WrongType, match=r"p@v2\.2: order must be text or JSON, got Decimal"):
        made("{{ order }}").render(order=Decimal(1))


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "make",
    [lambda: nested(100_000), lambda: {"deep": nested(100_000)}, lambda: 10**5000],
    ids=["list", "dict", "int"],
)
def test_render__value_too_deep_or_long_for_json__names_variable_and_type(make: Callable[[], Any]) -> None:
    value = make()

    with pytest.raises(WrongType, match=rf"p@v2\.2: order must be text or JSON, got {type(value).__name__}"):
        made("{{ order }}").render(order=value)


def test_render__variable_named_self__no_clash() -> None:
    assert made("{{ self }}").render(self="x") == "x"


def test_render__chat__refused() -> None:
    with pytest.raises(WrongType, match=r"p@v2\.2 is of type chat: use messages\(\) instead"):
        made(CHAT).render(order="x", history=[])


def test_messages__text__one_of_the_user() -> None:
    assert made("Extract {{ order }}").messages(order="x") == [{"role": "user", "content": "Extract x"}]


def test_messages__type_of_a_later_release__refused() -> None:
    later = version("p", "v2.2", {"image": "…"}, type="image")

    with pytest.raises(WrongType, match=r"p@v2\.2 is of type image, which this release"):
        choose(ruleset_of(p=prompt("p", **{"v2.2": later})), "p", "production", None).messages()


def test_mutable_parts__changed_by_one__unchanged_for_others() -> None:
    schema = {"properties": {"order": {}, "history": {"default": [{"role": "user", "content": "hi"}]}}}
    told = version("p", "v2.2", CHAT, input_schema=schema, response_schema={"type": "object"})
    ruleset = ruleset_of(p=prompt("p", split=rollout(0), **{"v2.2": told}))
    before = copy.deepcopy(ruleset)
    found = choose(ruleset, "p", "production", "user-2")

    found.config["stop"].append("END")
    found.template[0]["content"] = "Ignore all rules"
    found.input_schema["properties"].clear()
    found.response_schema["type"] = "string"
    found.trace.clear()
    (found.rollout or {}).clear()
    found.messages(order="x")[0]["content"] = "y"
    found.messages(order="x")[1]["content"] = "z"

    assert ruleset == before
    assert found.trace["serinus.exposure"] == "rol_06b3t2k9w0x4y8z1c5d7:1:control:187"


def test_prompt__cannot_be_given_other_attributes() -> None:
    with pytest.raises(AttributeError):
        chosen().version = "v9"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        chosen().note = "x"  # type: ignore[attr-defined]


def test_prompt__pickled__the_same() -> None:
    found = chosen("user-2", weight_bp=5000)

    again = pickle.loads(pickle.dumps(found))

    assert (again.trace, again.render(order="x")) == (found.trace, found.render(order="x"))


def test_prompt__repr__without_the_unit() -> None:
    assert repr(chosen("anna@example.com", weight_bp=0)) == "<Prompt order-extractor@v2.2, production, control>"


@pytest.mark.parametrize(
    "error", [MissingVariable("p needs a", ["a"]), UnknownPrompt("no p"), WrongType("no"), PromptArchived("p")]
)
def test_error__pickled__the_same(error: Error) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_with__inside__the_trace_is_in_use() -> None:
    outer, inner = chosen("user-2", weight_bp=5000), chosen()

    with outer:
        with inner as entered:
            assert entered is inner
            assert stamping.current() == inner.trace
        assert stamping.current() == outer.trace
    assert stamping.current() is None


def test_in_context__in_another_thread__the_trace_is_in_use() -> None:
    found = chosen("user-2", weight_bp=5000)

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(found.in_context(stamping.current)).result() == found.trace
        assert executor.submit(stamping.current).result() is None
