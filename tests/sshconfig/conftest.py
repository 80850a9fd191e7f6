"""A config of its own for each test."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.sshconfig.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def short_home() -> Iterator[Home]:
    """One whose path leaves room for the names of sockets."""
    with TemporaryDirectory(prefix="h") as directory:
        yield Home(Path(directory))
