"""docs/tutorial/first-rollback.md does what it says: its blocks are run in their order, against a server of their own.

What only installs is not run: the clone, and `make serve`, whose server the test has started.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import Block, Shell, at, blocks_of, shell, shell_blocks
from tests.process.server import Server, environment, free_port, wait_until

pytestmark = pytest.mark.xdist_group("process")

PAGE = "docs/tutorial/first-rollback.md"
BLOCKS = blocks_of(PAGE)
COMMANDS = shell_blocks(PAGE)
INSTALLS = "git clone "
SERVES = "SERINUS_WEBHOOK_ALLOW=127.0.0.1 make serve\n"
APP, RECEIVER = "my-app/app.py\n", "my-app/receiver.py &\n"
SAVE_AS = re.compile(r"save this as `(.+?)`:$", re.IGNORECASE)
ENDED_WITHIN_S = 40
"""A healthy machine needs three seconds."""


class Reader:
    """Goes through the page as a newcomer does, with a server, a shell and a third terminal."""

    def __init__(self, server: Server, terminal: Shell, third: Shell, folder: Path) -> None:
        self.server, self.terminal, self.third, self.folder = server, terminal, third, folder
        self.receiver_port = free_port()

    def follow(self, block: Block) -> None:
        text = at(block.text, port=self.server.port).replace("9000", str(self.receiver_port))
        if name := SAVE_AS.search(block.lead):
            (self.folder / name[1]).write_text(text)
        elif block.text.startswith(INSTALLS) or block.text == SERVES:
            return
        elif block.text.endswith(APP):
            self.third.run(text.removesuffix("\n") + " &")
            self.wait_for('api "calls?prompt=support-reply&limit=1"', '"version":"v1.0"')
        else:
            self.terminal.run(text)
        if block.text.endswith(RECEIVER):
            self.wait_until_listening()
        if '"plan": {' in block.text:
            self.wait_for(":", "rollout.rolled_back v1.1")

    def wait_for(self, command: str, expected: str) -> None:
        """Until it is told in the second terminal, where the command is repeated meanwhile."""
        command = at(command, port=self.server.port)
        wait_until(lambda: (self.terminal.run(command), expected in self.terminal.printed)[1], ENDED_WITHIN_S)

    def wait_until_listening(self) -> None:
        probe = ["bash", "-c", f": < /dev/tcp/127.0.0.1/{self.receiver_port}"]
        wait_until(lambda: not subprocess.run(probe, check=False, capture_output=True).returncode, ENDED_WITHIN_S)


@pytest.fixture
def reader(served: Server, tmp_path: Path) -> Iterator[Reader]:
    with (
        shell(tmp_path, environment(served.folder)) as terminal,
        shell(tmp_path, environment(served.folder)) as third,
    ):
        yield Reader(served, terminal, third, tmp_path)


def test_tutorial__followed_from_top_to_bottom__rolled_back_and_told(reader: Reader) -> None:
    for block in BLOCKS:
        reader.follow(block)

    told = reader.terminal.printed
    assert "Traceback" not in told
    assert '"status":"rolled_back"\n"cause":"guardrail:hallucination"' in told
    assert f"rollout.rolled_back v1.1 http://127.0.0.1:{reader.server.port}/rollouts/rol_" in told
    assert told.rindex('"version":"v1.0"') > told.index("guardrail:hallucination")
    assert re.findall(r"urn:serinus:problem:(\w+)", told) == ["text_rolled_back_before"]
    assert not (reader.folder / "my-app").exists()


def test_tutorial__every_block__has_its_place() -> None:
    assert {block.language for block in BLOCKS} == {"sh", "python"}
    assert all(SAVE_AS.search(block.lead) for block in BLOCKS if block.language == "python")
    assert BLOCKS[0].text.startswith(INSTALLS)
    assert BLOCKS[1].text == SERVES
