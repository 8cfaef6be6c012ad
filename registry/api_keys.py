"""API keys over REST, for keys with the scope `admin`. A key's text is shown once, in the answer that made it."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.rest import CursorPages, StrictSerializer, read_body, read_query
from registry import services
from registry.idempotency import idempotent
from registry.keys import ADMIN_ONLY, grant_behind
from registry.models import ApiKey
from registry.selectors import find_key


class NewKey(StrictSerializer):
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(child=serializers.CharField(max_length=20), max_length=10)
    prompt_prefix = serializers.CharField(max_length=128, allow_blank=True, default="")
    labels = serializers.ListField(child=serializers.CharField(max_length=64), max_length=50, default=list)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = [
            *("id", "name", "prefix", "scopes", "prompt_prefix", "labels"),
            *("created_at", "created_by", "expires_at", "last_used_at", "revoked_at"),
        ]


class KeyList(generics.ListAPIView[ApiKey]):
    """GET: all keys, the newest first, the revoked too. POST: a new one."""

    scopes = ADMIN_ONLY
    serializer_class = KeySerializer

    def get_queryset(self) -> QuerySet[ApiKey]:
        read_query(StrictSerializer, self.request, pages=CursorPages)
        return ApiKey.objects.all()

    @idempotent(shown_once="key")
    def post(self, request: Request) -> Response:
        new = read_body(NewKey, request)
        maker = grant_behind(request)
        key, text = services.issue_key(**new, maker=maker, actor=maker.actor)
        answer: dict[str, Any] = {**KeySerializer(key).data, "key": text}
        return Response(answer, status=201, headers={"Location": f"/api/v1/keys/{key.pk}"})


class KeyDetail(APIView):
    """GET: what is known of the key. DELETE: revoke it; it stays in the list."""

    scopes = ADMIN_ONLY

    def get(self, request: Request, key_id: int) -> Response:
        return Response(KeySerializer(find_key(key_id)).data)

    def delete(self, request: Request, key_id: int) -> Response:
        services.revoke_key(key=find_key(key_id), actor=grant_behind(request).actor)
        return Response(status=204)
