"""docs/how-to/get-prompts.md says what happens: its commands and its Python are run against a live server."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from openfeature import api
from pytest_django.live_server_helper import LiveServer

from common.errors import Unavailable
from registry.core import templates
from registry.models import Prompt
from rollout.serving import snapshot_cache
from tests import make
from tests.docs.blocks import shell_blocks
from tests.process.server import free_port
from tests.served import end, make_rollout

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "get-prompts.md").read_text()
BLOCKS = [block for block in shell_blocks("docs/how-to/get-prompts.md") if block.language == "console"]
SDK, CLASS, USE, OPENFEATURE = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROLLOUT_ID = re.compile(r"rol_[0-9a-z]+")


@pytest.fixture
def greeter(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prompt:
    """The README's prompt in a rollout at 5 %, and the page's variables and fallback in an empty folder."""
    prompt = make.prompt("greeter")
    make.label(make.version(prompt, "1.0", template="Greet {{ name }}.", config={}))
    make.version(prompt, "1.1", template="Greet {{ name }} warmly.", config={})
    make_rollout(prompt, canary="1.1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERINUS", live_server.url)
    monkeypatch.setenv("KEY", make.key("read"))
    snapshot_cache.cache.refresh()
    return prompt


@pytest.fixture
def fallback(greeter: Prompt) -> dict[str, Any]:
    """As the page's commands write it."""
    for command, _ in commands():
        run(command)
    found: dict[str, Any] = json.loads(Path("prompts/greeter.json").read_text())
    return found


def commands() -> Iterator[tuple[str, str]]:
    """Each command of the page, and what it is said to print."""
    for block in BLOCKS:
        yield from block.commands


def run(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout


def parsed(printed: str) -> object:
    """JSON, of whatever rollout; or the text where it is none."""
    try:
        return json.loads(ROLLOUT_ID.sub("rol_", printed))
    except ValueError:
        return printed


def run_python(*snippets: str) -> dict[str, Any]:
    """The names that the page's Python leaves."""
    names: dict[str, Any] = {}
    for snippet in snippets:
        exec(compile(snippet, "get-prompts.md", "exec"), names)
    return names


# SDK


@pytest.fixture
def sdk(greeter: Prompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the page's Python leaves."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = run_python(SDK)
    yield names
    names["client"].close()


def test_sdk__unit__rendered_and_in_the_arm_that_curl_is_told(sdk: dict[str, Any]) -> None:
    by_curl = json.loads(run(next(commands())[0]))

    assert sdk["text"] == "Greet Ada."
    assert sdk["prompt"].trace == by_curl["trace"]
    assert sdk["client"].status().source == "live"


def test_sdk__server_away_when_the_app_starts__goes_on(sdk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def answers_503() -> None:
        raise Unavailable("no_state_yet", "away")

    sdk["client"].close()
    monkeypatch.setattr(snapshot_cache.cache, "current", answers_503)

    again = run_python(SDK)
    again["client"].close()

    assert again["client"].status().source == "cache"
    assert (again["text"], again["prompt"].trace) == (sdk["text"], sdk["prompt"].trace)


# curl


def test_commands__print_what_the_page_shows(greeter: Prompt) -> None:
    shown = list(commands())

    assert len(shown) == 7
    for command, printed in shown:
        assert parsed(run(command)) == parsed(printed), command


# requests


@pytest.fixture
def used(fallback: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the page's class and its use leave."""
    names = run_python(CLASS, USE)
    yield names
    names["prompts"].session.close()


def test_requests__unit__its_answer_rendered(used: dict[str, Any]) -> None:
    assert used["answer"]["trace"]["serinus.exposure"].endswith(":0:control:123")
    assert used["text"] == "Greet Ada."


def test_requests__same_answer_again__304_and_kept_until_it_changes(
    used: dict[str, Any],
) -> None:
    prompts, statuses = used["prompts"], []
    prompts.session.hooks["response"].append(lambda response, **_: statuses.append(response.status_code))

    again = prompts.get("greeter", unit="customer-42")
    end(Prompt.objects.get().rollouts.get())
    snapshot_cache.cache.refresh()
    after = prompts.get("greeter", unit="customer-42")

    assert statuses == [304, 200]
    assert again == used["answer"]
    assert (after["reason"], after["version"]) == ("label", "v1.0")


def test_requests__server_away__last_answer_or_else_the_fallback(
    used: dict[str, Any], fallback: dict[str, Any]
) -> None:
    prompts = used["prompts"]
    prompts.url = f"http://127.0.0.1:{free_port()}"

    known = prompts.get("greeter", unit="customer-42")
    unknown = prompts.get("greeter", unit="customer-43")

    assert known == used["answer"]
    assert unknown == fallback
    assert "serinus.exposure" not in unknown["trace"]


def test_requests__server_away__asked_again_after_a_while(
    used: dict[str, Any], fallback: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers_503() -> None:
        raise Unavailable("no_state_yet", "away")

    prompts = used["prompts"]
    with monkeypatch.context() as away:
        away.setattr(snapshot_cache.cache, "current", answers_503)
        meanwhile = prompts.get("greeter", unit="customer-43")

    at_once = prompts.get("greeter", unit="customer-43")
    prompts.away_until = 0.0  # 5 s later
    later = prompts.get("greeter", unit="customer-43")

    assert meanwhile == at_once == fallback
    assert later["rollout"]


def test_requests__mistake_of_the_app__told(used: dict[str, Any]) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        used["prompts"].get("greeter", unit="customer-42", label="prodction")


def test_requests__many_units__the_oldest_forgotten(used: dict[str, Any]) -> None:
    prompts = used["prompts"]
    prompts.kept |= {number: ("", {}) for number in range(9_999)}

    prompts.get("greeter", unit="customer-43")

    assert len(prompts.kept) == 10_000
    assert ("greeter", "production", "customer-42") not in prompts.kept


@pytest.mark.parametrize("template", ["{{ a }}{{b}} {{  a\t}}", r'As \{{"json": {{ b }}}', "{ a }}", "C:\\{{{ a }}"])
def test_requests__render__as_the_registry_does(template: str) -> None:
    render = run_python(CLASS)["render"]

    assert render(template, a="A", b=7) == templates.render(template, {"a": "A", "b": 7})


# OpenFeature


@pytest.fixture
def openfeature(fallback: dict[str, Any]) -> Iterator[None]:
    yield
    api.clear_providers()


def test_openfeature__unit__its_value_and_the_attributes_of_its_span(openfeature: None) -> None:
    names = run_python(CLASS, OPENFEATURE)

    answer = names["found"]
    assert (names["text"], answer.variant, answer.error_code) == ("Greet Ada.", "v1.0", None)
    assert names["trace"].keys() == {
        "gen_ai.prompt.name",
        "gen_ai.prompt.version",
        "serinus.label",
        "serinus.exposure",
    }


def test_openfeature__server_away__fallback(openfeature: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERINUS", f"http://127.0.0.1:{free_port()}")

    names = run_python(CLASS, OPENFEATURE)

    assert (names["text"], names["found"].error_code.name) == ("Greet Ada.", "GENERAL")
    assert names["trace"] == {"gen_ai.prompt.name": "greeter", "gen_ai.prompt.version": "v1.0"}
