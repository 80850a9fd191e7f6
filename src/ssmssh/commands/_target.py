"""What every command on a TARGET shares: its options, and the way from what a person typed to a session.

A command uses it so:

    @click.command("shell")
    @target_options
    @click.argument("target", metavar="TARGET")
    def shell(*, target: str, **options: Unpack[TargetOptions]) -> int:
        reached = reach(target, options)                     # or, of a port: reach(target, options, port=22)
        remote = RemoteSession(reached.caller, reached.session)
        ...

`reach` looks for credentials, with ``--login`` by way of a log-in, and finds the machine, for as long as ``--wait``
says if there is none yet; with ``--start`` it starts one that is stopped. If TARGET means several, a person at a
terminal chooses one. When it is back, nobody will be asked for anything any more: a terminal may be made raw, a program
may go to the background.

A command that has options of these names for itself (``host add`` writes some into the config) takes `finding_options`
and makes the `TargetOptions`.
"""

import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import click

from ssmssh.commands import _login
from ssmssh.commands._choosing import can_choose, choose_node
from ssmssh.commands._options import caller_options, with_options
from ssmssh.commands._progress import Progress
from ssmssh.commands._starting import AGENT_SECONDS, start_if_stopped
from ssmssh.errors import CredentialsError, SsmsshError, UsageError
from ssmssh.nodes.choice import AmbiguousTargetError, Choose
from ssmssh.nodes.node import Node
from ssmssh.request import Request, prepare, understand_any
from ssmssh.session.caller import Caller
from ssmssh.session.patience import PATIENCE_SECONDS, RESERVED_SECONDS
from ssmssh.session.remote import SessionRequest
from ssmssh.sshconfig.diff import visible
from ssmssh.target import Named, Target, excerpt

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsSettings


class TargetOptions(TypedDict):
    """What `target_options` gives a command. Texts are as they were typed; None for what was not."""

    profile: str | None
    region: str | None
    endpoint_url: str | None
    stream_endpoint_url: str | None
    choose: Choose | None
    login: bool
    wait: str | None
    retry_access: str | None
    start: bool
    reason: str | None


class Reached(NamedTuple):
    """What a session is made of: ``RemoteSession(reached.caller, reached.session)``, any number of times.

    Attributes:
        caller: Who calls; with credentials, so that none is looked for before they expire.
        session: What to ask for. If its `finder` is set, the machine was remembered, and it is looked for once more
            when the service says that it is not connected; else its target is `instance_id`.
        instance_id: The machine that is meant.
    """

    caller: Caller
    session: SessionRequest
    instance_id: str


def finding_options(function: Any) -> Any:
    """Which machine is meant, and for how long it is looked for."""
    return with_options(
        function,
        click.option(
            "--choose",
            type=click.Choice(["newest", "oldest"]),
            help="Which one, if TARGET means a group: tag:..., asg:..., or one Name that several have.",
        ),
        click.option("--login", is_flag=True, help="Log in with the AWS CLI if the profile wants that."),
        click.option("--wait", metavar="SECONDS", help="How long to wait for an instance that is starting."),
    )


def target_options(function: Any) -> Any:
    """Who calls, where, and which machine is meant; a command gets them as `TargetOptions`."""
    endpoints = (
        click.option("--endpoint-url", metavar="URL", help="The ssm API, instead of AWS's."),
        click.option("--stream-endpoint-url", metavar="URL", help="The ssmmessages service, instead of AWS's."),
        click.option("--reason", metavar="TEXT", help="Noted in the account's session history."),
    )
    access = click.option("--retry-access", metavar="SECONDS", help="How long to try again while access is denied.")
    start = click.option("--start", is_flag=True, help="Start the instance if it is stopped.")
    return caller_options(with_options(finding_options(function), access, start, *endpoints))


def understand_agreeing(text: str, *, profile: str | None, region: str | None) -> Target | Named:
    """What a TARGET stands for (`ssmssh.request.understand_any`), if the options say nothing else than its words.

    Blocks for reading files at most.

    Raises:
        UsageError: It is none, or a word of it and an option disagree.
    """
    typed = understand_any(text)
    for name, word, option in (("region", typed.region, region), ("profile", typed.profile, profile)):
        if word and option and word != option:
            raise UsageError(f"{excerpt(text, 80)} says {word} and --{name} says {option}", "give one of them")
    return typed


