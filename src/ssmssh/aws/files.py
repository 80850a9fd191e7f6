"""What is wrong with AWS's configuration and credentials files: which file, which line, and the kind of fault.

botocore says "Unable to parse config file" for some faults and nothing for others: a file it may not read, or that is
not there though a variable names it, counts as empty, and a section whose name it cannot split is left out. The AWS CLI
goes on then, and so do we as long as nothing is missing. Only when something is, the files are read once more, here, to
say why. Their content, which may be keys, is never repeated.
"""

import codecs
import configparser
import locale
import os
import re
import stat
from pathlib import Path

from botocore.session import Session

from ssmssh import settings
from ssmssh.errors import UsageError
from ssmssh.target import excerpt

_LONGEST_BYTES = 4 * 1024 * 1024
"""Of a file that is looked at: the largest known have some thousand profiles, 200 bytes each."""

_VARIABLES = {"config_file": "AWS_CONFIG_FILE", "credentials_file": "AWS_SHARED_CREDENTIALS_FILE"}
"""The settings that botocore finds the files by, and the variables behind them."""

_CORRECT = "correct that line; the AWS CLI reads the file the same way"

_MARKS = (
    (codecs.BOM_UTF8, "it begins with a byte order mark"),
    (codecs.BOM_UTF16_LE, "it is UTF-16"),
    (codecs.BOM_UTF16_BE, "it is UTF-16"),
)

_KINDS = (
    (configparser.DuplicateSectionError, "the section is there already"),
    (configparser.DuplicateOptionError, "the section has this key already"),
    (configparser.MissingSectionHeaderError, "there is no section yet"),
    (configparser.ParsingError, "this is neither a section nor a key with a value"),
)
"""Of configparser's errors, the special ones first."""

_SECTION = re.compile(r"\[(?P<name>.+)\]")  # as configparser has it
_KEY = re.compile(r"[^\s#;\[][^=:]*[=:]\s*(?P<value>.*)")


def fault_of(path: str) -> UsageError | None:
    """Why the file at `path`, written as botocore takes it, cannot be read; None if it can, or is not there."""
    file = _expanded(path)
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return None  # nor is it read by botocore
        with file.open("rb") as stream:
            data = stream.read(_LONGEST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        return UsageError(f"The AWS file {file} cannot be read: {error.strerror}", "correct its permissions or kind")
    found = _fault(data)
    return UsageError(f"The AWS file {file} cannot be used: {found}", _CORRECT) if found else None


def silent_fault(session: Session) -> UsageError | None:
    """Why something may be missing in the files of `session`, though botocore has not complained; None if it is not."""
    for setting, variable in _VARIABLES.items():
        path = session.get_config_variable(setting)
        if fault := fault_of(path):
            return fault
        if settings.read().get(variable) and path != os.devnull and not _expanded(path).is_file():
            return UsageError(f"{variable} names {path}, which is not a file", f"correct or unset {variable}")
    return None


def reason_in_files(session: Session) -> str:
    """The `silent_fault`, as the end of the sentence that says what is missing; empty if there is none."""
    fault = silent_fault(session)
    return f": {fault.sentence}" if fault else ""


def lost_profile(session: Session, profile: str) -> UsageError | None:
    """Where the section of `profile` is, if there is one by that name in a form that botocore takes for none."""
    file = _expanded(session.get_config_variable("config_file"))
    try:
        text = file.read_bytes().decode(_encoding())
    except (OSError, UnicodeDecodeError):
        return None
    for number, line in enumerate(text.splitlines(), 1):
        section = _SECTION.match(line)
        name = section["name"].removeprefix("profile").strip() if section else ""
        if profile in {name, name.strip("\"'")}:
            return UsageError(
                f"Line {number} of the AWS file {file} is not taken for the profile {excerpt(profile)}",
                f"write {_section_of(profile)}",
            )
    return None


def _section_of(profile: str) -> str:
    """The line that begins the section of `profile`; botocore splits it as a shell does."""
    if profile.isalnum():
        return f"[profile {profile}]"
    return f"[profile '{profile}']" if '"' in profile else f'[profile "{profile}"]'


def _expanded(path: str) -> Path:
    """As botocore does it."""
    return Path(os.path.expanduser(os.path.expandvars(path)))  # noqa: PTH111 - Path's own fails for unknown users


def _encoding() -> str:
    """That of files which are opened without naming one, as configparser does."""
    return locale.getpreferredencoding(do_setlocale=False)


def _fault(data: bytes) -> str | None:
    """The first one: in which line, and of what kind."""
    for mark, kind in _MARKS:
        if data.startswith(mark):
            return f"line 1: {kind}; save it as UTF-8 without one"
    try:
        text = data.decode(_encoding())
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        return f"line {number}: there is a byte that is not {error.encoding}"
    try:
        configparser.RawConfigParser().read_string(text)
    except configparser.Error as error:
        kind = next((kind for cls, kind in _KINDS if isinstance(error, cls)), "it cannot be parsed")
        return f"line {_line_of(error)}: {kind}"
    return _fault_of_nesting(text)


def _line_of(error: configparser.Error) -> int:
    number = getattr(error, "lineno", None)
    return number if isinstance(number, int) else error.errors[0][0]  # type: ignore[attr-defined]  # of ParsingError


def _fault_of_nesting(text: str) -> str | None:
    """A line that botocore takes for another level than its author did."""
    section, is_nested = "", False
    for number, line in enumerate(text.splitlines(), 1):
        if found := _SECTION.match(line):
            section, is_nested = found["name"], False
        elif key := _KEY.match(line):
            is_nested = not key["value"]
            if key["value"] and section.startswith("services"):
                return f"line {number}: what belongs to a service must be indented"
        elif is_nested and line[:1].isspace() and line.strip() and "=" not in line and line.strip()[0] not in "#;":
            return f"line {number}: an indented line has the form KEY = VALUE"
    return None
