"""Prompts, versions and labels, as docs/reference/openapi.yaml tells of them."""

from rest_framework import serializers

from common.openapi import (
    ANY,
    INTEGER,
    OBJECT,
    TEXT,
    TIME,
    Operation,
    Operations,
    Schema,
    array,
    extended,
    mapping,
    members,
    nullable,
    one_of,
    ref,
    said,
)
from registry import api, api_audit, api_keys
from registry.core.versions import Bump
from registry.models import TemplateType

NUMBER = said(TEXT, "Semantic version", examples=["v2.3"])
TEMPLATE = {"oneOf": [TEXT, array(OBJECT)], "description": "A text, or the messages and placeholders of a chat"}

VERSION: Schema = members(
    name=TEXT,
    version=NUMBER,
    ordinal=said(INTEGER, "1, 2, 3… in the order of publishing"),
    ref=said(TEXT, "Prompt and version", examples=["order-extractor@v2.3"]),
    type=one_of(*TemplateType.values),
    template=TEMPLATE,
    variables=said(array(TEXT), "In the order of their first use"),
    config=OBJECT,
    input_schema=ANY,
    response_schema=ANY,
    sha256=said(TEXT, "Of the content; the same content has the same"),
)

SCHEMAS: dict[str, Schema] = {
    "Prompt": members(
        name=TEXT,
        description=TEXT,
        tags=array(TEXT),
        labels=said(mapping(NUMBER), "Which version each label points at"),
        created_at=TIME,
        created_by=said(TEXT, "Who", examples=["key:ci"]),
    ),
    "ServedVersion": VERSION,
    "Version": extended(VERSION, notes=TEXT, author=TEXT, published_at=TIME),
    "ContractChange": members(code=TEXT, bump=one_of(*Bump), detail=TEXT),
    "Published": members(
        version=NUMBER,
        ordinal=INTEGER,
        ref=TEXT,
        sha256=TEXT,
        bump=said(nullable(one_of(*Bump)), "null when there is no lower version to compare with"),
        contract_changes=array(ref("ContractChange")),
    ),
    "Label": members(
        prompt=TEXT,
        label=TEXT,
        version=NUMBER,
        ordinal=INTEGER,
        ref=TEXT,
        rollout=said(nullable(TEXT), "The active rollout that holds the label"),
        updated_at=TIME,
    ),
    "LabelMove": members(
        from_=said(nullable(TEXT), "null for the move that made the label"),
        to=TEXT,
        reason=TEXT,
        actor=TEXT,
        moved_at=TIME,
    ),
    "Diff": members(
        from_=TEXT,
        to=TEXT,
        template=said(TEXT, "Unified diff; empty when nothing changed"),
        config=said(TEXT, "Unified diff of config and schemas as JSON; empty when nothing changed"),
    ),
    "AuditEntry": members(
        id=INTEGER,
        at=TIME,
        actor=TEXT,
        action=TEXT,
        target=TEXT,
        before=nullable(OBJECT),
        after=nullable(OBJECT),
        reason=TEXT,
        address=said(TEXT, "Of whoever asked; empty outside a request"),
        request_id=TEXT,
    ),
    "Rendered": members(version=NUMBER, ref=TEXT, type=one_of(*TemplateType.values), rendered=TEMPLATE),
}


class IssuedKey(api_keys.KeySerializer):
    """With its text, which no other answer has."""

    key = serializers.CharField()

    class Meta(api_keys.KeySerializer.Meta):
        fields = [*api_keys.KeySerializer.Meta.fields, "key"]


PARAMETERS: dict[str, Schema] = {
    "name": said(TEXT, "Of the prompt", examples=["order-extractor"]),
    "version": said(TEXT, "A semantic version, or an ordinal", examples=["2.3"]),
    "label": said(TEXT, "Such as production", examples=["production"]),
    "key_id": {**INTEGER, "minimum": 0},
}
"""Of addresses."""

