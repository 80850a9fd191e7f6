"""This process, as a program in a sandbox."""

import pytest

from ssmssh.sandbox import Sandbox


def inside(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process be in the sandbox."""
    for name, value in box.environment_changes.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
