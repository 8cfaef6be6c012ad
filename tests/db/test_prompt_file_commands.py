"""`manage.py export_prompts` and `import_prompts`: a folder of files, and a line about each."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from registry import services
from registry.models import Label, Prompt, PromptVersion
from tests import make

pytestmark = pytest.mark.django_db


def export(*arguments: str) -> list[str]:
    output = io.StringIO()
    call_command("export_prompts", *arguments, stdout=output)
    return output.getvalue().splitlines()


def bring_in(*arguments: str) -> tuple[list[str], list[str]]:
    """What it says on standard output, and of refusals on standard error."""
    output, errors = io.StringIO(), io.StringIO()
    try:
        call_command("import_prompts", *arguments, stdout=output, stderr=errors)
    except CommandError as error:
        errors.write(str(error))
    return output.getvalue().splitlines(), errors.getvalue().splitlines()


def renamed(path: Path, name: str) -> None:
    """Let the file of order-extractor be another prompt's."""
    path.write_text(path.read_text().replace("order-extractor", name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is not there yet, and two prompts for it."""
    prompt = make.prompt()
    make.label(make.version(prompt, "2.2"))
    make.version(prompt, template=make.TEXT + "\nBe exact.\n")
    make.version(make.prompt("greeter"), template="Hello")
    return tmp_path / "prompts"


def test_export__without_names__all_that_are_served(folder: Path) -> None:
    services.archive_prompt(prompt=make.prompt("old"), actor=make.ANNA)

    said = export("--to", str(folder))

    assert said == [
        f"{folder}/greeter.json: 1 versions",
        f"{folder}/order-extractor.json: 2 versions",
        "1 archived prompts were left out",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["greeter.json", "order-extractor.json"]
    assert json.loads((folder / "order-extractor.json").read_text())["labels"] == {"production": "v2.2"}


def test_export__names_in_yaml__only_these_and_texts_as_they_are_read(folder: Path) -> None:
    export("order-extractor", "--to", str(folder), "--format", "yaml")

    (path,) = folder.iterdir()
    assert "  template: |\n    Extract the order from: {{ order_text }}\n    Be exact.\n" in path.read_text()


@pytest.mark.parametrize("arguments", [["other", "--to", "x"], ["--to", "/dev/null/x"]])
def test_export__cannot__says_why(folder: Path, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"other|/dev/null"):
        export(*arguments)


@pytest.mark.parametrize("notation", ["json", "yaml"])
def test_import__a_folder__a_line_about_each_file(folder: Path, notation: str) -> None:
    export("--to", str(folder), "--format", notation)
    renamed(folder / f"order-extractor.{notation}", "copy")

    tried, _ = bring_in(str(folder), "--dry-run")
    first, _ = bring_in(str(folder))
    labels, _ = bring_in(str(folder), "--move-labels")
    again, errors = bring_in(str(folder), "--move-labels")

    greeter, copy = f"{folder}/greeter.{notation}: ", f"{folder}/order-extractor.{notation}: "
    left = "labels left (--move-labels moves): production"
    assert tried == [f"{greeter}nothing is new", f"{copy}copy would be made; v2.2, v2.3 would be published; {left}"]
    assert first == [f"{greeter}nothing is new", f"{copy}copy made; v2.2, v2.3 published; {left}"]
    assert labels == [f"{greeter}nothing is new", f"{copy}labels moved: production"]
    assert again == [f"{greeter}nothing is new", f"{copy}nothing is new"]
    assert errors == []
    assert Label.objects.get(prompt__name="copy", name="production").version.number == "v2.2"


def test_import__some_files_refused__the_others_are_taken_and_it_fails(folder: Path) -> None:
    export("--to", str(folder))
    renamed(folder / "order-extractor.json", "copy")
    (folder / "a.yaml").write_text("a: &a [1]\nb: *a\n")
    (folder / "b.json").write_text('{"format": "serinus-prompt-1", "name": "b", "versions": [{"version": 2.3}]}')
    (folder / "ignored.txt").write_text("not a prompt")

    said, errors = bring_in(str(folder), str(folder / "c.json"))

    assert [line.split(": ")[1] for line in said] == [
        "nothing is new",
        "copy made; v2.2, v2.3 published; labels left (--move-labels moves)",
    ]
    assert "a.yaml: refused: The file is not YAML as it is read here: line 2: aliases are not read" in errors[0]
    assert 'versions[0].version: expected a text such as "2.3" or "v2.3", got float' in errors[1]
    assert "c.json: refused: [Errno 2]" in errors[2]
    assert errors[3] == "3 of 5 files were refused"
    assert Prompt.objects.filter(name="copy").exists()


def test_import__description_is_otherwise_here__told(folder: Path) -> None:
    export("greeter", "--to", str(folder))
    Prompt.objects.filter(name="greeter").update(description="Mine")

    said, _ = bring_in(str(folder / "greeter.json"))

    assert said == [f"{folder}/greeter.json: nothing is new; left as here: description"]


def test_import__an_empty_folder__says_so(tmp_path: Path) -> None:
    _, errors = bring_in(str(tmp_path))

    assert errors == ["There are no files there"]


def test_import__a_large_file__refused(folder: Path, settings: Any) -> None:
    export("greeter", "--to", str(folder))
    settings.MAX_DECOMPRESSED_BYTES = 100

    _, errors = bring_in(str(folder))

    assert "larger than 100 bytes" in errors[0]
    assert PromptVersion.objects.count() == 3
