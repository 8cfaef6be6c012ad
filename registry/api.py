"""Prompts, versions and labels over REST (product.md, sections 2 and 10)."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import Invalid
from common.rest import CursorPages, StrictSerializer, etag, if_match, read_body, read_query
from registry import selectors, services
from registry.core.content import Content
from registry.core.versions import Bump
from registry.idempotency import idempotent
from registry.keys import beyond_reach, grant_behind, reach_of
from registry.models import Label, LabelMove, Prompt, PromptVersion, Scope, TemplateType
from registry.reach import Reach
from registry.representation import label_json, move_json, prompt_json, published_json, version_json
from registry.services.refusals import problems_refused


class PromptForm(StrictSerializer):
    name = serializers.CharField(max_length=128)
    description = serializers.CharField(max_length=2000, allow_blank=True, default="")
    tags = serializers.ListField(child=serializers.CharField(max_length=64), max_length=50, default=list)


class PromptChanges(StrictSerializer):
    description = serializers.CharField(max_length=2000, allow_blank=True, required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=64), max_length=50, required=False)


class PromptFilters(StrictSerializer):
    name_contains = serializers.CharField(max_length=128, required=False)
    tag = serializers.CharField(max_length=64, required=False)
    archived = serializers.BooleanField(default=False)


class ReasonForm(StrictSerializer):
    reason = serializers.CharField(max_length=2000)


class VersionForm(StrictSerializer):
    type = serializers.ChoiceField(TemplateType.choices)
    template = serializers.JSONField()
    notes = serializers.CharField(max_length=10_000)
    config = serializers.JSONField(default=dict)
    input_schema = serializers.JSONField(allow_null=True, default=None)
    response_schema = serializers.JSONField(allow_null=True, default=None)
    bump = serializers.ChoiceField([str(bump) for bump in Bump], required=False)
    version = serializers.CharField(max_length=40, required=False)


class VersionFilters(StrictSerializer):
    sha256 = serializers.CharField(max_length=64, required=False)
    author = serializers.CharField(max_length=200, required=False)
    since = serializers.DateTimeField(required=False)


class MoveForm(StrictSerializer):
    version = serializers.CharField(max_length=40)
    reason = serializers.CharField(max_length=2000)


class RenderForm(StrictSerializer):
    variables = serializers.DictField(default=dict)
    version = serializers.CharField(max_length=40, required=False)
    label = serializers.CharField(max_length=64, default="production")  # type: ignore[assignment]  # DRF takes fields off the class


class HistoryFilters(StrictSerializer):
    at = serializers.CharField(required=False, allow_blank=True)


class PromptSerializer(serializers.BaseSerializer[Prompt]):
    def to_representation(self, instance: Prompt) -> dict[str, Any]:
        return prompt_json(instance, reach_of(self.context["request"]))


class VersionSerializer(serializers.BaseSerializer[PromptVersion]):
    def to_representation(self, instance: PromptVersion) -> dict[str, Any]:
        return version_json(instance)


class LabelSerializer(serializers.BaseSerializer[Label]):
    def to_representation(self, instance: Label) -> dict[str, Any]:
        return label_json(instance)


class MoveSerializer(serializers.BaseSerializer[LabelMove]):
    def to_representation(self, instance: LabelMove) -> dict[str, Any]:
        return move_json(instance)


class PromptList(generics.ListAPIView[Prompt]):
    """GET: the prompts that are served, newest first; filters name_contains, tag, archived. POST: a new one."""

    serializer_class = PromptSerializer

    def get_queryset(self) -> Any:
        wanted = read_query(PromptFilters, self.request, pages=CursorPages)
        return selectors.prompts(reach_of(self.request), **wanted)

    @idempotent()
    def post(self, request: Request) -> Response:
        grant, fields = grant_behind(request), read_body(PromptForm, request)
        if not grant.reach.sees(fields["name"]):
            raise beyond_reach(grant, f"its prompts' names begin with {grant.reach.prompt_prefix}")
        prompt = services.create_prompt(**fields, actor=grant.actor)
        return Response(prompt_json(prompt), status=201, headers={"Location": f"/api/v1/prompts/{prompt.name}"})


class PromptDetail(APIView):
    """PATCH: change its description, its tags or both; its name is for ever."""

    def get(self, request: Request, name: str) -> Response:
        reach = reach_of(request)
        return Response(prompt_json(selectors.find_prompt(name, reach), reach))

    def patch(self, request: Request, name: str) -> Response:
        prompt, changes = whole_prompt(request, name), read_body(PromptChanges, request)
        changed = services.change_prompt(prompt_name=prompt.name, actor=grant_behind(request).actor, **changes)
        return Response(prompt_json(changed))


class PromptArchive(APIView):
    """POST: take the prompt out of service, with a reason."""

    def post(self, request: Request, name: str) -> Response:
        fields = read_body(ReasonForm, request)
        prompt = whole_prompt(request, name)
        services.archive_prompt(prompt=prompt, actor=grant_behind(request).actor, **fields)
        return Response(prompt_json(selectors.known_prompt(name)))


class PromptUnarchive(APIView):
    """POST: serve the prompt again, with a reason."""

    def post(self, request: Request, name: str) -> Response:
        fields = read_body(ReasonForm, request)
        prompt = whole_prompt(request, name, find=selectors.known_prompt)
        services.unarchive_prompt(prompt=prompt, actor=grant_behind(request).actor, **fields)
        return Response(prompt_json(selectors.known_prompt(name)))


class VersionList(generics.ListAPIView[PromptVersion]):
    """GET: the prompt's versions, newest first; filters sha256, author, since. POST: publish one."""

    serializer_class = VersionSerializer

    def get_queryset(self) -> Any:
        wanted = read_query(VersionFilters, self.request, pages=CursorPages)
        reach = reach_of(self.request)
        return selectors.versions(selectors.find_prompt(self.kwargs["name"], reach), reach, **wanted)

    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        grant, fields = grant_behind(request), read_body(VersionForm, request)
        selectors.find_prompt(name, grant.reach)
        if not grant.reach.may_use(services.LATEST):
            raise beyond_reach(grant, f"publishing moves the label {services.LATEST}, which is none of its labels")
        how = {key: fields.pop(key, None) for key in ("notes", "bump", "version")}
        published = services.publish_version(prompt_name=name, content=Content(**fields), actor=grant.actor, **how)
        location = f"/api/v1/prompts/{name}/versions/{published.version.number}"
        return Response(published_json(published), status=201, headers={"Location": location})


