"""Evaluators: what gives scores to calls, versioned like prompts, and which prompts they are used for."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from observability.core.evidence import ARMS
from registry.models import PROMPT_NAME, Prompt, PromptVersion

MOST_CALLS_A_DAY = 2**31 - 1
SCORE_NAME = RegexValidator(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z", "expected 1 to 100 of letters, digits, _ . and -")


class EvaluatorKind(models.TextChoices):
    """judge: a model is asked (judging.judge). check: computed from the output, no model needed. ragas: the ragas
    package's metrics. external: somebody else posts the scores."""

    JUDGE = "judge"
    CHECK = "check"
    RAGAS = "ragas"
    EXTERNAL = "external"


PAID_KINDS = (EvaluatorKind.JUDGE, EvaluatorKind.RAGAS)  # a model is asked, and a prompt's budget counts it


class Evaluator(models.Model):
    """score: the name of the scores that it gives."""

    name = models.CharField(max_length=128, unique=True, validators=[PROMPT_NAME])
    score = models.CharField(max_length=100, validators=[SCORE_NAME])
    description = models.TextField(blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EvaluatorVersion(models.Model):
    """What an evaluator is from some moment on. Written `faithfulness@3`; a trigger refuses every change of one.

    config: what its kind needs (judging.configs). template: of a judge, the version of a prompt of this registry that
    asks it. sha256: of kind, config and template.
    """

    evaluator = models.ForeignKey(Evaluator, on_delete=models.PROTECT, related_name="versions")
    ordinal = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=EvaluatorKind)
    config = models.JSONField(default=dict)
    template = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    notes = models.TextField()
    sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["evaluator", "-ordinal"]
        constraints = [
            UniqueConstraint(fields=["evaluator", "ordinal"], name="evaluator_version_ordinal_is_unique"),
            CheckConstraint(condition=Q(kind__in=EvaluatorKind.values), name="evaluator_kind_is_known"),
            CheckConstraint(
                condition=Q(kind=EvaluatorKind.JUDGE, template__isnull=False)
                | (~Q(kind=EvaluatorKind.JUDGE) & Q(template__isnull=True)),
                name="a_judge_and_nothing_else_has_a_template",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.evaluator.name}@{self.ordinal}"


class Judging(models.Model):
    """That an evaluator scores the calls of a prompt, always by its newest version, unless a rollout pinned one.

    share_bp: of the prompt's calls. canary_share_bp: up to this share of a canary's calls, which are few and decide.
    active: False keeps the settings and judges nothing.
    """

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="judgings")
    evaluator = models.ForeignKey(Evaluator, on_delete=models.PROTECT, related_name="judgings")
    share_bp = models.PositiveSmallIntegerField(
        default=200, validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )
    canary_share_bp = models.PositiveSmallIntegerField(
        default=10_000, validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["prompt", "evaluator"]
        constraints = [
            UniqueConstraint(fields=["prompt", "evaluator"], name="an_evaluator_judges_a_prompt_once"),
            CheckConstraint(
                condition=Q(share_bp__gte=1, share_bp__lte=10_000, canary_share_bp__gte=1, canary_share_bp__lte=10_000),
                name="judged_shares_between_1_and_10000",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.evaluator} judges {self.prompt}"


class JudgingBudget(models.Model):
    """What may be judged of a prompt in a day (UTC), by all its PAID_KINDS together; null for no limit."""

    prompt = models.OneToOneField(Prompt, on_delete=models.CASCADE, primary_key=True, related_name="judging_budget")
    calls_a_day = models.PositiveIntegerField(null=True, default=5_000)
    usd_a_day = models.DecimalField(max_digits=12, decimal_places=4, null=True, default=5)

    def __str__(self) -> str:
        return f"judging budget of {self.prompt}"


class JudgedShare(models.Model):
    """Which share of an arm's calls is judged on a step of a rollout, by which version: fixed when the rollout starts.

    rollout, step, arm: as in an exposure. Written by whoever starts rollouts, read by judging.sampling.
    """

    rollout = models.CharField(max_length=30)
    step = models.PositiveSmallIntegerField()
    arm = models.CharField(max_length=7)
    evaluator_version = models.ForeignKey(EvaluatorVersion, on_delete=models.PROTECT, related_name="+")
    share = models.FloatField()

    class Meta:
        constraints = [
            UniqueConstraint(
                fields=["rollout", "step", "arm", "evaluator_version"], name="one_judged_share_per_arm_and_step"
            ),
            CheckConstraint(condition=Q(arm__in=ARMS), name="judged_shares_are_of_control_or_canary"),
            CheckConstraint(condition=Q(share__gt=0, share__lte=1), name="judged_share_over_0_and_at_most_1"),
        ]

    def __str__(self) -> str:
        return f"{self.rollout} {self.step} {self.arm} {self.share}"
