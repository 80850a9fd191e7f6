"""What `import ssmssh` costs and gives."""

import inspect
import subprocess
import sys
import typing

import pytest

import ssmssh


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_it_loads_nothing_else() -> None:
    loaded = run(
        "import sys; before = {*sys.modules}; import ssmssh; dir(ssmssh); ssmssh.__version__; ssmssh.__all__\n"
        "print(sorted({*sys.modules} - before))"
    )
    assert loaded.strip() == "['ssmssh']"


def test_the_errors_load_little_else() -> None:
    """A program catches them that may never connect."""
    loaded = run(
        "import sys; import ssmssh; ssmssh.errors.TargetError\n"
        "print([name for name in sys.modules if name.startswith(('ssmssh', 'botocore', 'socket', 'ssl'))])"
    )
    assert loaded.strip() == "['ssmssh', 'ssmssh.errors']"


def test_connecting_loads_no_program_of_ours_and_nothing_heavy() -> None:
    loaded = set(run("import sys; import ssmssh; ssmssh.connect; print(*sys.modules)").split())
    heavy = {"asyncio", "boto3", "click", "cryptography", "paramiko", "rich", "sshconf"}
    ours = {"ssmssh.proxy", "ssmssh.cli", "ssmssh.lifecycle", "ssmssh.connectionlog", "ssmssh.sandbox"}
    assert not loaded & (heavy | ours)


def test_the_public_names() -> None:
    assert set(ssmssh.__all__) == {
        "Forward",
        "OpenSession",
        "SessionSocket",
        "__version__",
        "connect",
        "errors",
        "forward",
        "open_session",
        "run",
    }
    assert set(ssmssh.__all__) <= set(dir(ssmssh))
    for name in ssmssh.__all__:
        assert getattr(ssmssh, name) is getattr(ssmssh, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ssmssh.nothing  # noqa: B018


@pytest.mark.parametrize("name", ["connect", "open_session"])
def test_both_take_the_same_and_all_of_it_is_typed(name: str) -> None:
    function = getattr(ssmssh, name)
    assert (
        str(inspect.signature(function)).partition("->")[0]
        == (str(inspect.signature(ssmssh.connect)).partition("->")[0])
    )
    assert set(typing.get_type_hints(function)) == {*inspect.signature(function).parameters, "return"}
    for parameter in inspect.signature(ssmssh.connect).parameters:
        assert f" {parameter}: " in (ssmssh.connect.__doc__ or "")
