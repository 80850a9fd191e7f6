"""``ssmssh doctor``: why it does not work, and what to do."""

import json
import os
import platform
from importlib import metadata
from pathlib import Path

import click

from ssmssh import __version__
from ssmssh.commands import _config
from ssmssh.commands._examined import Findings
from ssmssh.commands._options import caller_options
from ssmssh.commands._target import understand_agreeing
from ssmssh.doctor.diagnosis import causes
from ssmssh.doctor.examination import Asked, Examination
from ssmssh.doctor.examining import examine
from ssmssh.doctor.registry import chosen
from ssmssh.doctor.summary import report, summarize
from ssmssh.errors import ExitStatus, FileError, UsageError
from ssmssh.sshconfig.diff import visible
from ssmssh.sshconfig.verify import ending_with_block

LOCAL_SECONDS = 5.0
"""For all that needs no target: what a person waits for without a thought."""

TARGET_SECONDS = 10.0
"""The same with one: as long as the most impatient client gives a connection."""

REMOTE_SECONDS = 60.0
"""The same with what runs on the instance: an agent looks for commands about every ten seconds when it is idle."""

_EXAMPLES = """\b
Examples:
  ssmssh doctor
  ssmssh doctor i-0123456789abcdef0 --profile prod
  ssmssh doctor --remote web-1
  ssmssh doctor i-0123456789abcdef0 --report ticket.txt

The second is for a machine that cannot be reached, the third looks at one that can, from the inside; the fourth writes
a file that names no person, no machine and no account.
"""


@click.command("doctor", epilog=_EXAMPLES)
@caller_options
@click.option("--port", type=click.IntRange(1, 65535), help="Of the SSH server, instead of what ssh has.")
@click.option("--user", metavar="USER", help="User to log in as.")
@click.option("--endpoint-url", metavar="URL", help="The ssm API, instead of AWS's.")
@click.option("--stream-endpoint-url", metavar="URL", help="The ssmmessages service, instead of AWS's.")
@click.option("--remote", is_flag=True, help="Look on the instance, too; nothing else runs anything there.")
@click.option("--json", "as_json", is_flag=True, help="One object.")
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a file for a ticket, without names, addresses, ids and paths.",
)
@click.option("--full", is_flag=True, help="Have what was seen in that file, too.")
@click.option("--yes", "-y", is_flag=True, help="Write it without asking.")
@click.argument("target", required=False)
def doctor(
    *,
    target: str | None,
    profile: str | None,
    region: str | None,
    port: int | None,
    user: str | None,
    endpoint_url: str | None,
    stream_endpoint_url: str | None,
    remote: bool,
    as_json: bool,
    report_file: Path | None,
    full: bool,
    yes: bool,
) -> int:
    """Find out why it does not work, on this computer and on the way to TARGET, and say what to do.

    Each thing that is looked at is told as soon as it is known. The last line is the cause, with what mends it; of
    several causes the one to mend first comes first. Nothing is changed anywhere.
    Exits with 1 if something has failed.
    """
    if target is not None:
        understand_agreeing(target, profile=profile, region=region)
    _check(report_file, is_target=target is not None, is_remote=remote, is_full=full, is_agreed=yes)
    asked = Asked(target, profile, region, endpoint_url, stream_endpoint_url, port, user, remote)
    checks = chosen(with_target=target is not None, is_remote=remote)
    seconds = REMOTE_SECONDS if remote else TARGET_SECONDS if target else LOCAL_SECONDS
    findings = Findings(checks, tells=not as_json)
    with ending_with_block():
        for result in examine(Examination(asked), checks, seconds=seconds):
            findings.add(result)
    findings.conclude()
    summary = summarize(findings.results, checks)
    if as_json:
        click.echo(json.dumps({"version": __version__, "target": target, **summary}, indent=2))
    if report_file is not None:
        _write(report_file, report(summary, _versions(), is_full=full), is_agreed=yes)
    return ExitStatus.UNEXPECTED if causes(findings.results, checks) else ExitStatus.DONE


def _check(report_file: Path | None, *, is_target: bool, is_remote: bool, is_full: bool, is_agreed: bool) -> None:
    """Refuse what makes no sense, before anything is looked at."""
    if is_remote and not is_target:
        raise UsageError("--remote is for a TARGET, and none is given", "run: ssmssh doctor --remote TARGET")
    if report_file is None and (is_full or is_agreed):
        raise UsageError("--full and --yes are for --report", "add --report FILE")
    if report_file is not None and os.path.lexists(report_file):
        raise FileError(f"{report_file} is there already; nothing was looked at", "give --report another name")
    if report_file is not None and not is_agreed and not _config.is_terminal():
        raise UsageError("nobody can be asked whether to write the report", "add --yes")


def _versions() -> dict[str, str]:
    return {
        "ssmssh": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "botocore": metadata.version("botocore"),
        "openssl": __import__("ssl").OPENSSL_VERSION,
    }


def _write(path: Path, text: str, *, is_agreed: bool) -> None:
    click.echo(visible(f"What {path} would hold:"), err=True)
    for line in text.splitlines():
        click.echo(visible(f"  {line}"), err=True)
    if not is_agreed:
        with _config.asking():
            if not click.confirm("Write it?", default=True, err=True):
                click.echo("Nothing was written.", err=True)
                return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileError(f"{path} is there already", "give --report another name") from None
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    click.echo(visible(f"Written: {path}"), err=True)
