"""What a web process loads when it starts."""

import subprocess
import sys

LOADED = """
import sys, django
django.setup()
import config.urls
print(sorted({"numpy", "scipy"} & set(sys.modules)))
"""


def test_web_process__started__has_not_loaded_the_statistics() -> None:
    """They cost a quarter of a second and 26 MB, and only who asks for a forecast needs them."""
    found = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
