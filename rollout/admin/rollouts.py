"""Rollouts and their verdicts. What has happened to one, and what a person may ask of it, is on its page."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common.clock import now
from registry.admin.read_only import BoundedPaginator, ReadOnlyAdmin, as_written
from rollout import wording
from rollout.admin.starting import StartsRollouts
from rollout.formats import DASH, moment, weight
from rollout.models import Rollout, Verdict
from rollout.pages.acts import offered

TIMES = (
    *("created_at", "started_at", "step_entered_at", "hold_until", "paused_at"),
    *("deadline_at", "next_look_at", "ended_at"),
)


class LabelFilter(admin.SimpleListFilter):
    """By the labels that were ever rolled out, whatever the prompt."""

    title = "label"
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = Rollout.objects.order_by("label__name").values_list("label__name", flat=True).distinct()
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Rollout]) -> QuerySet[Rollout]:
        return queryset.filter(label__name=self.value()) if self.value() else queryset


@admin.register(Rollout)
class RolloutAdmin(StartsRollouts):
    list_display = ["versions", "page", "label_name", "state", "share", "began", "ended"]
    list_filter = ["status", "hold_reason", LabelFilter, ("prompt", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["prompt", "label", "control", "canary", "verdict"]  # of the last the state is made
    list_per_page = 50
    search_fields = ["id__exact", "prompt__name"]
    search_help_text = "A part of the prompt's name, or a rollout's whole id"
    fieldsets = [
        (
            None,
            {"fields": ["versions", "label", "state", "share", "page", "verdicts", "created_by", "force_reason"]},
        ),
        ("Times", {"fields": TIMES, "classes": ["collapse"]}),
        ("Plan", {"fields": ["plan_written_out"], "classes": ["collapse"]}),
    ]
    readonly_fields = ["versions", "state", "share", "page", "verdicts", "plan_written_out"]

    def view_on_site(self, rollout: Rollout) -> str:
        return reverse("rollout_page", args=[rollout.pk])

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rollout = Rollout.objects.filter(pk=unquote(object_id)).first()
        acts = offered(rollout, request.user) if rollout else {}
        context = {"acts": acts, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @admin.display(description="prompt and versions", ordering="prompt__name")
    def versions(self, rollout: Rollout) -> str:
        return str(rollout)

    @admin.display(description="label", ordering="label__name")
    def label_name(self, rollout: Rollout) -> str:
        return rollout.label.name

    @admin.display(description="started, UTC", ordering="started_at")
    def began(self, rollout: Rollout) -> SafeString | str:
        return moment(rollout.started_at, now()) if rollout.started_at else DASH

    @admin.display(description="ended, UTC", ordering="ended_at")
    def ended(self, rollout: Rollout) -> SafeString | str:
        return moment(rollout.ended_at, now()) if rollout.ended_at else DASH

    @admin.display(description="its page")
    def page(self, rollout: Rollout) -> SafeString:
        return format_html('<a href="{}">Evidence, transitions and acts</a>', self.view_on_site(rollout))

    @admin.display(description="state", ordering="status")
    def state(self, rollout: Rollout) -> str:
        return wording.state_of(rollout).words

    @admin.display(description="canary gets", ordering="weight_bp")
    def share(self, rollout: Rollout) -> str:
        return weight(rollout.weight_bp)

    @admin.display(description="verdicts")
    def verdicts(self, rollout: Rollout) -> SafeString:
        address = reverse("admin:rollout_verdict_changelist")
        return format_html('<a href="{}?rollout__id__exact={}">All of them, newest first</a>', address, rollout.pk)

    @admin.display(description="whole plan")
    def plan_written_out(self, rollout: Rollout) -> SafeString | str:
        return as_written(rollout.plan)


@admin.register(Verdict)
class VerdictAdmin(ReadOnlyAdmin):
    list_display = ["found_at", "rollout", "kind", "step", "reasons"]
    list_filter = ["kind"]
    list_select_related = ["rollout__prompt", "rollout__control", "rollout__canary"]
    search_fields = ["rollout__id__exact"]
    search_help_text = "A rollout's whole id"
    fields = ["rollout", "kind", "step", "found_at", "numbers"]
    readonly_fields = ["numbers"]
    show_full_result_count = False
    paginator = BoundedPaginator

    @admin.display(description="reasons")
    def reasons(self, verdict: Verdict) -> str:
        return " ".join(verdict.body["reasons"])

    @admin.display(description="numbers")
    def numbers(self, verdict: Verdict) -> SafeString | str:
        return as_written(verdict.body)
