"""One server for all pages whose commands are typed into a shell; its tests stay together: a start takes seconds."""

from collections.abc import Iterator

import pytest

from tests import migrated
from tests.process.server import HOST, Server, serving


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As the tutorial starts it: webhooks may go to this machine."""
    folder = migrated.installation(tmp_path_factory.mktemp("docs") / "data")
    with serving(folder, SERINUS_WEBHOOK_ALLOW=HOST) as server:
        yield server
