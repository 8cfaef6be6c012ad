"""Evaluators: made once, published version by version, refused with what is wrong, and set upon prompts."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from common.errors import Conflict, DomainError, Gone, Invalid, NotFound
from observability.models import EvaluatorVersion, Judging, JudgingBudget
from observability.selectors.evaluators import find_evaluator, find_evaluator_version, judging_budget
from observability.services.evaluators import (
    create_evaluator,
    publish_evaluator_version,
    remove_judging,
    set_judging,
    set_judging_budget,
)
from registry import services as registry
from registry.models import AuditEntry
from tests import make
from tests.make import ANNA

pytestmark = pytest.mark.django_db


def refused(error: type[DomainError], act: Any, **fields: Any) -> DomainError:
    before = AuditEntry.objects.count()
    with pytest.raises(error) as found:
        act(**fields, actor=ANNA)
    assert AuditEntry.objects.count() == before
    return found.value


def publish(**fields: Any) -> EvaluatorVersion:
    told = {"evaluator_name": "faithfulness", "kind": "judge", "config": {"model": "m"}, "notes": "as discussed"}
    return publish_evaluator_version(**{**told, **fields}, actor=ANNA)


def test_update_of_a_version__refused_by_the_database() -> None:
    version = make.evaluator_version(check="length", most=9)

    with pytest.raises(DatabaseError, match="evaluator_version_is_immutable"), transaction.atomic():
        EvaluatorVersion.objects.filter(pk=version.pk).update(config={})


def test_delete_of_a_version__refused_by_the_database() -> None:
    version = make.evaluator_version(check="length", most=9)

    with pytest.raises(DatabaseError, match="evaluator_version_is_immutable"), transaction.atomic():
        EvaluatorVersion.objects.filter(pk=version.pk)._raw_delete("default")


@pytest.mark.parametrize(
    ("name", "score", "field"),
    [("Tone", "tone", "name"), ("tone", "the tone", "score"), ("tone", "error_rate", "score")],
)
def test_create__names_that_are_none__refused_by_field(name: str, score: str, field: str) -> None:
    error = refused(Invalid, create_evaluator, name=name, score=score)

    assert [problem.field for problem in error.errors] == [field]


def test_create__name_that_is_taken__conflict() -> None:
    make.evaluator("tone")

    assert refused(Conflict, create_evaluator, name="tone", score="other").code == "evaluator_exists"


def test_publish__judge__config_with_its_defaults_and_its_template() -> None:
    make.evaluator("faithfulness")
    asking = make.version(make.prompt("judge-faithfulness"), template="{{ output }} from {{ documents }}?")

    version = publish(template="judge-faithfulness@1.0")

    assert str(version) == "faithfulness@1"
    assert version.template == asking
    assert (version.config["model"], version.config["temperature"], version.config["max_tokens"]) == ("m", 0, 512)
    assert EvaluatorVersion.objects.get().sha256 == version.sha256


def test_publish__the_same_again__refused_with_the_ordinal() -> None:
    version = make.judge_version()

    error = refused(
        Conflict,
        publish_evaluator_version,
        evaluator_name="faithfulness",
        kind="judge",
        config=version.config,
        template="judge-faithfulness@1.0",
        notes="again",
    )

    assert (error.code, error.extra) == ("evaluator_unchanged", {"ordinal": 1})


@pytest.mark.parametrize("active", [True, False])
def test_publish__external_while_it_judges__conflict(active: bool) -> None:
    version = make.evaluator_version(check="length", most=9)
    make.judging(make.prompt(), version, active=active)

    error = refused(
        Conflict,
        publish_evaluator_version,
        evaluator_name="brevity",
        kind="external",
        config={"posted_by": "the support team"},
        notes="others do it",
    )

    assert error.code == "evaluator_judges"
    assert "order-extractor" in error.detail
    assert find_evaluator_version(version.evaluator).ordinal == 1


def test_publish__of_its_own_while_an_external_one_judges__conflict() -> None:
    """As one of before that was refused."""
    version = make.evaluator_version(kind="external", posted_by="the support team")
    Judging.objects.create(prompt=make.prompt(), evaluator=version.evaluator)

    error = refused(
        Conflict,
        publish_evaluator_version,
        evaluator_name="brevity",
        kind="check",
        config={"check": "length", "most": 9},
        notes="by ourselves",
    )

    assert error.code == "evaluator_judges"


def test_publish__another_kind_that_judges_too__taken() -> None:
    version = make.evaluator_version(check="length", most=9)
    make.judging(make.prompt(), version)

    assert make.evaluator_version(version.evaluator, "ragas", metric="faithfulness", model="m").ordinal == 2


def test_publish__external_when_it_judges_nothing_any_more__taken() -> None:
    version = make.evaluator_version(check="length", most=9)
    prompt = make.prompt()
    make.judging(prompt, version)
    remove_judging(prompt_name=prompt.name, evaluator_name="brevity", actor=ANNA)

    assert make.evaluator_version(version.evaluator, "external", posted_by="the support team").ordinal == 2


def test_publish__what_an_older_version_said__next_ordinal() -> None:
    make.evaluator()
    for most in (9, 8, 9):
        last = make.evaluator_version(find_evaluator("brevity"), check="length", most=most)

    assert last.ordinal == 3
    assert find_evaluator_version(last.evaluator).ordinal == 3


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"kind": "oracle"}, "kind", "invalid"),
        ({"notes": " "}, "notes", "blank"),
        ({"config": {}}, "config.model", "required"),
        ({"template": None}, "template", "required"),
        ({"template": "no-such-prompt@1.0"}, "template", "unknown_prompt"),
        ({"template": "judge-faithfulness@9.0"}, "template", "unknown_version"),
        ({"template": "judge-faithfulness"}, "template", "unknown_version"),
        ({"template": "needy@1.0"}, "template", "unknown_variable"),
        ({"template": "with-history@1.0"}, "template", "invalid"),
        ({"kind": "check", "config": {"check": "length", "most": 1}}, "template", "invalid"),
    ],
)
def test_publish__wrong__refused_by_field(fields: dict[str, Any], field: str, code: str) -> None:
    make.evaluator("faithfulness")
    make.version(make.prompt("judge-faithfulness"), template="{{ output }}")
    make.version(make.prompt("needy"), template="{{ output }} {{ reference }}")
    make.version(
        make.prompt("with-history"),
        template=[{"role": "user", "content": "{{ output }}"}, {"type": "placeholder", "name": "history"}],
    )

    with pytest.raises(Invalid) as found:
        publish(**{"template": "judge-faithfulness@1.0", **fields})

    assert [(problem.field, problem.code) for problem in found.value.errors] == [(field, code)]
    assert not EvaluatorVersion.objects.exists()


def test_publish__variable_with_a_default__taken() -> None:
    make.evaluator("faithfulness")
    schema = {"properties": {"output": {}, "tone": {"default": "kind"}}}
    make.version(make.prompt("judge-faithfulness"), template="{{ output }} {{ tone }}", input_schema=schema)

    assert publish(template="judge-faithfulness@1.0").ordinal == 1


def test_judging__set__defaults_then_only_what_is_told() -> None:
    prompt, version = make.prompt(), make.evaluator_version(check="length", most=9)
    make.judging(prompt, version)

    make.judging(prompt, version, share_bp=500)
    make.judging(prompt, version, active=False)

    judging = Judging.objects.get()
    assert (judging.share_bp, judging.canary_share_bp, judging.active) == (500, 10_000, False)


def test_judging__set_as_it_is__nothing_recorded() -> None:
    prompt, version = make.prompt(), make.evaluator_version(check="length", most=9)
    make.judging(prompt, version)
    before = AuditEntry.objects.count()

    make.judging(prompt, version, share_bp=200)

    assert AuditEntry.objects.count() == before


def test_judging__evaluator_without_a_version__conflict() -> None:
    make.prompt()
    make.evaluator()

    error = refused(Conflict, set_judging, prompt_name="order-extractor", evaluator_name="brevity")

    assert error.code == "evaluator_has_no_version"


def test_judging__external__conflict() -> None:
    make.prompt()
    make.evaluator_version(kind="external", posted_by="the support team")

    error = refused(Conflict, set_judging, prompt_name="order-extractor", evaluator_name="brevity")

    assert error.code == "evaluator_is_external"


def test_judging__second_evaluator_of_a_score__conflict() -> None:
    prompt = make.prompt()
    for name in ("strict", "lenient"):
        make.evaluator_version(make.evaluator(name, score="tone"), check="length", most=9)
    set_judging(prompt_name=prompt.name, evaluator_name="strict", actor=ANNA)

    error = refused(Conflict, set_judging, prompt_name=prompt.name, evaluator_name="lenient")

    assert error.code == "score_has_evaluator"


def test_publish__template_of_a_prompt_that_is_judged__refused_by_field() -> None:
    prompt = make.prompt("order-extractor")
    make.version(prompt, template="{{ output }}")
    make.judging(prompt, make.evaluator_version(check="length", most=9))
    make.evaluator("faithfulness")

    error = refused(
        Invalid,
        publish_evaluator_version,
        evaluator_name="faithfulness",
        kind="judge",
        config={"model": "m"},
        template="order-extractor@1.0",
        notes="by our own prompt",
    )

    (problem,) = error.errors
    assert problem.field == "template"
    assert "order-extractor is judged by brevity" in problem.message
    assert not EvaluatorVersion.objects.filter(kind="judge").exists()


def test_judging__prompt_that_asks_a_judge__conflict_until_it_asks_by_another() -> None:
    judge = make.judge_version()
    make.evaluator_version(check="length", most=9)
    names = {"prompt_name": "judge-faithfulness", "evaluator_name": "brevity"}

    error = refused(Conflict, set_judging, **names)
    make.evaluator_version(judge.evaluator, "ragas", metric="faithfulness", model="m")
    judging = set_judging(**names, actor=ANNA)

    assert error.code == "prompt_asks_judge"
    assert "faithfulness@1" in error.detail
    assert judging.pk


@pytest.mark.parametrize("share", [0, 10_001])
def test_judging__share_that_is_none__refused(share: int) -> None:
    make.prompt()
    make.evaluator_version(check="length", most=9)
    names = {"prompt_name": "order-extractor", "evaluator_name": "brevity"}

    error = refused(Invalid, set_judging, **names, canary_share_bp=share)

    assert [problem.field for problem in error.errors] == ["canary_share_bp"]


def test_judging__archived_prompt__gone() -> None:
    prompt = make.prompt()
    make.evaluator_version(check="length", most=9)
    registry.archive_prompt(prompt=prompt, actor=ANNA)

    assert refused(Gone, set_judging, prompt_name=prompt.name, evaluator_name="brevity").code == "prompt_archived"


def test_remove_judging__none__not_found() -> None:
    make.prompt()
    make.evaluator()

    error = refused(NotFound, remove_judging, prompt_name="order-extractor", evaluator_name="brevity")

    assert error.code == "unknown_judging"


def test_budget__none_set__the_default_and_not_stored() -> None:
    budget = judging_budget(make.prompt())

    assert (budget.calls_a_day, budget.usd_a_day) == (5_000, 5)
    assert not JudgingBudget.objects.exists()


def test_budget__set__without_bounds_too() -> None:
    prompt = make.prompt()

    set_judging_budget(prompt_name=prompt.name, calls_a_day=None, usd_a_day=Decimal("0.5"), actor=ANNA)

    budget = judging_budget(prompt)
    assert (budget.calls_a_day, budget.usd_a_day) == (None, Decimal("0.5"))


@pytest.mark.parametrize("field", ["calls_a_day", "usd_a_day"])
def test_budget__negative__refused(field: str) -> None:
    prompt = make.prompt()
    bounds: dict[str, Any] = {"calls_a_day": None, "usd_a_day": None, field: -1}

    error = refused(Invalid, set_judging_budget, prompt_name=prompt.name, **bounds)

    assert [problem.field for problem in error.errors] == [field]
