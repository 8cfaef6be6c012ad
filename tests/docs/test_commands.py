"""Every command of the documentation is run by a test, or stands in NOT_RUN with the reason.

A page with a test of its own is left to that. All other commands are typed into one shell beside one server: none may
fail or be refused, and each prints what it is shown to print.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from demo import prompts
from tests.docs import test_get_prompts, test_move_prompts, test_tutorial
from tests.docs.blocks import PAGES, ROOT, Block, Shell, at, blocks_of, shell, shell_blocks
from tests.process.server import Server, environment, wait_until

pytestmark = pytest.mark.xdist_group("process")

BLOCKS = [block for page in PAGES for block in shell_blocks(page)]
ELSEWHERE = [*test_tutorial.COMMANDS, *test_get_prompts.BLOCKS, *test_move_prompts.BLOCKS]
IN_ORDER = [block for block in BLOCKS if block.page == "docs/how-to/judge-live-traffic.md"]
"""Of a page whose blocks build on one another."""
NOT_RUN = {
    ("README.md", "make demo"): "plays for a minute or more, on port 8000",
    ("CONTRIBUTING.md", "make test"): "is what runs this test",
    ("CONTRIBUTING.md", ".venv/bin/pytest"): "is what runs this test, and starts a PostgreSQL",
    ("sdk/README.md", "pip install"): "installs",
    ("docs/tutorial/demo.md", "make demo"): "plays for a minute or more, on port 8000",
    ("docs/how-to/get-prompts.md", "pip install"): "installs",
    ("docs/how-to/move-prompts.md", "export SERINUS"): "needs a second installation; its test sets the same",
    ("docs/how-to/backup.md", "systemctl"): "needs root and systemd",
    ("docs/how-to/backup.md", "docker"): "needs Docker",
    (
        "docs/how-to/deploy.md",
        "deploy/make_secrets",
    ): "needs Docker; tests/unit/test_deploy_files.py reads what it uses",
    ("docs/how-to/deploy.md", "useradd"): "needs root and systemd; tests/unit/test_deploy_files.py reads the units",
    ("docs/how-to/deploy.md", "systemctl"): "needs root and systemd",
    ("docs/reference/commands.md", "manage.py replay"): "needs a rollout that was judged; see tests/db/test_replay.py",
}
"""By page and beginning of the block's first command."""

INDENTED = re.compile(r"^ {2,}(?:\$ )?((?:curl|make|pip|git|docker|systemctl|\.venv/\S+) .*)", re.MULTILINE)
OUTSIDE = ("https://prompts.example.com", "https://hooks.slack.com")
"""Hosts of the pages that are the server itself here: nothing leaves this machine."""

REFUSED = "urn:serinus:problem:"
REREAD = re.compile(r"(?<!v1)/(prompts/[\w-]+\?|ruleset)")
MADE_HERE = re.compile(r"\s|rol_[0-9a-z]+|(?<=:control:)\d+")
GIVEN = """
from pathlib import Path
from types import SimpleNamespace as Some

import serinus

key, user_id, customer_id, text = Path("key").read_text(), "customer-42", "customer-42", "two pizzas"
openai = openai_client = Some(chat=Some(completions=Some(create=lambda model, messages: print(model, messages))))
"""
"""What the programs of the READMEs leave to their reader."""

REACHES_EVERY_PROCESS_WITHIN_S = 10
"""A healthy machine needs a tenth of a second."""


def is_of(block: Block, page: str, beginning: str) -> bool:
    return block.page == page and block.commands[0][0].startswith(beginning)


def is_run_here(block: Block) -> bool:
    return block not in ELSEWHERE and block not in IN_ORDER and not any(is_of(block, *place) for place in NOT_RUN)


