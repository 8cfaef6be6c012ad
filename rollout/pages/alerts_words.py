"""What each kind of alert is called, and what to do when it fires, for those who have no documentation at hand."""

from dataclasses import dataclass

from observability.models import AlertKind


@dataclass(frozen=True, slots=True)
class KindWords:
    title: str
    what_to_do: str


WORDS = {
    AlertKind.BASELINE: KindWords(
        "A metric left its last seven days",
        "Look at what changed when it began: a version, a model, a provider or an environment. Undo that change.",
    ),
    AlertKind.OBJECTIVE: KindWords(
        "An error budget burns too fast",
        "Find out which calls miss the objective, and hold rollouts of the prompt until fewer do.",
    ),
    AlertKind.SPEND_BUDGET: KindWords(
        "A soft budget is nearly or wholly spent",
        "See what it is spent on. Nothing is stopped by itself: slow the spender down, or raise the budget.",
    ),
    AlertKind.SPEND_ANOMALY: KindWords(
        "Somebody spends far more than usual",
        "Look at the calls of the day: a loop, an abuse, or a new customer? Slow the spender down where it is called.",
    ),
    AlertKind.JUDGE_DRIFT: KindWords(
        "The judge has changed, and not the prompt",
        "Do not believe what its scores say of the prompt. Compare its model with before, and publish a new version of "
        "the evaluator if it was replaced.",
    ),
    AlertKind.JUDGE_FAILING: KindWords(
        "Too many scores are missing",
        "See which reason is the commonest: a judge that does not answer, answers not as asked for, or calls that came "
        "without texts. What is missing was given up, is not asked for again, and counts for and against nothing.",
    ),
    AlertKind.JUDGING_BUDGET: KindWords(
        "The day's judging budget is nearly or wholly used up",
        "Raise the prompt's judging budget or lower its share. When it is used up nothing more is judged today, and "
        "rollouts that wait for scores wait until tomorrow (UTC).",
    ),
}
OF_SPEND = {AlertKind.SPEND_BUDGET, AlertKind.SPEND_ANOMALY}
"""What these say is for those who may open the page of spend, which takes a login."""
