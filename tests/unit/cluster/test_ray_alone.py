"""The tests of Ray, in a process of its own: its client does not always answer in one where much else was loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("test_on_ray.py")


def run_alone(marked: str) -> None:
    command = [sys.executable, "-m", "pytest", "-m", marked, str(TESTS)]
    environment = {**os.environ, "QUANHENG_TEST_RAY": "alone"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_tests_of_ray():
    pytest.importorskip("ray")
    run_alone("not long")


@pytest.mark.long
def test_the_long_tests_of_ray():
    pytest.importorskip("ray")
    run_alone("long")