def reach(
    text: str,
    options: TargetOptions,
    *,
    port: int | None = None,
    document_name: str | None = None,
    parameters: Mapping[str, list[str]] | None = None,
    is_lasting: bool = False,
) -> Reached:
    """Find out who calls, and which machine TARGET means. Blocks: for calls, for a helper, perhaps for a person.

    Args:
        text: TARGET: an id, perhaps with region and profile behind it, a Name, ``tag:Key=Value``, an address, a DNS
            name, ``asg:NAME``.
        options: As given.
        port: On the machine; None if the session is not for one. It is the document's ``portNumber``.
        document_name: What the session runs. None for ``AWS-StartSSHSession`` (or what the environment says) with a
            port, else for the account's shell.
        parameters: Of the document, besides ``portNumber``.
        is_lasting: The answer is written down somewhere, so what is remembered of earlier ones does not count.

    Raises:
        UsageError: TARGET is none, its words and the options disagree, an option is out of its range.
        CredentialsError: There are none, and no log-in helps.
        TargetError: Nobody knows such a machine.
        AmbiguousTargetError: Several are meant, and nobody is there to choose, or no choice was given.
        KeyboardInterrupt: Somebody has left the choice.
        SsmsshError: Whatever else kept it from being found out.
    """
    request = _request(text, options, port, document_name, parameters)
    caller = _ready(request, login=options["login"])
    reached = _found(caller, request.session, is_lasting=is_lasting)
    return _started(reached) if options["start"] else reached


def reach_each(
    texts: Iterable[str], options: TargetOptions, *, document_name: str, parameters: Mapping[str, list[str]]
) -> Iterator[tuple[str, Reached | SsmsshError]]:
    """`reach` several, one after the other, and say what has become of each; who calls is found out once for all.

    That is, for all with the same words of region and profile behind them. Raises UsageError, which is about all.
    """
    callers: dict[AwsSettings, Caller] = {}
    for text in texts:
        try:
            request = _request(text, options, None, document_name, parameters)
            if request.aws not in callers:
                callers[request.aws] = _ready(request, login=options["login"])
            reached = _found(callers[request.aws], request.session, is_lasting=False)
            yield text, _started(reached) if options["start"] else reached
        except UsageError:
            raise
        except SsmsshError as error:
            yield text, error


def _request(
    text: str,
    options: TargetOptions,
    port: int | None,
    document_name: str | None,
    parameters: Mapping[str, list[str]] | None,
) -> Request:
    """What was asked for, as far as nobody has to be asked."""
    return prepare(
        understand_agreeing(text, profile=options["profile"], region=options["region"]),
        port,
        profile=options["profile"],
        region=options["region"],
        document_name=document_name,
        parameters=parameters,
        reason=options["reason"],
        endpoint_url=options["endpoint_url"],
        stream_endpoint_url=options["stream_endpoint_url"],
        wait=options["wait"],
        retry_access=options["retry_access"],
        choose=options["choose"],
    )


def _ready(request: Request, *, login: bool) -> Caller:
    """Who calls, with credentials."""
    caller = Caller(request.aws, request.journal_directory)
    try:
        caller.get_ready()
    except CredentialsError as error:
        if not (login and _login.log_in(error)):
            raise
        caller = Caller(request.aws, request.journal_directory)  # as if there had never been another
        caller.get_ready()
    return caller


def _found(caller: Caller, session: SessionRequest, *, is_lasting: bool) -> Reached:
    """The machine; what looking for it takes is a part of the patience with it."""
    finder = session.finder
    if finder is None:
        return Reached(caller, session, session.target)
    started = time.monotonic()
    until = started + session.patience_seconds - RESERVED_SECONDS if session.waits_for_target else -math.inf
    progress = Progress()
    looking = f"looking for {excerpt(session.target, 80)}"

    def tell_trouble(trouble: str) -> None:
        progress.show(visible(f"{looking}: {trouble}, trying again") if trouble else looking)

    progress.show(looking)
    try:
        instance_id = finder.find(caller.client, again=is_lasting, until=until, on_trouble=tell_trouble)
    except AmbiguousTargetError as error:
        progress.clear()
        instance_id = _chosen(session.target, error).instance_id
    finally:
        progress.clear()
    if session.waits_for_target:
        left = session.patience_seconds - (time.monotonic() - started)
        session = session._replace(patience_seconds=max(PATIENCE_SECONDS, math.ceil(left)))
    if not finder.was_remembered:
        session = session._replace(target=instance_id, finder=None)
    return Reached(caller, session, instance_id)


def _started(reached: Reached) -> Reached:
    """The machine, which runs; if it did not, its agent is waited for."""
    progress = Progress()
    try:
        was_off = start_if_stopped(reached.caller.client, reached.instance_id, progress)
    finally:
        progress.clear()
    if not was_off:
        return reached
    patience = max(reached.session.patience_seconds, AGENT_SECONDS)
    return reached._replace(session=reached.session._replace(patience_seconds=patience, waits_for_target=True))


def _chosen(text: str, error: AmbiguousTargetError) -> Node:
    """The one that a person chooses, where one can; else the error."""
    if not (sys.stderr.isatty() and can_choose()):
        raise error
    click.echo(visible(f"ssmssh: {excerpt(text, 80)} means {len(error.candidates)} instances"), err=True)
    return choose_node([error.candidates])
