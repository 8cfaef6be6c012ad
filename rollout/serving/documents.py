"""What the read path must know of the database, as plain JSON values: what is read from it and what is kept on disk.

Every change that the read path must see takes the next `generation` while its transaction holds that sequence's row,
so generations become visible in their order (registry.sequences). `changes_since` reads the number, then the rows
beyond the last one that was known, then the number again: unless that moved, no change came between, and what was read
is one state.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

from registry.models import ApiKey, Label, Prompt, PromptVersion, Sequence
from registry.representation import served_json
from rollout.models import ACTIVE, Rollout

NEVER = -1
"""The generation of who knows nothing yet."""

MOST_IN_A_LIST = 500  # parameters of a statement; beyond that, a subquery


class RolloutDocument(TypedDict):
    """What a client needs to assign by itself."""

    id: str
    salt: str
    step: int
    weight_bp: int
    control: str
    canary: str


class LabelDocument(TypedDict):
    """version: what the label points at, which is the control of an active rollout."""

    version: str
    rollout: RolloutDocument | None


class PromptDocument(TypedDict):
    """numbers: row id, ordinal, major, minor and patch of every version. versions: those that are served, by number."""

    name: str
    generation: int
    archived: bool
    numbers: list[list[int]]
    labels: dict[str, LabelDocument]
    versions: dict[str, dict[str, Any]]


class KeyDocument(TypedDict):
    sha256: str
    name: str
    scopes: list[str]
    revoked: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed after the generation `since` up to `generation`; everything there is when since is NEVER."""

    since: int
    generation: int
    prompts: Mapping[str, PromptDocument]
    keys: Mapping[str, KeyDocument]


class Pointer(NamedTuple):
    """Where a label points, by row id, and the active rollout that holds it."""

    version: int
    rollout: Rollout | None

    @property
    def versions(self) -> tuple[int, ...]:
        """Those that are served: the rollout's control and canary, or the label's."""
        return (self.rollout.control_id, self.rollout.canary_id) if self.rollout else (self.version,)


def changes_since(since: int) -> Changes | None:
    """What a reader that knows the state of that generation lacks, or None when nothing has changed.

    Everything, when the database's generation is lower: it is another one, or was restored from a backup.
    """
    generation = latest_generation()
    if generation == since:
        return None
    if generation < since:
        since = NEVER
    prompts: dict[str, PromptDocument] = {}
    keys: dict[str, KeyDocument] = {}
    read_from = since
    while read_from != generation:
        prompts |= {document["name"]: document for document in _prompts(read_from)}
        keys |= {document["sha256"]: document for document in _keys(read_from)}
        read_from, generation = generation, latest_generation()
    return Changes(since, generation, prompts, keys)


def numbers_of(label: LabelDocument) -> set[str]:
    """The versions that the label serves."""
    rollout = label["rollout"]
    return {rollout["control"], rollout["canary"]} if rollout else {label["version"]}


def latest_generation() -> int:
    return Sequence.objects.filter(name="generation").values_list("value", flat=True).first() or 0


def _prompts(since: int) -> Iterable[PromptDocument]:
    """Each statement sees its own moment; none relies on a row of another: `changes_since` reads a mixture again.

    Few statements over few columns: a web process runs them beside its requests, at every change of anything.
    """
    changed = Prompt.objects.filter(generation__gt=since).order_by()
    prompts = {prompt.pk: prompt for prompt in changed.only("name", "archived_at", "generation")}
    if not prompts:
        return
    among: Any = list(prompts) if len(prompts) <= MOST_IN_A_LIST else changed.values("pk")
    rollouts = _rollouts(among)
    pointers = _pointers(among, rollouts)
    numbers = _numbers(among)
    # Only of these: `among` may be a subquery, which by now finds a prompt that was made since.
    served = {id_ for pk in prompts for pointer in pointers[pk].values() for id_ in pointer.versions}
    texts = _texts(sorted(served), prompts)
    for pk, prompt in prompts.items():
        yield PromptDocument(
            name=prompt.name,
            generation=prompt.generation,
            archived=prompt.archived_at is not None,
            numbers=numbers[pk],
            labels={label: _rules(pointer, texts) for label, pointer in pointers[pk].items()},
            versions={
                texts[id_]["version"]: texts[id_] for pointer in pointers[pk].values() for id_ in pointer.versions
            },
        )


def _rollouts(prompts: Any) -> dict[int, dict[str, Rollout]]:
    """By prompt and label: those that are active."""
    found: dict[int, dict[str, Rollout]] = defaultdict(dict)
    active = Rollout.objects.filter(status__in=ACTIVE, prompt__in=prompts).order_by()
    columns = ("prompt_id", "label__name", "salt", "step", "weight_bp", "control_id", "canary_id")
    for rollout in active.select_related("label").only(*columns):
        found[rollout.prompt_id][rollout.label.name] = rollout
    return found


def _pointers(prompts: Any, rollouts: Mapping[int, Mapping[str, Rollout]]) -> dict[int, dict[str, Pointer]]:
    """By prompt and label."""
    found: dict[int, dict[str, Pointer]] = defaultdict(dict)
    labels = Label.objects.filter(prompt__in=prompts).order_by()
    for prompt_id, name, version_id in labels.values_list("prompt_id", "name", "version_id"):
        found[prompt_id][name] = Pointer(version_id, rollouts[prompt_id].get(name))
    return found


def _numbers(prompts: Any) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = defaultdict(list)
    versions = PromptVersion.objects.filter(prompt__in=prompts).order_by()
    # Not by iterator(): its cursor on the server is lost behind a pooler that gives each statement another connection.
    for prompt_id, *numbers in versions.values_list("prompt_id", "pk", "ordinal", "major", "minor", "patch"):
        found[prompt_id].append(numbers)
    return found


def _texts(version_ids: list[int], prompts: Mapping[int, Prompt]) -> dict[int, dict[str, Any]]:
    """By row id: what an app needs of the version."""
    texts = {}
    for start in range(0, len(version_ids), MOST_IN_A_LIST):
        ids = version_ids[start : start + MOST_IN_A_LIST]
        for version in PromptVersion.objects.filter(pk__in=ids).order_by():
            version.prompt = prompts[version.prompt_id]
            texts[version.pk] = served_json(version)
    return texts


def _rules(pointer: Pointer, texts: Mapping[int, Mapping[str, Any]]) -> LabelDocument:
    rollout = pointer.rollout
    if rollout is None:
        return LabelDocument(version=texts[pointer.version]["version"], rollout=None)
    control, canary = (texts[id_]["version"] for id_ in pointer.versions)
    return LabelDocument(
        version=control,
        rollout=RolloutDocument(
            id=rollout.id,
            salt=rollout.salt,
            step=rollout.step,
            weight_bp=rollout.weight_bp,
            control=control,
            canary=canary,
        ),
    )


def _keys(since: int) -> Iterable[KeyDocument]:
    for key in ApiKey.objects.filter(generation__gt=since):
        yield KeyDocument(sha256=key.sha256, name=key.name, scopes=key.scopes, revoked=key.revoked_at is not None)
