"""What the documents say exists: links, modules, commands, options, exit statuses; and the try-out runs."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ssmssh import cli, settings
from ssmssh.errors import ExitStatus
from ssmssh.sandbox.faults import FAULT_TYPES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")])
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
    table = re.findall(r"^\| \d \| ([^|]*) \|", text_of(ROOT / "docs" / "architecture.md"), flags=re.MULTILINE)
    modules = [name.strip("/") for row in table for name in re.findall(r"`([\w/]+)`", row)]
    assert modules
    source = ROOT / "src" / "ssmssh"
    assert [name for name in modules if not (source / name).is_dir() and not (source / f"{name}.py").is_file()] == []


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
