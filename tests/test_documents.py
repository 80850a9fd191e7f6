"""What the documents say exists: links, modules, commands, options, exit statuses; and the try-out runs."""

import contextlib
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import click
import pytest

from ssmssh import cli, settings
from ssmssh.errors import ExitStatus
from ssmssh.protocol import expectation, message, payloads
from ssmssh.protocol.events import DataReceived
from ssmssh.sandbox.faults import FAULT_TYPES
from ssmssh.session import sides
from ssmssh.session.sides import stdio
from ssmssh.session.streams import OutputPump, Wakeup

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_there_are_documents() -> None:
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "architecture.md"} <= {path.name for path in DOCUMENTS}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(document))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`((?:src|tests|docs|examples|benchmarks)/[\w./-]*)`", text_of(document))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_every_command_is_in_the_readme_and_exists() -> None:
    named = set(re.findall(r"`ssmssh ([a-z][a-z-]+)", README))
    assert named == set(cli.COMMANDS)
    for name in cli.COMMANDS:
        assert cli.cli.get_command(click.Context(cli.cli), name) is not None


def test_options_in_the_documents_exist() -> None:
    known = {"--version", "--help"}
    for name in cli.COMMANDS:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        for each in (command, *(command.commands.values() if isinstance(command, click.Group) else ())):
            for parameter in each.params:
                known.update(parameter.opts, parameter.secondary_opts)
    usage = subprocess.run(
        [sys.executable, "-c", "from ssmssh.proxy import parse_arguments; parse_arguments(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known.update(re.findall(r"--[a-z][a-z-]+", usage))
    named = set(re.findall(r"`(?:ssmssh[\w -]*)?(--[a-z][a-z-]*[a-z])(?![a-z-])", "".join(map(text_of, DOCUMENTS))))
    assert named
    assert named <= known


def test_exit_statuses() -> None:
    rows = re.findall(r"^\| (\d+) \| ", README, flags=re.MULTILINE)
    assert [int(row) for row in rows] == sorted(ExitStatus)


def test_modules_of_the_architecture_exist() -> None:
    table = re.findall(r"^\| \db? \| ([^|]*) \|", text_of(ROOT / "docs" / "architecture.md"), flags=re.MULTILINE)
    modules = [name.strip("/") for row in table for name in re.findall(r"`([\w/]+)`", row)]
    assert modules
    source = ROOT / "src" / "ssmssh"
    assert [name for name in modules if not (source / name).is_dir() and not (source / f"{name}.py").is_file()] == []


def test_every_module_that_the_architecture_names_exists() -> None:
    named = set(re.findall(r"`((?:session|protocol|aws|websocket|network|nodes)\.[a-z.]+)`", ARCHITECTURE))
    assert len(named) > 20
    missing = [name for name in sorted(named) if importlib.util.find_spec(f"ssmssh.{name}") is None]
    assert not missing


def test_the_floors_of_the_architecture_are_those_that_imports_are_held_to() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [each["layers"] for each in contracts if each["name"] == "A module imports only from lower floors"]
    order = {name: number for number, layer in enumerate(layers) for name in layer.split(" | ")}
    rows = re.findall(r"^\| (\d)b? \| ([^|]*) \|", ARCHITECTURE, flags=re.MULTILINE)
    floors = [(int(floor), order[name.strip("/")]) for floor, row in rows for name in re.findall(r"`([\w/]+)`", row)]
    assert len(floors) > 15
    above = [(one, other) for one in floors for other in floors if one[0] > other[0] and one[1] >= other[1]]
    assert not above


def test_the_sketches_of_sides_are_made_of_what_there_is() -> None:
    """They run, and answer what a session asks, under the names by which it asks."""
    asked = {name for name in vars(sides.LocalSide) if not name.startswith("_")}
    blocks = re.findall(r"^```python\n(.*?)^```$", ARCHITECTURE, flags=re.MULTILINE | re.DOTALL)
    known = {**vars(sides), **vars(stdio), **vars(expectation), **vars(message), **vars(payloads)}
    for block in blocks:
        exec(block, known)
        (name,) = re.findall(r"^class (\w+)", block, flags=re.MULTILINE)
        own = {each for each in vars(known[name]) if not each.startswith("_")}
        assert own - {"status"} <= asked, name
        assert len(block.splitlines()) <= 30
    assert {"CommandSide", "TerminalSide"} <= set(known)


def test_the_command_of_the_sketch_tells_outputs_and_status_apart() -> None:
    known = {**vars(sides), **vars(stdio), **vars(expectation), **vars(message), **vars(payloads)}
    (block,) = [
        each for each in re.findall(r"```python\n(.*?)```", ARCHITECTURE, re.DOTALL) if "class CommandSide" in each
    ]
    exec(block, known)
    wakeup = Wakeup()
    with contextlib.closing(wakeup), tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        pumps = [OutputPump(file.fileno(), wakeup) for file in (out, errors)]
        side = known["CommandSide"](None, *pumps, lambda: False)
        kinds = {
            message.PayloadType.OUTPUT: b"o",
            message.PayloadType.STD_ERR: b"err",
            message.PayloadType.EXIT_CODE: b"7",
        }
        side.received([DataReceived(payload, kind) for kind, payload in kinds.items()])
        assert [pump.queued_bytes for pump in pumps] == [1, 3]
        assert side.status == 7


def test_times_in_the_architecture_are_those_of_the_code() -> None:
    told = re.findall(r"([\d.]+) s \(`([\w.]+)\.([A-Z_]+)`\)", text_of(ROOT / "docs" / "architecture.md"))
    assert len(told) > 10
    wrong = [
        f"{module}.{name}: {number}"
        for number, module, name in told
        if getattr(importlib.import_module(f"ssmssh.{module}"), name) != float(number)
    ]
    assert not wrong


def test_the_document_that_the_readme_names_is_the_default() -> None:
    assert f"`{settings.DEFAULT_DOCUMENT}`" in README


def test_the_try_out_of_the_readme() -> None:
    (line,) = re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)
    *_, command = line.split(" && ")
    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/ssmssh"
    done = subprocess.run(
        [sys.executable, "-m", "ssmssh", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    uname = subprocess.run(["uname", "-a"], capture_output=True, text=True, check=True)
    assert done.stdout == uname.stdout


def test_every_fault_of_the_sandbox_is_documented() -> None:
    _, _, tables = text_of(ROOT / "docs" / "sandbox.md").partition("\n## Which there are\n")
    named = set(re.findall(r"^\| `([a-z-]+)[`:]", tables, re.MULTILINE))
    assert named == set(FAULT_TYPES)
