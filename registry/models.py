"""What exists: prompts, their immutable versions, drafts, labels, API keys; what is told to the outside; who did it.

Invariants live in the database under names that read as sentences. Two sequences order everything: every change
that the read path must see takes the next `generation`, every fact told to the outside the next `event` number.
"""

from datetime import timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

PROMPT_NAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9._-]{0,127}\Z",
    "expected 1 to 128 of a-z, 0-9, dot, underscore, hyphen, the first a letter or digit",
)
LABEL_NAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9._-]{0,63}\Z",
    "expected 1 to 64 of a-z, 0-9, dot, underscore, hyphen, the first a letter or digit",
)


class TemplateType(models.TextChoices):
    TEXT = "text"
    CHAT = "chat"


class Sequence(models.Model):
    """A counter without gaps: taking a number locks its row until the transaction ends, so numbers follow commits."""

    name = models.CharField(max_length=20, primary_key=True)
    value = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


class Prompt(models.Model):
    name = models.CharField(max_length=128, unique=True, validators=[PROMPT_NAME])
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    archived_at = models.DateTimeField(null=True, blank=True)
    generation = models.BigIntegerField(default=0, db_index=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TemplateContent(models.Model):
    """What a draft is edited to be and a version is for ever.

    template: a string for type text; for chat a list of {role, content} and {type: "placeholder", name}.
    """

    type = models.CharField(max_length=4, choices=TemplateType, default=TemplateType.TEXT)
    template = models.JSONField(default=str)
    config = models.JSONField(default=dict, blank=True)
    input_schema = models.JSONField(null=True, blank=True)
    response_schema = models.JSONField(null=True, blank=True)
    notes = models.TextField(blank=True)

    class Meta:
        abstract = True


class PromptVersion(TemplateContent):
    """A published template. A trigger (`version_is_immutable`) refuses every UPDATE and DELETE."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="versions")
    ordinal = models.PositiveIntegerField()
    major = models.PositiveIntegerField()
    minor = models.PositiveIntegerField()
    patch = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    published_at = models.DateTimeField()
    published_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-ordinal"]
        constraints = [
            UniqueConstraint(fields=["prompt", "ordinal"], name="one_version_per_ordinal"),
            UniqueConstraint(fields=["prompt", "major", "minor", "patch"], name="one_version_per_number"),
            CheckConstraint(condition=Q(type__in=TemplateType.values), name="version_type_is_text_or_chat"),
            CheckConstraint(condition=Q(ordinal__gte=1), name="version_ordinals_start_at_1"),
        ]

    def __str__(self) -> str:
        return self.ref

    @property
    def number(self) -> str:
        """The semantic version as people write it: `v2.3`, the patch only when it is not 0."""
        return f"v{self.major}.{self.minor}" + (f".{self.patch}" if self.patch else "")

    @property
    def ref(self) -> str:
        return f"{self.prompt.name}@{self.number}"


class Draft(TemplateContent):
    """The one editable text of a prompt. `revision` goes up by one with every save (optimistic locking)."""

    prompt = models.OneToOneField(Prompt, on_delete=models.PROTECT, related_name="draft")
    revision = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=200)

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(type__in=TemplateType.values), name="draft_type_is_text_or_chat"),
        ]

    def __str__(self) -> str:
        return f"draft of {self.prompt.name}"


class Label(models.Model):
    """A named pointer at a version. `held_by` names the active rollout that alone may move it, or is empty."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="labels")
    name = models.CharField(max_length=64, validators=[LABEL_NAME])
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="labels")
    held_by = models.CharField(max_length=40, blank=True, editable=False)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["prompt", "name"]
        permissions = [("move_production", "Can move the label production")]
        constraints = [UniqueConstraint(fields=["prompt", "name"], name="one_label_of_a_name_per_prompt")]

    def __str__(self) -> str:
        return f"{self.prompt.name}:{self.name}"


class LabelMove(models.Model):
    """One recorded move of a label; the newest at or before a moment tells what the label pointed at then."""

    label = models.ForeignKey(Label, on_delete=models.PROTECT, related_name="moves")
    from_version = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    to_version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="+")
    moved_at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    reason = models.TextField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            CheckConstraint(
                condition=Q(from_version__isnull=True) | ~Q(from_version=F("to_version")),
                name="a_move_changes_the_version",
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} to {self.to_version.number}"


class Scope(models.TextChoices):
    """What a key may do. `write` includes `read`; `admin` includes all."""

    READ = "read"
    INGEST = "ingest"
    WRITE = "write"
    ADMIN = "admin"


class ApiKey(models.Model):
    """A program's key: only its SHA-256 is kept. prefix: its first characters, for people to tell keys apart.

    prompt_prefix, labels: what it reaches (registry.reach); nothing of it but the last use ever changes, until it is
    revoked. last_used_at: to a minute or two (registry.key_uses).
    """

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    sha256 = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    prompt_prefix = models.CharField(max_length=128, blank=True, default="", db_default="")
    labels = models.JSONField(default=list, blank=True, db_default=[])
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    generation = models.BigIntegerField(default=0, db_index=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Event(models.Model):
    """A fact told to the outside, written in the transaction that made it true. `sequence` has no gaps."""

    sequence = models.BigIntegerField(primary_key=True)
    id = models.CharField(max_length=30, unique=True)
    type = models.CharField(max_length=40)
    prompt = models.CharField(max_length=128)
    occurred_at = models.DateTimeField()
    data = models.JSONField()

    class Meta:
        ordering = ["-sequence"]
        indexes = [
            models.Index(fields=["prompt", "sequence"], name="events_by_prompt"),
            models.Index(fields=["type", "sequence"], name="events_by_type"),
            models.Index(fields=["prompt", "occurred_at"], name="events_by_prompt_and_time"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.type}"


class AuditEntry(models.Model):
    """Who changed what, kept for ever: a trigger (`audit_is_append_only`) refuses every UPDATE and DELETE.

    target: where it stands, as in the API's addresses, such as `prompts/order-extractor/labels/production`. before,
    after: what the change touched, null where there was or is nothing; never a secret, and of texts their SHA-256.
    address, request_id: of the request that asked for it, empty for the evaluator and commands.
    """

    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=300)
    before = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    reason = models.TextField(blank=True)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit trail"

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class IdempotentAnswer(models.Model):
    """The answer to a request with an Idempotency-Key, for when the request is sent again.

    digest: of the API key and the Idempotency-Key. fingerprint: of what was asked.
    """

    KEPT_FOR = timedelta(hours=24)

    digest = models.CharField(max_length=64, unique=True)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField()
    stored_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.status} of {self.stored_at}"
