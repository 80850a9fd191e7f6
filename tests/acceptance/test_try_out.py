"""The first thing a newcomer does: the try-out line of the README, in a clone, with pip and a fresh environment."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_the_line_of_the_readme_in_a_fresh_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    done = subprocess.run(
        line, shell=True, cwd=clone, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    uname = subprocess.run(["uname", "-a"], capture_output=True, text=True, check=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == uname.stdout
