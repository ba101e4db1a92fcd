"""Fixtures for all tests: shared sample data and services, skipped with a reason where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, print_blob=True)
"""What `make test` draws is the same every time: red means the change. Without it, and long, draws are new ones."""

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real sample data next to the checkout (or QUANHENG_SHARED)."""
    folder = Path(os.environ.get("QUANHENG_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"real sample data not found at {folder}; set QUANHENG_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def postgres_dsn() -> str:
    """DSN of a PostgreSQL server that tests may create schemas in."""
    dsn = os.environ.get("QUANHENG_TEST_POSTGRES", "")
    if not dsn:
        pytest.skip("QUANHENG_TEST_POSTGRES is not set; set it to a PostgreSQL DSN to run these tests")
    return dsn