class VersionDetail(APIView):
    def get(self, request: Request, name: str, version: str) -> Response:
        reach = reach_of(request)
        return Response(version_json(selectors.find_version(selectors.find_prompt(name, reach), version, reach)))


class VersionDiff(APIView):
    """`?from=2.2&to=2.3`: unified diffs of the template, and of the config with the schemas."""

    def get(self, request: Request, name: str) -> Response:
        reach = reach_of(request)
        prompt = selectors.find_prompt(name, reach)
        before, after = (selectors.find_version(prompt, _given(request, key), reach) for key in ("from", "to"))
        return Response({"from": before.number, "to": after.number, **selectors.diff_versions(before, after)})


class LabelList(generics.ListAPIView[Label]):
    serializer_class = LabelSerializer

    def get_queryset(self) -> Any:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        reach = reach_of(self.request)
        return selectors.labels(selectors.find_prompt(self.kwargs["name"], reach), reach)


class LabelDetail(APIView):
    """GET: where the label points. PUT: move it, or make it; If-Match guards against a move that was not seen."""

    def get(self, request: Request, name: str, label: str) -> Response:
        reach = reach_of(request)
        found = selectors.find_label(selectors.find_prompt(name, reach), label, reach)
        return Response(label_json(found), headers=etag(selectors.label_revision(found)))

    def put(self, request: Request, name: str, label: str) -> Response:
        grant, move = grant_behind(request), read_body(MoveForm, request)
        prompt = selectors.find_prompt(name, grant.reach)
        if not grant.reach.may_use(label):
            raise beyond_reach(grant, f"{label} is none of its labels")
        selectors.find_version(prompt, move["version"], grant.reach)
        moved = services.move_label(
            prompt_name=name, label=label, expected_revision=if_match(request), actor=grant.actor, **move
        )
        return Response(label_json(moved), headers=etag(selectors.label_revision(moved)))


class LabelHistory(generics.ListAPIView[LabelMove]):
    """The label's moves, newest first; with `?at=` only the one in force then, or none."""

    serializer_class = MoveSerializer

    def get_queryset(self) -> Any:
        reach = reach_of(self.request)
        label = selectors.find_label(selectors.find_prompt(self.kwargs["name"], reach), self.kwargs["label"], reach)
        at = read_query(HistoryFilters, self.request, pages=CursorPages).get("at")
        return selectors.moves(label, at=None if at is None else _moment("at", at))


class Render(APIView):
    """POST: the version rendered with `variables`: of `version`, or the one that `label` points at."""

    scopes = {"POST": Scope.READ}

    def post(self, request: Request, name: str) -> Response:
        fields, reach = read_body(RenderForm, request), reach_of(request)
        prompt = selectors.find_prompt(name, reach)
        if "version" in fields:
            version = selectors.find_version(prompt, fields["version"], reach)
        else:
            version = selectors.find_label(prompt, fields["label"], reach).version
        with problems_refused():
            rendered = selectors.preview(version, fields["variables"])
        return Response({"version": version.number, "ref": version.ref, "type": version.type, "rendered": rendered})


def whole_prompt(
    request: Request, name: str, *, find: Callable[[str, Reach], Prompt] = selectors.find_prompt
) -> Prompt:
    """The prompt with all that is of no single label. Raises NotFound, Gone, or Forbidden for a key of some labels."""
    grant = grant_behind(request)
    prompt = find(name, grant.reach)
    if grant.reach.labels:
        raise beyond_reach(grant, "this is of all labels of the prompt")
    return prompt


def _given(request: Request, parameter: str) -> str:
    value = request.query_params.get(parameter, "")
    if not value:
        raise Invalid.field(parameter, "expected a version such as 2.3 or an ordinal", code="required")
    return value


def _moment(parameter: str, text: str) -> datetime:
    """A time in ISO 8601; UTC where it does not say otherwise."""
    try:
        moment = parse_datetime(text)
        moment = moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last hours of the calendar do not exist everywhere
        moment = None
    if moment is None:
        raise Invalid.field(parameter, f"expected a time such as 2026-01-31T14:05:00Z, got {text[:40]!r}")
    return moment
