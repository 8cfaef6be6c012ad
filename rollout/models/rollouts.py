"""Rollouts and the transitions that they went through."""

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from registry.models import Label, Prompt, PromptVersion


class Status(models.TextChoices):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"


class HoldReason(models.TextChoices):
    """Why an active rollout stays where it is.

    sample_ratio: the assignment is broken, nothing is decided on this data. inconclusive: its time is up.
    harm_found, proven_safe, spend_cap: decided, but the plan leaves the act to a person (auto_rollback, auto_promote).
    evaluation_failed: a look at it failed; the only one that ends by itself, with the next look that succeeds.
    """

    SAMPLE_RATIO = "sample_ratio"
    INCONCLUSIVE = "inconclusive"
    HARM_FOUND = "harm_found"
    PROVEN_SAFE = "proven_safe"
    EVALUATION_FAILED = "evaluation_failed"
    SPEND_CAP = "spend_cap"


ACTIVE = (Status.RUNNING, Status.PAUSED)


class Rollout(models.Model):
    """The moving of a label from its control version to a canary version in steps.

    plan: the whole plan with nothing silent (core.plan). salt: of the assignment, never changed.
    step: index into the plan's steps. revision: goes up by one with every transition.
    hold_until: when the step's hold is served; deadline_at: when max_duration is over; both move with pauses.
    hold_reason: what keeps it where it is, or empty; hold_before_failure: what that was before a look failed, and will
    be when one succeeds.
    verdict: the newest one. course: how the evidence of harm has gone, for display (core.course).
    looked_at: when the evaluator looked last; next_look_at: when it looks next.
    """

    id = models.CharField(max_length=30, primary_key=True)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="rollouts")
    label = models.ForeignKey(Label, on_delete=models.PROTECT, related_name="rollouts")
    control = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    canary = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    plan = models.JSONField()
    salt = models.CharField(max_length=32)
    status = models.CharField(max_length=12, choices=Status)
    step = models.PositiveSmallIntegerField(default=0)
    weight_bp = models.PositiveSmallIntegerField(default=0)
    hold_reason = models.CharField(max_length=20, choices=HoldReason, blank=True)
    hold_before_failure = models.CharField(max_length=20, choices=HoldReason, blank=True, default="", db_default="")
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    force_reason = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    step_entered_at = models.DateTimeField(null=True)
    hold_until = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    verdict = models.ForeignKey("Verdict", null=True, on_delete=models.PROTECT, related_name="+")
    course = models.JSONField(default=list, db_default=[])
    looked_at = models.DateTimeField(null=True)
    next_look_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("start_rollout", "Can start a rollout"),
            ("steer_rollout", "Can pause, resume, roll back and cancel a rollout"),
            ("promote_rollout", "Can promote a rollout by hand"),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], name="rollouts_due_for_a_look", condition=Q(status__in=ACTIVE))
        ]
        constraints = [
            UniqueConstraint(
                fields=["label"], condition=Q(status__in=ACTIVE), name="one_active_rollout_per_prompt_and_label"
            ),
            CheckConstraint(condition=Q(weight_bp__lte=10_000), name="weight_between_0_and_10000"),
            CheckConstraint(condition=Q(status__in=Status.values), name="rollout_status_is_known"),
            CheckConstraint(condition=Q(status__in=ACTIVE) | Q(weight_bp=0), name="only_an_active_rollout_has_weight"),
            CheckConstraint(
                condition=Q(next_look_at__isnull=False, status__in=ACTIVE)
                | (Q(next_look_at__isnull=True) & ~Q(status__in=ACTIVE)),
                name="an_active_rollout_has_a_next_look",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.prompt.name} {self.control.number} → {self.canary.number}"

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def versions(self) -> dict[str, int]:
        """Arm → id of the version that it serves."""
        return {"control": self.control_id, "canary": self.canary_id}


class Transition(models.Model):
    """One change of a rollout's state. `revision` is the rollout's revision after it."""

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="transitions")
    revision = models.PositiveIntegerField()
    action = models.CharField(max_length=20)
    from_status = models.CharField(max_length=12, choices=Status)
    to_status = models.CharField(max_length=12, choices=Status)
    step = models.PositiveSmallIntegerField()
    from_weight_bp = models.PositiveSmallIntegerField()
    to_weight_bp = models.PositiveSmallIntegerField()
    cause = models.TextField()
    reason = models.TextField(blank=True)
    actor = models.CharField(max_length=200)
    happened_at = models.DateTimeField()
    verdict = models.ForeignKey("Verdict", null=True, on_delete=models.PROTECT, related_name="transitions")

    class Meta:
        ordering = ["-id"]
        constraints = [UniqueConstraint(fields=["rollout", "revision"], name="one_transition_per_revision")]

    def __str__(self) -> str:
        return f"{self.rollout_id} {self.action}"
