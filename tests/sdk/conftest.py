from collections.abc import Iterator

import pytest

from tests.sdk.server import ReportServer, report_server


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with report_server() as running:
        yield running
