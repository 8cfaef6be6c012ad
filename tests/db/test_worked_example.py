"""docs/explanation/worked-example.md: its output is what the command prints, and its arithmetic is true."""

import json
import math
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from observability import evidence
from observability.core.evidence import Exposure, Observation
from rollout.models import Rollout
from tests import rollouts as given

pytestmark = pytest.mark.django_db

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "worked-example.md"
BATCHES = (((40, 1), (10, 2)), ((40, 0), (10, 2)), ((40, 1), (10, 3)))  # (calls, failures) of control and canary
CHANGING = re.compile(r"Verdict \d+|rol_\w+|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
NAME = re.compile(
    r"Z\((1|r|r0)\)( of batch \d)?|ln B|ln Beta\(.*\)|ln e|ln\(1/alpha\)|w e\^\(L\)|r(\^\d)?|[Labct]|added to L|[a-z ]+"
)
WORDS = re.compile(r"^(j is \d: |batch \d adds )")


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def the_example() -> Rollout:
    """The rollout of the page: every call is of another unit."""
    rollout = given.rollout(steps=[{"weight": "20%", "hold": "24h"}], metrics=[{"name": "error_rate"}])
    units = iter(range(256))
    for control, canary in BATCHES:
        for arm, version_id, (calls, failures) in (
            ("control", rollout.control_id, control),
            ("canary", rollout.canary_id, canary),
        ):
            evidence.add(
                Observation(Exposure(rollout.id, 0, arm, next(units)), version_id, "error_rate", value)
                for value in [1000] * failures + [0] * (calls - failures)
            )
        rollout = given.look_now(rollout)
    return rollout


def explained(rollout: Rollout, *options: str) -> str:
    out = StringIO()
    call_command("explain_verdict", str(rollout.verdict_id), *options, stdout=out)
    return out.getvalue()


def test_page__shows_what_the_command_prints(page: str) -> None:
    shown, printed = (CHANGING.sub("*", text).strip() for text in (blocks(page, "")[0], explained(the_example())))

    assert shown == printed


def test_page__its_script_without_any_of_this_code__gives_the_stored_verdict(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = the_example()
    (script,) = blocks(page, "python")
    assert re.findall(r"^(?:import|from) .*$", script, re.MULTILINE) == ["import json", "import math"]
    (tmp_path / "verdict.json").write_text(explained(rollout, "--json"))
    monkeypatch.chdir(tmp_path)

    found: dict[str, Any] = {}
    exec(script, found)

    assert rollout.verdict
    body = rollout.verdict.body
    assert found["log_e_harm"] == pytest.approx(body["log_e_harm"], abs=1e-12)
    batches = json.loads((tmp_path / "verdict.json").read_text())["metrics"][0]["batches"]
    assert found["after_each"] == pytest.approx([batch["log_e_harm"] for batch in batches], abs=1e-12)
    assert found["log_e_safe"] == pytest.approx(body["metrics"][0]["log_e_safe"], abs=1e-12)
    assert found["log_b"] == pytest.approx(body["sample_ratio"]["log_e"], abs=1e-9)  # lgamma of a thousand


def test_page__every_line_of_arithmetic_is_true_to_its_last_digit(page: str) -> None:
    """Each is a chain such as `Z(1) = C(50, 3) = 19600`; an indented one goes on with the line before."""
    lines = [line for block in blocks(page, "text") for line in block.replace("\n    ", " ").splitlines()]
    assert len(lines) > 30

    for line in lines:
        sides = [value(side) for side in line.split(" = ") if not NAME.fullmatch(side)]
        assert len(sides) > 1, line
        digits = len(re.findall(r"\d*$", line)[0]) if re.search(r"\.\d+$", line) else 0
        assert sides == pytest.approx([sides[-1]] * len(sides), abs=0.6 * 10**-digits), line


def value(written: str) -> float:
    """Of an expression, without the words before it."""
    expression = WORDS.sub("", written).replace("^", "**")
    return float(eval(expression, {"C": math.comb, "ln": math.log, "lnGamma": math.lgamma, "e": math.e}))


def test_json__of_the_example__is_enough_to_weigh_one_alternative_by_hand() -> None:
    metric = json.loads(explained(the_example(), "--json"))["metrics"][0]

    last = metric["harm"]["mixtures"][0]["alternatives"][-1]
    r = math.exp(last["point"])
    z1 = (9880 + 7800 * r + 1800 * r**2 + 120 * r**3) / math.comb(50, 3)
    z2 = (780 + 400 * r + 45 * r**2) / math.comb(50, 2)
    z3 = (91_390 + 98_800 * r + 35_100 * r**2 + 4_800 * r**3 + 210 * r**4) / math.comb(50, 4)
    assert last["log_e"] == pytest.approx(7 * last["point"] - math.log(z1 * z2 * z3), abs=1e-12)
