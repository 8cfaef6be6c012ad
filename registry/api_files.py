"""Prompts as files over REST: out of one registry, into another."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import Invalid
from common.rest import StrictSerializer, read_query
from registry import services
from registry.api import PromptDetail, whole_prompt
from registry.core.prompt_file import read_prompt_file
from registry.keys import beyond_reach, grant_behind
from registry.representation import exported_json, imported_json
from registry.services.refusals import problems_refused

MOST_VERSIONS = 200  # a request should not last long, nor keep everybody else who writes waiting


class ImportQuery(StrictSerializer):
    move_labels = serializers.BooleanField(default=False)


class PromptExport(APIView):
    """GET: the prompt with all its versions and labels, as import takes it."""

    def get(self, request: Request, name: str) -> Response:
        return Response(exported_json(whole_prompt(request, name)))


class PromptImport(PromptDetail):
    """POST: what an export answered; what is here already stays as it is. `?move_labels=true` moves labels too.

    A prompt may be called `import`, and is then read and changed at this address.
    """

    def post(self, request: Request, name: str) -> Response:
        how = read_query(ImportQuery, request)
        with problems_refused():
            file = read_prompt_file(request.data)
        if len(file.versions) > MOST_VERSIONS:
            raise Invalid.field(
                "versions", f"expected at most {MOST_VERSIONS}; `manage.py import_prompts` takes as many as there are"
            )
        grant = grant_behind(request)
        if grant.reach.labels or not grant.reach.sees(file.name):
            raise beyond_reach(grant, "an import is of a whole prompt that it sees")
        imported: Any = services.import_prompt(file=file, actor=grant.actor, **how)
        return Response(imported_json(imported))
