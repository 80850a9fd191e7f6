"""Commands of ``ssmssh`` that are called in this process: what they print, and what they end with."""

import contextlib
import functools
import io
from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest
from botocore.loaders import JSONFileLoader

from ssmssh.cli import cli
from ssmssh.errors import ExitStatus, SsmsshError


class Called(NamedTuple):
    """What a command has printed; an error of ours is on `errors`, as the program would write it."""

    output: str
    errors: str


def call(*words: str, status: int = 0) -> Called:
    """Call a command; fails unless it ends with `status`."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            ended = cli.main(list(words), prog_name="ssmssh", standalone_mode=False)
        except SsmsshError as error:
            errors.write(f"ssmssh: {error}\n")
            ended = error.exit_status
        except click.UsageError as error:
            errors.write(f"ssmssh: {error.format_message()}\n")
            ended = ExitStatus.USAGE
    assert (ended or 0) == status, errors.getvalue()
    return Called(output.getvalue(), errors.getvalue())


@contextlib.contextmanager
def data_read_once() -> Iterator[None]:
    """Have all commands of the while share what they read of botocore's files, as the calls of one process do."""
    with pytest.MonkeyPatch.context() as patch:
        load = functools.cache(JSONFileLoader().load_file)
        patch.setattr(JSONFileLoader, "load_file", lambda _loader, path: load(path))
        yield
