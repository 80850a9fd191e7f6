"""``ssmssh document``: the session documents of an account and region, and its Session Manager preferences."""

import json
import sys
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from ssmssh.aws.client import AwsClient
from ssmssh.aws.documents import (
    accounts_shared_with,
    create_document,
    describe_document,
    document_content,
    list_documents,
)
from ssmssh.aws.pages import Item, Pager
from ssmssh.commands._config import asking, is_terminal
from ssmssh.commands._options import caller_options, with_options
from ssmssh.commands._places import client_of
from ssmssh.documents import making, schema
from ssmssh.documents.preferences import command_to_change, explain
from ssmssh.documents.schema import PREFERENCES, Content
from ssmssh.documents.uses import uses_of
from ssmssh.errors import ExitStatus, FileError, SsmsshError, UsageError
from ssmssh.forwarding.specs import parse_local
from ssmssh.sshconfig.diff import unified_diff, visible
from ssmssh.target import excerpt

_EXAMPLES = """\b
Examples:
  ssmssh document list
  ssmssh document show AWS-StartSSHSession
  ssmssh document create ssh-2222 --port 2222
  ssmssh document create orders-db --forward db.internal:5432
  ssmssh document create docker-ps --command 'docker ps' --yes
  ssmssh document preferences
"""

_AWS = "Amazon"
"""Owner of AWS's documents."""


class _Caller(TypedDict):
    """Who calls, and where, as it was typed."""

    profile: str | None
    region: str | None
    endpoint_url: str | None
    login: bool


@click.group("document", epilog=_EXAMPLES)
def document() -> None:
    """List, show and make session documents, and explain the account's preferences.

    A session document says what a session is: a shell, a port, a command. Who may use only one that leads to one port
    of one host can do nothing else.
    """


def _who(function: Any) -> Any:
    return caller_options(
        with_options(
            function,
            click.option("--endpoint-url", metavar="URL", help="The ssm API, instead of AWS's."),
            click.option("--login", is_flag=True, help="Log in with the AWS CLI if the profile wants that."),
        )
    )


