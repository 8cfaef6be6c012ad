"""The HTTP server of `manage.py run_web`, with its settings, around any WSGI callable.

`python -m benchmarks.bare_server MODULE:CALLABLE --port PORT`
"""

import argparse

from config.web_server import web_server

WORKERS = 2


def serve(target: str, port: int, workers: int = WORKERS) -> None:
    """Until SIGTERM."""
    web_server(target, host="127.0.0.1", port=port, workers=workers).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    serve(given.target, given.port)


if __name__ == "__main__":
    main()
