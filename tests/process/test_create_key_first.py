"""A key may be the first thing that anyone makes, even two at once: `create_key` on an empty data folder."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_create_key__empty_data_folder_twice_at_once__both_print_a_key_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "SERINUS_DATA_DIR": str(tmp_path / "var"), "DATABASE_URL": ""}
    command = [sys.executable, "manage.py", "create_key", "me", "--scopes", "read"]

    makers = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [maker.communicate(timeout=60) for maker in makers]

    assert [maker.returncode for maker in makers] == [0, 0], printed
    keys = {out.strip() for out, _ in printed}
    assert len(keys) == 2
    assert all(key.startswith("ser_") and "\n" not in key for key in keys)
