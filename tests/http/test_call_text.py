"""Who may read the texts of a call: keys of the scope `admin`, and people with the permission."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from common.clock import now
from observability.core.dialects import WANTED
from observability.core.otlp import decode_protobuf
from observability.ingest import writer
from observability.models import Call, CallText, KeptBecause
from tests import make, traces

pytestmark = pytest.mark.django_db

ADDRESS = f"/api/v1/calls/{traces.TRACE_ID.hex()}/{traces.SPAN_ID.hex()}/text"


@pytest.fixture
def call() -> Call:
    writer.store(decode_protobuf(traces.body(traces.span()), WANTED).spans)
    return Call.objects.get()


@pytest.fixture
def text(call: Call) -> CallText:
    return CallText.objects.create(
        call=call,
        input_text="What is <b>new</b>?",
        input_sha256=b"\1" * 32,
        kept_because=KeptBecause.ERROR,
        stored_at=now(),
    )


def request(key: str, address: str = ADDRESS, method: str = "GET") -> Any:
    return Client().generic(method, address, headers={"Authorization": f"Bearer {key}"})


def test_text__admin_key__all_that_is_stored(text: CallText) -> None:
    response = request(make.key("admin"))

    assert response.status_code == 200
    assert response.json() == {
        "trace_id": traces.TRACE_ID.hex(),
        "span_id": traces.SPAN_ID.hex(),
        "input_text": "What is <b>new</b>?",
        "output_text": None,
        "input_sha256": "01" * 32,
        "output_sha256": None,
        "kept_because": "error",
        "stored_at": text.stored_at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize("scope", ["read", "write", "ingest"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_text__other_key__forbidden(text: CallText, scope: str, method: str) -> None:
    assert request(make.key(scope), method=method).status_code == 403


def test_text__no_key__refused(text: CallText) -> None:
    assert Client().get(ADDRESS).status_code == 401


def test_text__nothing_stored__not_found(call: Call) -> None:
    assert request(make.key("admin")).json()["code"] == "text_not_found"


@pytest.mark.parametrize("ids", ["00/00", "zz/zz", "ä/ö", "0/0"])
def test_text__no_such_call__not_found(text: CallText, ids: str) -> None:
    assert request(make.key("admin"), f"/api/v1/calls/{ids}/text").status_code == 404


def test_calls__list__holds_no_text(text: CallText) -> None:
    assert "new" not in request(make.key("read"), "/api/v1/calls").content.decode()


@pytest.mark.parametrize(("permissions", "shown"), [({"view_call"}, False), ({"view_call", "view_calltext"}, True)])
def test_admin__page_of_a_call__texts_for_people_with_the_permission(
    text: CallText, client: Client, permissions: set[str], shown: bool
) -> None:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)

    page = client.get(f"/admin/observability/call/{text.pk}/change/")

    assert page.status_code == 200
    assert ("What is &lt;b&gt;new&lt;/b&gt;?" in page.content.decode()) is shown


def test_text__unknown_parameter__refused_by_name(text: CallText) -> None:
    response = request(make.key("admin"), ADDRESS + "?part=input")

    assert response.status_code == 422
    assert response.json()["detail"] == "part: unknown field; expected none"
