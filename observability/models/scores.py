"""Scores: quality numbers about calls."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.models.calls import Call


class ScoreSource(models.TextChoices):
    JUDGE = "judge"
    CHECK = "check"
    USER = "user"
    HUMAN = "human"


class Score(models.Model):
    """One quality number about a call.

    key: the client's id of it, or one of ours. target: what it was said to be about (core.scores). waiting: its call
    has not arrived. gave_up: nor will it be looked for any longer. recheck: waiting, and its call may be arriving in a
    transaction that could not see it. counts: the first of its name for its call, the only one that is evidence; where
    the call's rollout pinned an evaluator, the first of that version of it.
    evaluated_at: of an OpenTelemetry evaluation, which has no id and is told from others by what it says and when;
    second_target: what such a one is about if its target is no call. probability: with which its call was chosen to be
    judged; null where it was not chosen by us, and counts as one. by_design: False for one whose call was chosen for
    what became of it, and so is no evidence.
    """

    key = models.CharField(max_length=200)
    target = models.CharField(max_length=220)
    second_target = models.CharField(max_length=220, null=True)
    call = models.ForeignKey(Call, null=True, on_delete=models.CASCADE, related_name="scores")
    waiting = models.BooleanField()
    gave_up = models.BooleanField(db_default=False)
    recheck = models.BooleanField()
    counts = models.BooleanField()
    name = models.CharField(max_length=100)
    value = models.FloatField()
    label = models.CharField(max_length=200, null=True)
    comment = models.TextField(null=True)
    source = models.CharField(max_length=5, choices=ScoreSource)
    evaluator = models.CharField(max_length=200, null=True)
    evaluated_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    probability = models.FloatField(null=True)
    by_design = models.BooleanField(default=True, db_default=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["target"], name="scores_waiting_for_a_call", condition=Q(waiting=True)),
            models.Index(
                fields=["second_target"],
                name="scores_waiting_by_second",
                condition=Q(waiting=True, second_target__isnull=False),
            ),
            models.Index(fields=["received_at"], name="scores_waiting_since", condition=Q(waiting=True)),
            models.Index(fields=["target"], name="evaluations_by_target", condition=Q(evaluated_at__isnull=False)),
            models.Index(fields=["id"], name="scores_without_a_call", condition=Q(call__isnull=True)),
            models.Index(fields=["received_at"], name="scores_by_time"),
            models.Index(fields=["id"], name="scores_to_look_at_again", condition=Q(recheck=True)),
        ]
        constraints = [
            UniqueConstraint(fields=["key"], name="each_score_is_recorded_once"),
            UniqueConstraint(
                fields=["call", "name"], condition=Q(counts=True), name="one_score_of_a_name_counts_per_call"
            ),
            CheckConstraint(condition=Q(value__gte=0, value__lte=1), name="score_value_between_0_and_1"),
            CheckConstraint(condition=Q(source__in=ScoreSource.values), name="score_source_is_known"),
            CheckConstraint(condition=Q(waiting=False) | Q(call__isnull=True), name="a_joined_score_does_not_wait"),
            CheckConstraint(
                condition=Q(gave_up=False) | Q(waiting=False, call__isnull=True), name="a_score_given_up_has_no_call"
            ),
            CheckConstraint(condition=Q(recheck=False) | Q(waiting=True), name="only_a_waiting_score_is_rechecked"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"
