import pytest
from django.db import DatabaseError, transaction

from registry.models import AuditEntry
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry() -> AuditEntry:
    make.prompt()
    return AuditEntry.objects.get()


def test_update__refused_by_the_database(entry: AuditEntry) -> None:
    with pytest.raises(DatabaseError, match="audit_is_append_only"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(actor="user:bob")


def test_delete__refused_by_the_database(entry: AuditEntry) -> None:
    with pytest.raises(DatabaseError, match="audit_is_append_only"), transaction.atomic():
        entry.delete()
