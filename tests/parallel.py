"""Functions run at the same time, each on a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from django.db import connection


def start(function: Callable[[], Any]) -> "Future[Any]":
    """Runs the function in a new thread; `result(timeout)` of the answer raises what the function raised."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)
        finally:
            connection.close()

    threading.Thread(target=run, daemon=True).start()
    return future
