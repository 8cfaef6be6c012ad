import pytest
from django.db import DatabaseError, transaction

from common.clock import now
from registry.models import Prompt, PromptVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PromptVersion:
    prompt = Prompt.objects.create(name="order-extractor", created_at=now(), created_by="user:anna")
    return PromptVersion.objects.create(
        prompt=prompt,
        ordinal=1,
        major=1,
        minor=0,
        patch=0,
        template="Extract {{ order }}",
        sha256="0" * 64,
        published_at=now(),
        published_by="user:anna",
    )


def test_update__refused_by_the_database(version: PromptVersion) -> None:
    with pytest.raises(DatabaseError, match="version_is_immutable"), transaction.atomic():
        PromptVersion.objects.filter(pk=version.pk).update(template="other")


def test_delete__refused_by_the_database(version: PromptVersion) -> None:
    with pytest.raises(DatabaseError, match="version_is_immutable"), transaction.atomic():
        PromptVersion.objects.filter(pk=version.pk)._raw_delete("default")
