"""How good the data was lately that rollouts are judged on, and what mends it: docs/reference/data-quality.md in short.

Counting takes as long as the present hour has calls. So it is done once a minute in each web process.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.urls import reverse

from observability.selectors.hours import HOUR, hour_of
from rollout.data_quality import data_quality_json
from rollout.formats import count, estimate

LATELY = timedelta(days=1)
KEPT_S = 60
NAMED = 3
ENOUGH_CALLS = 20  # of a canary, before a score that none of them has is missed
MANY = 0.01  # of streams
STAMP = "Put the trace attributes of GET /prompts/{name} on the span of the LLM call, or on one above it"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that makes data worth less. about: the address of what it is about, or empty."""

    number: str
    what: str
    mend: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """linked: share of the calls that name a version that there is, empty when no calls came."""

    calls: str
    linked: str
    flaws: list[Flaw]


def quality_lately(at: datetime) -> Quality:
    """Of the last day, up to a minute old."""
    until = hour_of(at) + HOUR
    key = f"status:quality:{until:%Y%m%d%H}"
    known: Quality | None = cache.get(key)
    if known is None:
        known = _told(data_quality_json(since=until - LATELY, until=until))
        cache.set(key, known, KEPT_S)
    return known


def _told(found: Mapping[str, Any]) -> Quality:
    unlinked = (
        found["calls_without_prompt"] + found["calls_without_version"] + found["calls_with_unknown_version"]["calls"]
    )
    calls = found["calls"]
    return Quality(
        calls=count(calls),
        linked=estimate(1 - unlinked / calls, "share") if calls else "",
        flaws=[flaw for flaw in (*_of_scores(found), *_of_links(found), *_of_figures(found)) if flaw.number != "0"],
    )


def _of_scores(found: Mapping[str, Any]) -> Iterator[Flaw]:
    """What an active rollout will wait for in vain."""
    for scored in found["canary_calls_scored"]:
        if not scored["scored"] and scored["canary_calls"] >= ENOUGH_CALLS:
            yield Flaw(
                count(scored["canary_calls"]),
                f"Canary calls, none with a score {scored['score']}",
                "The judge does not run, or sends another name. The rollout waits for it.",
                reverse("rollout_page", args=[scored["rollout"]]),
            )
    yield Flaw(
        count(found["scores_without_a_call"]["given_up"]),
        "Scores that found no call",
        "They bear an id in another notation, or the span of the call is not exported.",
    )


def _of_links(found: Mapping[str, Any]) -> Iterator[Flaw]:
    unknown, unassigned = found["calls_with_unknown_version"], found["calls_with_unassigned_version"]
    yield Flaw(
        count(found["calls_without_prompt"]),
        "Calls that name no prompt",
        f"{STAMP}. It is right for calls that use no prompt of Serinus.",
    )
    yield Flaw(count(found["calls_without_version"]), "Calls that name a prompt but no version", f"{STAMP}.")
    yield Flaw(
        count(unknown["calls"]),
        _named("Calls that name a version that does not exist", [_version(each) for each in unknown["versions"]]),
        "A misspelt name, a version that was not published here, or another environment's registry.",
    )
    yield Flaw(
        count(unassigned["calls"]),
        "Calls that name another version than their arm serves, and are no evidence",
        "Take the prompt and its trace attributes from the same answer.",
        reverse("rollout_page", args=[unassigned["versions"][0]["rollout"]]) if unassigned["versions"] else "",
    )
    yield Flaw(
        count(found["calls_with_unknown_rollout"]["calls"]),
        "Calls that name a rollout that does not exist",
        "Their attributes come from another installation.",
    )


def _of_figures(found: Mapping[str, Any]) -> Iterator[Flaw]:
    unpriced = [model for model in found["unpriced"]["models"] if model["tokens"]]  # a call without any costs nothing
    streams = found["ttft_is_total"]
    yield Flaw(
        count(sum(model["calls"] for model in unpriced)),
        _named("Calls without a price", [model["model"] or "no model named" for model in unpriced]),
        "Set a price for the model, or have the client send what it cost.",
        reverse("admin:observability_priceoverride_changelist"),
    )
    if streams["calls"] > MANY * streams["streams"]:
        yield Flaw(
            count(streams["calls"]),
            "Streams that came in one piece",
            "A proxy holds them back, or the client's time to first token is its latency. Judge no rollout by ttft.",
        )
    for kind, words in (("spans", "Spans that were refused"), ("evaluations", "Evaluations that were refused")):
        reasons: Mapping[str, int] = found["refused"][kind]
        yield Flaw(count(sum(reasons.values())), _named(words, list(reasons)), "The reason names what is wrong.")


def _version(named: Mapping[str, Any]) -> str:
    return f"{named['prompt']} {named['version']}"


def _named(what: str, names: list[str]) -> str:
    """With the first few names."""
    more = f" and {count(len(names) - NAMED)} more" if len(names) > NAMED else ""
    return f"{what}: {', '.join(names[:NAMED])}{more}" if names else what