class Reader:
    """Types what stands on the pages, with a key of all scopes, beside a server that has the demo's prompt."""

    def __init__(self, server: Server, terminal: Shell, folder: Path) -> None:
        self.server, self.terminal, self.folder = server, terminal, folder
        self.key = server.key()
        (folder / "key").write_text(self.key)

    def here(self, text: str) -> str:
        """With the addresses of this server in place of the page's, and folders that may be written to."""
        for outside in OUTSIDE:
            text = text.replace(outside, self.server.url)
        return at(text, port=self.server.port).replace("/backups/", f"{self.folder}/")

    def type_in(self, command: str) -> str:
        here = self.here(command)
        if " restore " in here:  # into an empty installation
            here = f"SERINUS_DATA_DIR={self.folder}/empty {here}"
        return self.terminal.run(here)

    def works(self, command: str, shown: str) -> bool:
        """Whether it is not refused and prints what is shown, of which `…` leaves something out."""
        printed = self.type_in(command)
        return REFUSED not in printed and leaves_out(MADE_HERE.sub("", shown), MADE_HERE.sub("", printed))

    def api(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        status, answer = self.server.request(method, path, json.dumps(body), **headers)
        assert status in {200, 201}, answer
        return json.loads(answer)


def leaves_out(shown: str, printed: str) -> bool:
    """Whether the parts between the `…` are in what was printed, one after the other."""
    places = [printed.find(part) for part in shown.split("…")]
    return -1 not in places and all(one <= other for one, other in pairwise(places))


@pytest.fixture(scope="module")
def reader(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("clone")
    (folder / "empty").mkdir()
    env = environment(served.folder)
    with shell(folder, env | {"PATH": f"{folder}/.venv/bin:{env['PATH']}"}) as terminal:
        reader = Reader(served, terminal, folder)
        publish_as_the_demo_does(reader)
        publish(reader, "welcome", text("Hello!"), text("Hello! And welcome!"), live="1.1")
        roll_out_until_the_customer_of_the_readme_is_in_control(reader)
        yield reader


def publish_as_the_demo_does(reader: Reader) -> None:
    chat = {"type": "chat", "config": prompts.CONFIG}
    versions = [chat | {"version": number[1:], **content} for number, content in prompts.VERSIONS.items()]
    publish(reader, prompts.NAME, *versions, live="2.2")


def text(template: str) -> dict[str, str]:
    return {"type": "text", "template": template, "notes": "as the pages have it"}


def publish(reader: Reader, name: str, *versions: dict[str, Any], live: str) -> None:
    reader.api("POST", "/api/v1/prompts", {"name": name})
    for version in versions:
        reader.api("POST", f"/api/v1/prompts/{name}/versions", version)
    reader.api("PUT", f"/api/v1/prompts/{name}/labels/production", {"version": live, "reason": "go live"})


def roll_out_until_the_customer_of_the_readme_is_in_control(reader: Reader) -> None:
    """Every rollout has a salt of its own, by which 5 % of all customers get the canary."""
    while roll_out(reader)["arm"] == "canary":
        (active,) = reader.api("GET", "/api/v1/rollouts?status=running")["items"]
        reader.api("POST", f"/api/v1/rollouts/{active['id']}/cancel", {"reason": "another salt"})


def roll_out(reader: Reader) -> Any:
    """What the README's customer is told of a new rollout, as soon as it is served."""
    rollout = reader.api("POST", "/api/v1/rollouts", {"prompt": prompts.NAME, "canary": "2.3"})
    address, key = f"/prompts/{prompts.NAME}?unit=customer-42", f"Bearer {reader.key}"
    answers: list[bytes] = []  # the last of them tells: another process may not have heard of the rollout yet

    def is_served() -> bool:
        answers.append(reader.server.request("GET", address, Authorization=key)[1])
        return rollout["id"].encode() in answers[-1]

    wait_until(is_served, REACHES_EVERY_PROCESS_WITHIN_S)
    return json.loads(answers[-1])["rollout"]


@pytest.mark.parametrize("block", [*filter(is_run_here, BLOCKS)], ids=str)
def test_block__typed_in__works_and_prints_what_is_shown(reader: Reader, block: Block) -> None:
    reader.type_in(f"export KEY={reader.key}")

    for command, shown in block.commands:
        if REREAD.search(command):
            wait_until(partial(reader.works, command, shown), REACHES_EVERY_PROCESS_WITHIN_S)
        else:
            assert reader.works(command, shown), reader.terminal.printed


def test_judge_live_traffic__typed_in_from_top_to_bottom__works(reader: Reader) -> None:
    reader.type_in(f"export KEY={reader.key}")

    for block in IN_ORDER:
        assert all(reader.works(*command) for command in block.commands), reader.terminal.printed

    judged = reader.api("GET", f"/api/v1/prompts/{prompts.NAME}/judgings")["items"]
    assert {judging["evaluator"]: judging["share_bp"] for judging in judged} == {"faithfulness": 200, "brevity": 10_000}


@pytest.mark.parametrize("page", ["README.md", "sdk/README.md"])
def test_readme__its_first_python__runs_with_a_client_of_a_model(reader: Reader, page: str) -> None:
    program = next(block.text for block in blocks_of(page) if block.language == "python")
    (reader.folder / "readme.py").write_text(GIVEN + reader.here(program).replace('"ser_…"', "key"))

    printed = reader.terminal.run(".venv/bin/python readme.py")

    assert "You read orders that customers send by e-mail." in printed


def test_blocks__not_run__each_reason_is_of_one() -> None:
    without = [place for place in NOT_RUN if not any(is_of(block, *place) for block in BLOCKS)]

    assert without == []


def test_commands__none_hides_by_being_indented() -> None:
    hidden = {page: found for page in PAGES if (found := INDENTED.findall((ROOT / page).read_text(encoding="utf-8")))}

    assert hidden == {}


def test_make_and_manage__name_what_there_is() -> None:
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(re.findall(r"(?:`|^\$ |^)make ([a-z]+)", text, re.MULTILINE)) <= set(targets)
    assert set(re.findall(r"manage(?:\.py)? ([a-z]+_[a-z_]+)", text)) <= set(get_commands())