@document.command("list", epilog=_EXAMPLES)
@_who
@click.option("--all", "with_others", is_flag=True, help="AWS's, and those that other accounts share, too.")
@click.option("--json", "as_json", is_flag=True, help="One array of objects.")
def list_all(*, with_others: bool, as_json: bool, **caller: Unpack[_Caller]) -> int:
    """List the session documents of the account in a region: type, parameters, versions, and what ssmssh can use."""
    pager = Pager(_client(caller))
    identifiers = [each for page in list_documents(pager, is_own=not with_others) for each in page]
    rows = [_row(pager, each) for each in sorted(identifiers, key=lambda each: str(each.get("Name")))]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return ExitStatus.DONE
    if not rows:
        click.echo(f"ssmssh: no session document is in {pager.client.region}; those of AWS: --all", err=True)
        return ExitStatus.DONE
    table = [("NAME", "OWNER", "TYPE", "VERSION", "PARAMETERS", "FOR")]
    table += [
        (
            row["name"],
            row["owner"],
            row["type"] or "-",
            row["version"],
            ",".join(row["parameters"]) or "-",
            ",".join(row["uses"]) or "-",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for words in table:
        click.echo(visible("  ".join(f"{word:<{width}}" for word, width in zip(words, widths, strict=True)).rstrip()))
    return ExitStatus.DONE


def _row(pager: Pager, identifier: Item) -> dict[str, Any]:
    name = str(identifier.get("Name"))
    content = _readable(document_content(pager, name) or "")
    return {
        "name": name,
        "owner": str(identifier.get("Owner", "")),
        "type": str(content.get("sessionType", "")),
        "version": str(identifier.get("DocumentVersion", "")),
        "parameters": list(content.get("parameters") or {}),
        "uses": [use.program for use in uses_of(name, content) if use.command],
    }


@document.command("show", epilog=_EXAMPLES)
@_who
@click.option("--json", "as_json", is_flag=True, help="The content as it is.")
@click.argument("name")
def show(*, name: str, as_json: bool, **caller: Unpack[_Caller]) -> int:
    """Show the document NAME: what it is, who has it, and what ssmssh can use it for."""
    pager = Pager(_client(caller))
    found, text = describe_document(pager, name), document_content(pager, name)
    if found is None or text is None:
        raise _missing(pager, name)
    if as_json:
        click.echo(visible_lines(text))
        return ExitStatus.DONE
    content = _readable(text)
    kind = str(content.get("sessionType", "no session type"))
    click.echo(visible(f"{name}: {kind}, of {found.get('Owner', 'nobody')}, {found.get('Status', 'no status')}"))
    if description := content.get("description") or found.get("Description"):
        click.echo(visible(f"  {description}"))
    versions = f"version {found.get('DefaultVersion', '?')} counts, {found.get('LatestVersion', '?')} is the latest"
    click.echo(visible(f"  {versions}"))
    click.echo(visible(f"  {_shared(pager, name, str(found.get('Owner', '')))}"))
    for parameter, declaration in (content.get("parameters") or {}).items():
        click.echo(visible(f"  parameter {parameter}: {_declared(declaration)}"))
    for field in ("properties", "inputs"):
        if content.get(field):
            click.echo(f"  {field}:")
            click.echo("\n".join(f"    {line}" for line in json.dumps(content[field], indent=2).splitlines()))
    uses = uses_of(name, content)
    for use in uses:
        click.echo(visible(f"  {use.program}: {use.command or f'not for it: {use.reason}'}"))
    if not uses:
        click.echo("  ssmssh has no use for it")
    return ExitStatus.DONE


def _shared(pager: Pager, name: str, owner: str) -> str:
    if owner == _AWS:
        return "everybody has it"
    try:
        accounts = accounts_shared_with(pager, name)
    except SsmsshError as error:
        return f"who shares it is not known: {error}"
    if not accounts:
        return "shared with nobody"
    return "shared with everybody" if "all" in accounts else f"shared with {', '.join(accounts)}"


def _declared(declaration: object) -> str:
    if not isinstance(declaration, dict):
        return "no declaration"
    words = [str(declaration.get("type", "no type"))]
    words += [f"{declaration['default']!r} unless given"] if "default" in declaration else ["must be given"]
    words += [f"one of {', '.join(map(str, declaration['allowedValues']))}"] if "allowedValues" in declaration else []
    words += [f"fits {declaration['allowedPattern']}"] if "allowedPattern" in declaration else []
    words += [str(declaration["description"])] if declaration.get("description") else []
    return "; ".join(words)


@document.command("create", epilog=_EXAMPLES)
@_who
@click.option("--port", type=click.IntRange(1, 65535), help="For ssh servers that listen there.")
@click.option("--forward", "destination", metavar="[HOST:]PORT", help="For forwarding to that port alone.")
@click.option("--command", metavar="TEXT", help="For that command alone: its words, without a shell.")
@click.option("--interactive", is_flag=True, help="With --command: in a terminal, by a shell.")
@click.option(
    "--content", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="From a file with its JSON."
)
@click.option("--dry-run", "-n", is_flag=True, help="Show the document and make none.")
@click.option("--yes", "-y", is_flag=True, help="Make it without asking.")
@click.argument("name")
def create(
    *,
    name: str,
    port: int | None,
    destination: str | None,
    command: str | None,
    interactive: bool,
    content: Path | None,
    dry_run: bool,
    yes: bool,
    **caller: Unpack[_Caller],
) -> int:
    """Make the session document NAME, for one purpose or from a file, after showing it and a yes.

    One that is there already is not changed. Making it is permitted by ssm:CreateDocument.
    """
    schema.check_name(name)
    if len([each for each in (port, destination, command, content) if each is not None]) != 1:
        raise UsageError("What is the document for?", "give one of --port, --forward, --command and --content")
    if interactive and command is None:
        raise UsageError("--interactive is about a command", "give --command, too")
    made = _made(port, destination, command, content, interactive=interactive)
    text = json.dumps(made, indent=2)
    pager = Pager(_client(caller))
    if _is_there(pager, name, made, text):
        click.echo("Nothing to change.", err=True)
    elif not dry_run:
        if not yes and not is_terminal():
            raise UsageError("nobody can be asked whether to make this; nothing was changed", "add --yes")
        if not yes and not _agreed(pager.client.region):
            click.echo("Nothing was changed.", err=True)
            return ExitStatus.DONE
        _create(pager, name, made, text)
        click.echo(f"Made: {name} in {pager.client.region}", err=True)
    for use in uses_of(name, made):
        click.echo(visible(f"{use.program}: {use.command or f'not for it: {use.reason}'}"))
    return ExitStatus.DONE


def _create(pager: Pager, name: str, made: Content, text: str) -> None:
    """Make it; that it is there by now is no failure if it is this one: the answer to a first attempt was lost."""
    try:
        create_document(pager, name, text)
    except UsageError:
        if _readable(document_content(pager, name) or "") != made:
            raise


def _made(
    port: int | None, destination: str | None, command: str | None, content: Path | None, *, interactive: bool
) -> Content:
    """The content that was asked for, checked."""
    if content is not None:
        return schema.parse(_read(content))
    if port is not None:
        made = making.ssh_document(port)
    elif destination is not None:
        leads_to = parse_local(f"0:{destination}").destination
        if leads_to is None:
            raise UsageError(f"--forward {excerpt(destination)} leads nowhere", "write [HOST:]PORT")
        made = making.forward_document(None if leads_to.is_instance else leads_to.host, leads_to.port)
    else:
        made = making.command_document(command or "", is_interactive=interactive)
    schema.check(made)
    return made


def _is_there(pager: Pager, name: str, made: Content, text: str) -> bool:
    """Whether there is the same already; shows what would become of it. Raises UsageError for another one."""
    before = document_content(pager, name)
    if before is not None and _readable(before) == made:
        return True
    old = None if before is None else f"{visible_lines(before)}\n".encode()
    for line in unified_diff(name, old, f"{text}\n".encode()):
        click.secho(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
    if before is not None:
        raise UsageError(
            f"There is a document {name} in {pager.client.region}, with other content", "take another name"
        )
    return False


def _agreed(region: str) -> bool:
    with asking():
        return click.confirm(f"Make this document in {region}?", default=True, err=True)


@document.command("preferences", epilog=_EXAMPLES)
@_who
@click.option("--json", "as_json", is_flag=True, help="The content of their document as it is.")
def preferences(*, as_json: bool, **caller: Unpack[_Caller]) -> int:
    """Explain the account's Session Manager preferences in a region: time-outs, users, logs, keys.

    Nothing is changed: they are everybody's. The command that would change them is printed.
    """
    client = _client(caller)
    text = document_content(Pager(client), PREFERENCES)
    if as_json:
        if text is None:
            raise _missing(Pager(client), PREFERENCES)
        click.echo(visible_lines(text))
        return ExitStatus.DONE
    inputs = _readable(text or "").get("inputs")
    unset = " are not set, so these are the defaults" if text is None else ""
    click.echo(f"The preferences of {client.region}{unset}:")
    for sentence in explain(inputs if isinstance(inputs, dict) else {}):
        click.echo(visible(f"- {sentence}"))
    click.echo("They are everybody's in this account and region. To change them, write preferences.json, and run:")
    click.echo(visible(f"  {command_to_change(client.region, client.profile, is_there=text is not None)}"))
    return ExitStatus.DONE


def visible_lines(text: str) -> str:
    """A text of AWS's with its lines, and without anything that would act on a terminal."""
    return "".join(f"{visible(line)}\n" for line in text.splitlines()).rstrip("\n")


def _client(caller: _Caller) -> AwsClient:
    return client_of(
        caller["profile"], caller["region"], caller["endpoint_url"], login=caller["login"], is_for_sessions=False
    )


def _missing(pager: Pager, name: str) -> UsageError:
    return UsageError(f"There is no document {excerpt(name, 80)} in {pager.client.region}", "see: ssmssh document list")


def _readable(text: str) -> Content:
    """The content of a document that somebody else has made, as far as it is one."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(path: Path) -> str:
    try:
        with sys.stdin if str(path) == "-" else path.open(encoding="utf-8") as file:
            return file.read(schema.MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FileError(f"Cannot read {visible(str(path))}: {reason}") from None
