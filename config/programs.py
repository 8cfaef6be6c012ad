"""The processes that make up Serinus, and the environment in which they come to the same settings."""

import os

from django.conf import settings

from config.listening import Address
from config.supervisor import Program

# Whoever starts these has run the checks.
BACKGROUND = (
    Program("cluster", ("qcluster", "--skip-checks")),
    Program("evaluator", ("run_evaluator", "--skip-checks")),
    Program("sender", ("run_sender", "--skip-checks")),
    Program("judges", ("run_judges", "--skip-checks")),
)


def web(address: Address, workers: int) -> Program:
    listening = ("--host", str(address.ip), "--port", str(address.port), "--workers", str(workers))
    return Program("web", ("run_web", "--skip-checks", *listening), at_once=True)


def environment() -> dict[str, str]:
    """In which the other processes come to the same settings as this one, and find the same code."""
    settled = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")])),
        "SERINUS_ALLOWED_HOSTS": ",".join(settings.ALLOWED_HOSTS),
        "SERINUS_BASE_URL": settings.BASE_URL,
    }
    overruled = {f"{name}_FILE" for name in settled}
    return {name: value for name, value in os.environ.items() if name not in overruled} | settled
