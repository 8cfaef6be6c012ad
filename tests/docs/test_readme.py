"""README.md: what it says of its picture is true of every picture that `make pictures` takes."""

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()
PICTURE = re.compile(r"!\[([^\]]+)\]\(docs/rollout\.png\)")
FIGURE = re.compile(r"(?<![\w.])\d")  # but no version's number


def test_picture__its_words__have_no_figures_which_differ_each_time() -> None:
    words = PICTURE.findall(README)

    assert len(words) == 1
    assert "rolled back" in words[0]
    assert not FIGURE.search(words[0])
