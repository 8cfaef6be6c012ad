"""`serinus bundle`: write a signed file of the ruleset for an image, or check one."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from serinus import bundle
from serinus.asking import Server
from serinus.errors import Error
from serinus.options import key_of, labels_of, secret, secret_in, url_of
from serinus.sealed import Kept


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 with the reason on standard error."""
    given = _parser().parse_args(arguments)
    try:
        print(_check(given) if given.check else _write(given))
    except (Error, OSError) as error:
        print(f"serinus bundle: {error}", file=sys.stderr)
        return 1
    return 0


def _write(given: argparse.Namespace) -> str:
    key = _key(given)
    kept = bundle.fetch(Server(url_of(given.url)), key, labels_of(given.label))
    bundle.write(given.out, kept, key=_signing_key(given) or key)
    return f"{given.out}: {_told(kept)}"


def _check(given: argparse.Namespace) -> str:
    return f"{given.check}: {_told(bundle.load(given.check, key=_signing_key(given) or _key(given)))}"


def _told(kept: Kept) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(kept.fetched_at))
    ruleset = kept.ruleset
    return f"{len(ruleset.names)} prompts of generation {ruleset.generation}, fetched {at}, digest {ruleset.digest}"


def _key(given: argparse.Namespace) -> str:
    return key_of(secret_in(given.key_file, name="--key-file") if given.key_file else given.key)


def _signing_key(given: argparse.Namespace) -> str:
    return given.signing_key or secret("SERINUS_BUNDLE_KEY")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serinus", description="The command line of the Serinus SDK.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    made = commands.add_parser("bundle", help=__doc__, description=__doc__)
    todo = made.add_mutually_exclusive_group(required=True)
    todo.add_argument("--out", type=Path, metavar="FILE", help="write the ruleset that the server has now to FILE")
    todo.add_argument("--check", type=Path, metavar="FILE", help="check the signature of FILE and tell what is in it")
    made.add_argument("--url", help="of the server; default SERINUS_URL")
    keys = made.add_mutually_exclusive_group()
    keys.add_argument("--key", help="API key; default SERINUS_KEY, or the file that SERINUS_KEY_FILE names")
    keys.add_argument("--key-file", type=Path, metavar="FILE", help="a file with the API key")
    made.add_argument("--label", action="append", help="only this label; may be repeated; default all")
    made.add_argument("--signing-key", help="to sign or check with; default SERINUS_BUNDLE_KEY, else the API key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
