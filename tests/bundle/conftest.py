"""A sandbox whose agents keep their pace, and users of several sessions in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests import leaks
from tests.bundle.stage import Stage
from tests.complaints import Complaints


@pytest.fixture(scope="module")
def box(temporary_directory: Path, complaints: Complaints) -> Iterator[tuple[Sandbox, int]]:
    """With the real agent's pacing, which is what it is about."""
    with leaks.watched(Sandbox(seed=1, gateways=2), temporary_directory) as box:
        yield box, box.open_ssh_port()


@pytest.fixture
def stage(box: tuple[Sandbox, int], tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(box[0], tmp_path, box[1])
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def warm(box: tuple[Sandbox, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One with a relay that lives, for what does not look at how it comes about."""
    stage = Stage(box[0], tmp_path_factory.mktemp("warm"), box[1])
    stage.run("true")
    yield stage
    stage.close()
