"""The draft of a prompt over REST. Whoever writes says which revision they began with, so that nothing is lost."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import PreconditionRequired
from common.rest import StrictSerializer, etag, expected_revision, read_body
from registry import selectors, services
from registry.api import whole_prompt
from registry.core.content import Content
from registry.core.versions import Bump
from registry.idempotency import idempotent
from registry.keys import grant_behind
from registry.models import Draft, TemplateType
from registry.representation import published_json
from registry.services.drafts import draft_json

NO_DRAFT = 0  # the revision where there is none; a draft begins with 1


class DraftForm(StrictSerializer):
    """revision: of the draft that was edited, null where there was none; or else If-Match tells it."""

    type = serializers.ChoiceField(TemplateType.choices)
    template = serializers.JSONField()
    config = serializers.JSONField(default=dict)
    input_schema = serializers.JSONField(allow_null=True, default=None)
    response_schema = serializers.JSONField(allow_null=True, default=None)
    notes = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    revision = serializers.IntegerField(min_value=1, allow_null=True, required=False)


class PublishForm(StrictSerializer):
    bump = serializers.ChoiceField([str(bump) for bump in Bump], required=False)
    version = serializers.CharField(max_length=40, required=False)
    revision = serializers.IntegerField(min_value=1, required=False)


class DraftDetail(APIView):
    """GET: the draft. PUT: another text, finished or not, in the place of the one that was read."""

    def get(self, request: Request, name: str) -> Response:
        return _answer(selectors.find_draft(whole_prompt(request, name)))

    def put(self, request: Request, name: str) -> Response:
        fields = read_body(DraftForm, request)
        revision = _revision(request, fields)
        notes = fields.pop("notes")
        draft = services.save_draft(
            prompt=whole_prompt(request, name),
            content=Content(**fields),
            notes=notes,
            expected_revision=revision,
            actor=grant_behind(request).actor,
        )
        return _answer(draft)


class DraftPublish(APIView):
    """POST: publish the draft as it was read, with its notes; the text stays, for the next edit to begin with."""

    @idempotent()
    def post(self, request: Request, name: str) -> Response:
        fields = read_body(PublishForm, request)
        revision = _revision(request, fields)
        if revision is None:
            raise _unconditional()
        published = services.publish_draft(
            prompt=whole_prompt(request, name),
            expected_revision=revision,
            actor=grant_behind(request).actor,
            **fields,
        )
        location = f"/api/v1/prompts/{name}/versions/{published.version.number}"
        return Response(published_json(published), status=201, headers={"Location": location})


def _revision(request: Request, fields: dict[str, Any]) -> int | None:
    """The revision that was read, taken out of the fields or from a header; None where there was no draft."""
    in_body: int | None = None
    if "revision" in fields:
        in_body = fields.pop("revision") or NO_DRAFT
    elif request.headers.get("If-None-Match", "").strip() == "*":
        in_body = NO_DRAFT
    revision = expected_revision(request, in_body)
    if revision is None:
        raise _unconditional()
    return revision or None


def _unconditional() -> PreconditionRequired:
    return PreconditionRequired(
        "precondition_required",
        "Say which revision of the draft you read, by If-Match or `revision`; If-None-Match: * where there is none yet",
    )


def _answer(draft: Draft) -> Response:
    return Response(draft_json(draft), headers=etag(draft.revision))
