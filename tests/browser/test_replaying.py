"""A receiver refused what it was sent: the operator hears of it on the status page, and sends it again."""

from playwright.sync_api import expect
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from werkzeug import Request, Response

from tests.browser.instance import OPERATOR, Instance
from tests.browser.windows import Windows
from tests.process.server import wait_until

TOLD_WITHIN_S = 10
GONE = 410
"""Disables the webhook at once, and what it was sent is dead."""


class Receiver:
    """Remembers what it received, and answers as it is told."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/hook")
        self.status = GONE
        self.received: list[Request] = []
        server.expect_request("/hook").respond_with_handler(self._receive)

    def _receive(self, request: Request) -> Response:
        request.get_data()
        self.received.append(request)
        return Response(status=self.status)


def test_dead_delivery__replayed_by_the_operator__arrives_signed(
    serinus: Instance, windows: Windows, httpserver: HTTPServer
) -> None:
    receiver = Receiver(httpserver)
    webhook = {"url": receiver.url, "events": ["rollout.cancelled"], "description": "the warehouse"}
    hook = serinus.call("POST", "/api/v1/webhooks", webhook)
    rollout = serinus.roll_out("told")
    serinus.call("POST", f"/api/v1/rollouts/{rollout}/cancel", {"reason": "not today"})
    wait_until(lambda: receiver.received, TOLD_WITHIN_S)
    page = windows.open(OPERATOR)

    page.goto("/")
    page.get_by_role("link", name="See why and replay").click()
    page.get_by_role("row").filter(has_text=receiver.url).get_by_role("link", name="rollout.cancelled").click()
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_role("link", name="Enable").click()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_text("is enabled.")).to_be_visible()
    receiver.status = 204  # it is well again
    page.get_by_role("link", name="rollout.cancelled").click()
    page.get_by_role("link", name="Replay").click()
    page.get_by_role("button", name="Replay").click()

    wait_until(lambda: len(receiver.received) == 2, TOLD_WITHIN_S)
    first, second = receiver.received
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    told = Webhook(hook["secret"]).verify(second.get_data(), dict(second.headers))
    assert told["data"]["rollout"]["id"] == rollout
    page.goto(f"/rollouts/{rollout}")
    expect(page.get_by_role("region", name="Webhook deliveries")).to_contain_text("Delivered")
    serinus.call("DELETE", f"/api/v1/webhooks/{hook['id']}")