PROMPTS = "/api/v1/prompts"
PROMPT = f"{PROMPTS}/{{name}}"
LABEL = f"{PROMPT}/labels/{{label}}"
NO_PROMPT = ("unknown_prompt",)
NO_VERSION = ("unknown_prompt", "unknown_version")
NO_LABEL = ("unknown_prompt", "unknown_label")
ARCHIVED = {410: ("prompt_archived",)}

OPERATIONS: Operations = {
    f"GET {PROMPTS}": Operation("Prompts, newest first", ref("Prompt"), pages=True),
    f"POST {PROMPTS}": Operation(
        "Create a prompt, without versions",
        ref("Prompt"),
        status=201,
        body=api.PromptForm,
        example={"name": "order-extractor", "description": "Orders out of mails", "tags": ["orders"]},
        refusals={409: ("prompt_exists",)},
    ),
    f"GET {PROMPT}": Operation("A prompt", ref("Prompt"), refusals={404: NO_PROMPT}),
    f"GET {PROMPT}/versions": Operation(
        "Its versions, newest first", ref("Version"), pages=True, refusals={404: NO_PROMPT}
    ),
    f"POST {PROMPT}/versions": Operation(
        "Publish a version",
        ref("Published"),
        status=201,
        body=api.VersionForm,
        example={"type": "text", "template": "Extract the order from {{ order_text }}.", "notes": "Shorter"},
        refusals={
            404: NO_PROMPT,
            409: ("version_exists",),
            422: ("bump_too_small",),
            **ARCHIVED,
        },
    ),
    f"GET {PROMPT}/versions/{{version}}": Operation("A version", ref("Version"), refusals={404: NO_VERSION}),
    f"GET {PROMPT}/diff": Operation(
        "What changed from one version to another",
        ref("Diff"),
        query={
            "from": said(TEXT, "A version or an ordinal", required=True, examples=["1.0"]),
            "to": said(TEXT, "A version or an ordinal", required=True, examples=["1.1"]),
        },
        refusals={404: NO_VERSION},
    ),
    f"GET {PROMPT}/labels": Operation("Its labels", ref("Label"), pages=True, refusals={404: NO_PROMPT}),
    f"GET {LABEL}": Operation("Where a label points", ref("Label"), refusals={404: NO_LABEL}),
    f"PUT {LABEL}": Operation(
        "Move a label, or make it",
        ref("Label"),
        body=api.MoveForm,
        example={"version": "1.1", "reason": "Better on long mails"},
        refusals={404: NO_VERSION, 409: ("rollout_active",), **ARCHIVED},
    ),
    f"GET {LABEL}/history": Operation(
        "Its moves, newest first",
        ref("LabelMove"),
        pages=True,
        query={"at": said(TIME, "Only the move that was in force then, or none")},
        refusals={404: NO_LABEL},
    ),
    f"POST {PROMPT}/render": Operation(
        "Render a version with variables",
        ref("Rendered"),
        body=api.RenderForm,
        example={"variables": {"order_text": "two canaries"}, "label": "production"},
        refusals={404: (*NO_VERSION, "unknown_label")},
    ),
    "GET /api/v1/audit": Operation(
        "Who changed what, newest first", ref("AuditEntry"), pages=True, query=api_audit.AuditFilters
    ),
    "GET /api/v1/keys": Operation("API keys, newest first", api_keys.KeySerializer, pages=True),
    "POST /api/v1/keys": Operation(
        "Issue an API key; its text is shown once",
        IssuedKey,
        status=201,
        body=api_keys.NewKey,
        example={"name": "checkout", "scopes": ["read"], "prompt_prefix": "order-"},
        refusals={403: ("beyond_maker",)},
    ),
    "GET /api/v1/keys/{key_id}": Operation("A key", api_keys.KeySerializer, refusals={404: ("unknown_key",)}),
    "DELETE /api/v1/keys/{key_id}": Operation("Revoke a key", status=204, refusals={404: ("unknown_key",)}),
}
