"""Prompts, versions and labels, as docs/reference/openapi.yaml tells of them."""

from dataclasses import replace

from rest_framework import serializers

from common.openapi import (
    ANY,
    BOOLEAN,
    ETAG,
    IF_MATCH,
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
    strict,
)
from registry import api, api_audit, api_drafts, api_files, api_keys
from registry.core.prompt_file import FORMAT
from registry.core.versions import Bump
from registry.models import TemplateType
from registry.services.imports import LabelOutcome

NUMBER = said(TEXT, "Semantic version", examples=["v2.3"])
CONTENT = {"config": OBJECT, "input_schema": ANY, "response_schema": ANY}
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
        archived_at=said(nullable(TIME), "null while it is served"),
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
    "Draft": members(
        type=one_of(*TemplateType.values),
        template=said(ANY, "Not finished, it may be anything"),
        config=ANY,
        input_schema=ANY,
        response_schema=ANY,
        notes=TEXT,
        revision=said(INTEGER, "Grows with every change; send it back as `revision` or If-Match"),
        updated_at=TIME,
        updated_by=TEXT,
    ),
    "PromptFile": strict(
        members(
            {"description": TEXT, "tags": array(TEXT), "labels": said(mapping(TEXT), "Versions by label")},
            format={"const": FORMAT},
            name=TEXT,
            versions=said(array(ref("FileVersion")), "In the order in which they were published"),
        )
    ),
    "FileVersion": strict(
        members(
            {
                **CONTENT,
                "sha256": said(TEXT, "Of the content; must be right where it is there"),
                "ordinal": said(INTEGER, "For people, as are author and published_at: an import gives its own"),
                "author": ANY,
                "published_at": ANY,
            },
            version=NUMBER,
            type=one_of(*TemplateType.values),
            template=TEMPLATE,
            notes=TEXT,
        )
    ),
    "Imported": members(
        prompt=TEXT,
        created=said(BOOLEAN, "Whether the prompt was made now"),
        changed=said(BOOLEAN, "Whether anything is otherwise than before"),
        versions=array(members(version=NUMBER, ordinal=INTEGER, outcome=one_of("published", "unchanged"))),
        labels=mapping(one_of(*LabelOutcome)),
        differs=said(array(one_of("description", "tags")), "What is otherwise here, and was left"),
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
ARCHIVED = {410: ("prompt_archived",)}
NO_PROMPT = {404: ("unknown_prompt",), **ARCHIVED}
NO_VERSION = {404: ("unknown_prompt", "unknown_version"), **ARCHIVED}
NO_LABEL = {404: ("unknown_prompt", "unknown_label"), **ARCHIVED}
NO_DRAFT = {404: ("unknown_prompt", "no_draft"), **ARCHIVED}
REVISION = {400: ("malformed_if_match", "revisions_differ"), 428: ("precondition_required",)}
READ = Operation("A prompt", ref("Prompt"), refusals=NO_PROMPT)
CHANGE = Operation(
    "Describe or tag a prompt otherwise",
    ref("Prompt"),
    body=api.PromptChanges,
    example={"tags": ["orders", "mails"]},
    refusals=NO_PROMPT,
)
OF_IMPORT = "The prompt may also be called import; this is then its address."

OPERATIONS: Operations = {
    f"GET {PROMPTS}": Operation("Prompts, newest first", ref("Prompt"), pages=True, query=api.PromptFilters),
    f"POST {PROMPTS}": Operation(
        "Create a prompt, without versions",
        ref("Prompt"),
        status=201,
        body=api.PromptForm,
        example={"name": "order-extractor", "description": "Orders out of mails", "tags": ["orders"]},
        refusals={409: ("prompt_exists",)},
    ),
    f"POST {PROMPTS}/import": Operation(
        "Bring in a prompt from a file, whole or not at all",
        ref("Imported"),
        query=api_files.ImportQuery,
        body=ref("PromptFile"),
        example={
            "format": FORMAT,
            "name": "mail-sorter",
            "versions": [{"version": "1.0", "type": "text", "template": "Sort {{ mail }}.", "notes": "First"}],
        },
        refusals={409: ("version_differs", "rollout_active"), 422: ("bump_too_small",), **ARCHIVED},
    ),
    f"GET {PROMPTS}/import": replace(READ, description=OF_IMPORT),
    f"PATCH {PROMPTS}/import": replace(CHANGE, description=OF_IMPORT),
    f"GET {PROMPT}": READ,
    f"PATCH {PROMPT}": CHANGE,
    f"POST {PROMPT}/archive": Operation(
        "Take a prompt out of service",
        ref("Prompt"),
        body=api.ReasonForm,
        example={"reason": "Nobody asks for it any more"},
        refusals={**NO_PROMPT, 409: ("rollout_active",)},
    ),
    f"POST {PROMPT}/unarchive": Operation(
        "Serve a prompt again",
        ref("Prompt"),
        body=api.ReasonForm,
        example={"reason": "It was needed after all"},
        refusals={404: ("unknown_prompt",)},
    ),
    f"GET {PROMPT}/export": Operation(
        "The prompt as a file, which import takes", ref("PromptFile"), refusals=NO_PROMPT
    ),
    f"GET {PROMPT}/draft": Operation("Its draft", ref("Draft"), answer_headers=ETAG, refusals=NO_DRAFT),
    f"PUT {PROMPT}/draft": Operation(
        "Put another text in the place of the draft that was read",
        ref("Draft"),
        description="`revision` or If-Match tell which one that was, null or If-None-Match that there was none.",
        body=api_drafts.DraftForm,
        example={"type": "text", "template": "Extract the order from {{ order_text }}.", "revision": 1},
        headers={**IF_MATCH, "If-None-Match": said(TEXT, "* where there was no draft yet")},
        answer_headers=ETAG,
        refusals={**NO_PROMPT, **REVISION, 409: ("stale_draft",)},
    ),
    f"POST {PROMPT}/draft/publish": Operation(
        "Publish the draft as it was read",
        ref("Published"),
        description="`revision` or If-Match tell which one that was.",
        status=201,
        body=api_drafts.PublishForm,
        example={"revision": 1},
        headers=IF_MATCH,
        refusals={**NO_DRAFT, **REVISION, 409: ("stale_draft", "version_exists"), 422: ("bump_too_small",)},
    ),
    f"GET {PROMPT}/versions": Operation(
        "Its versions, newest first", ref("Version"), pages=True, query=api.VersionFilters, refusals=NO_PROMPT
    ),
    f"POST {PROMPT}/versions": Operation(
        "Publish a version",
        ref("Published"),
        status=201,
        body=api.VersionForm,
        example={"type": "text", "template": "Extract the order from {{ order_text }}.", "notes": "Shorter"},
        refusals={**NO_PROMPT, 409: ("version_exists",), 422: ("bump_too_small",)},
    ),
    f"GET {PROMPT}/versions/{{version}}": Operation("A version", ref("Version"), refusals=NO_VERSION),
    f"GET {PROMPT}/diff": Operation(
        "What changed from one version to another",
        ref("Diff"),
        query={
            "from": said(TEXT, "A version or an ordinal", required=True, examples=["1.0"]),
            "to": said(TEXT, "A version or an ordinal", required=True, examples=["1.1"]),
        },
        refusals=NO_VERSION,
    ),
    f"GET {PROMPT}/labels": Operation("Its labels", ref("Label"), pages=True, refusals=NO_PROMPT),
    f"GET {LABEL}": Operation("Where a label points", ref("Label"), answer_headers=ETAG, refusals=NO_LABEL),
    f"PUT {LABEL}": Operation(
        "Move a label, or make it",
        ref("Label"),
        body=api.MoveForm,
        example={"version": "1.1", "reason": "Better on long mails"},
        headers=IF_MATCH,
        answer_headers=ETAG,
        refusals={**NO_VERSION, 400: ("malformed_if_match",), 409: ("rollout_active", "stale_label")},
    ),
    f"GET {LABEL}/history": Operation(
        "Its moves, newest first",
        ref("LabelMove"),
        pages=True,
        query={"at": said(TIME, "Only the move that was in force then, or none")},
        refusals=NO_LABEL,
    ),
    f"POST {PROMPT}/render": Operation(
        "Render a version with variables",
        ref("Rendered"),
        body=api.RenderForm,
        example={"variables": {"order_text": "two canaries"}, "label": "production"},
        refusals={404: ("unknown_prompt", "unknown_version", "unknown_label"), **ARCHIVED},
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
