"""What runs on instances stays within Python 3.6, in syntax and library."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ssmssh.bundle import packing, relay, splitting


@pytest.mark.parametrize("module", [splitting, relay], ids=lambda module: module.__name__)
def test_it_stays_within_python_3_6(module: ModuleType) -> None:
    options = ["--no-tips", "--target=3.6-", "--violations", "--eval-annotations"]
    vermin = str(Path(sys.executable).with_name("vermin"))
    found = subprocess.run(
        [vermin, *options, str(module.__file__)], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0, found.stdout


def test_it_imports_the_standard_library_alone() -> None:
    lines = packing.program(22).splitlines()
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names)
