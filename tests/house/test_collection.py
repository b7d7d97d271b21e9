"""Tests have the same names whenever they are collected: processes that share them out compare their names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_later_collection_finds_the_same_tests(request):
    """In another process, at another time and with another hash seed."""
    names = [item.nodeid for item in request.session.items]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *request.config.args],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=False,
    )
    later = set(result.stdout.splitlines())
    assert names
    assert not [name for name in names if name not in later], result.stdout[-2000:] + result.stderr
