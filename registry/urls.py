"""The registry's addresses."""

from django.urls import path

from registry import api, api_audit, api_drafts, api_files, api_keys

PROMPT = "api/v1/prompts/<str:name>"

urlpatterns = [
    path("api/v1/prompts", api.PromptList.as_view()),
    path("api/v1/prompts/import", api_files.PromptImport.as_view(), {"name": "import"}),
    path(PROMPT, api.PromptDetail.as_view()),
    path(f"{PROMPT}/export", api_files.PromptExport.as_view()),
    path(f"{PROMPT}/archive", api.PromptArchive.as_view()),
    path(f"{PROMPT}/unarchive", api.PromptUnarchive.as_view()),
    path(f"{PROMPT}/draft", api_drafts.DraftDetail.as_view()),
    path(f"{PROMPT}/draft/publish", api_drafts.DraftPublish.as_view()),
    path(f"{PROMPT}/versions", api.VersionList.as_view()),
    path(f"{PROMPT}/versions/<str:version>", api.VersionDetail.as_view()),
    path(f"{PROMPT}/diff", api.VersionDiff.as_view()),
    path(f"{PROMPT}/labels", api.LabelList.as_view()),
    path(f"{PROMPT}/labels/<str:label>", api.LabelDetail.as_view()),
    path(f"{PROMPT}/labels/<str:label>/history", api.LabelHistory.as_view()),
    path(f"{PROMPT}/render", api.Render.as_view()),
    path("api/v1/audit", api_audit.AuditTrail.as_view()),
    path("api/v1/keys", api_keys.KeyList.as_view()),
    path("api/v1/keys/<int:key_id>", api_keys.KeyDetail.as_view()),
]
