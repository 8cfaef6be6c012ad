"""What serving counts for Prometheus, exactly: over all threads, and over all processes of one `run_web`.

Each process counts in a file of its own below PROMETHEUS_MULTIPROC_DIR (config.settings); whoever is asked for
/metrics adds them up (config.metrics), those of processes that have died included.
"""

from functools import cache

from prometheus_client import Counter, Gauge

REQUESTS = Counter(
    "serinus_prompt_requests",
    "Answers to GET /prompts/{name}. reason: why this version was served, or a refusal's code.",
    ["status", "reason"],
)
ASSIGNMENTS = Counter(
    "serinus_assignments",
    "Answers that a rollout assigned, those without a body included.",
    ["rollout", "arm"],
)
RULESETS = Counter(
    "serinus_ruleset_requests",
    "Answers to GET /ruleset. reason: complete, changes, unchanged, or a refusal's code.",
    ["status", "reason"],
)
WAITING = Gauge(
    "serinus_ruleset_waiting",
    "Clients that wait for a change of the ruleset now.",
    multiprocess_mode="livesum",
)
STATE_AGE = Gauge(
    "serinus_serving_state_age_seconds",
    "For how long the database has not confirmed the state that is served; the greatest of the web processes.",
    multiprocess_mode="livemax",
)


@cache
def requests(status: int, reason: str) -> Counter:
    """The counter of these answers. Both values come from closed sets, so that few are kept."""
    return REQUESTS.labels(str(status), reason)
