"""What the caller's side must be permitted, by feature: which calls our programs make, on what, under which conditions.

=================  ====================================================================================================
feature            what it is, and where its calls are
=================  ====================================================================================================
ssh                `ssmssh-proxy`: sessions with ``AWS-StartSSHSession`` (`ssmssh.aws.ssm`, `ssmssh.websocket.opening`)
shell              ``ssmssh shell``: sessions with the account's own document
run                ``ssmssh run``: sessions with AWS's documents for commands
forward            ``ssmssh forward``, and the library's: ports of the instance
forward-remote     the same for ports of other hosts, ``--rds`` among them (`ssmssh.aws.rds`)
push-key           ``--push-key``: EC2 Instance Connect (`ssmssh.aws.instanceconnect`)
run-command-key    ``--push-key=run-command`` (`ssmssh.aws.runcommand`)
host-keys          ``--verify-host-keys``: Run Command, or the console's output (`ssmssh.nodes.obtaining`)
list               ``ssmssh list``, ``pick``, ``sync``, and every name that is no id (`ssmssh.nodes.inventory`)
doctor             ``ssmssh policy check``, and looking for what is wrong: reading of roles, policies and states
=================  ====================================================================================================

Whatever is about one kind of resource is a statement of its own, so that each can be taken away alone. A StartSession
is two questions of the service's, one about the instance and one about the document: tags of the instance are no tags
of the document, so a condition on them would refuse the document in a common statement.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ssmssh.errors import UsageError
from ssmssh.policies.scope import DOCUMENT_CHECK, SESSION_OWNER, Scope
from ssmssh.policies.statement import Statement
from ssmssh.target import excerpt

SHELL_DOCUMENT: Final = "SSM-SessionManagerRunShell"

DOCUMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "ssh": {"AWS-StartSSHSession": "ssh, scp, sftp and all that uses ssh cannot connect"},
    "shell": {SHELL_DOCUMENT: "ssmssh shell cannot open the account's shell"},
    "run": {
        "AWS-StartNonInteractiveCommand": "ssmssh run cannot run commands",
        "AWS-StartInteractiveCommand": "ssmssh run --tty cannot run commands in a terminal",
    },
    "forward": {"AWS-StartPortForwardingSession": "ssmssh forward cannot reach ports of the instance itself"},
    "forward-remote": {
        "AWS-StartPortForwardingSessionToRemoteHost": "ssmssh forward cannot reach other hosts through the instance"
    },
}
"""Features with sessions: the documents that they use by themselves, and what does not work without each."""

FEATURES: Final = (*DOCUMENTS, "push-key", "run-command-key", "host-keys", "list", "doctor")

SSH_ONLY_FEATURES: Final = frozenset({"ssh", "push-key", "host-keys", "list", "doctor"})
"""What can be had where shells are denied: the others are shells, commands, or lead around sshd."""

_AROUND_SSH: Final = frozenset(name for feature in DOCUMENTS if feature != "ssh" for name in DOCUMENTS[feature])

SCRIPT_DOCUMENT: Final = "AWS-RunShellScript"


def parse_features(text: str) -> tuple[str, ...]:
    """The features in a list with commas, in the order of `FEATURES`. Raises UsageError for others."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in FEATURES:
            raise UsageError(f"There is no feature {excerpt(word)!r}", f"there are: {', '.join(FEATURES)}")
    return tuple(feature for feature in FEATURES if feature in words)


def needs(features: Sequence[str], scope: Scope, *, is_ssh_only: bool = False) -> tuple[Statement, ...]:
    """The statements for `features`, each once.

    Raises:
        UsageError: A feature, or one of the scope's documents, is a way around `is_ssh_only`.
    """
    if is_ssh_only and (others := [feature for feature in features if feature not in SSH_ONLY_FEATURES]):
        raise UsageError(
            f"Without shells there is no {' nor '.join(others)}",
            f"--ssh-only goes with: {', '.join(feature for feature in FEATURES if feature in SSH_ONLY_FEATURES)}",
        )
    found = {
        statement.sid: statement
        for feature in features
        for statement in _of_feature(feature, scope, is_ssh_only=is_ssh_only)
    }
    sessions = [feature for feature in features if feature in DOCUMENTS]
    documents = _documents(sessions, scope)
    if is_ssh_only and (others := [name for name in documents if name in _AROUND_SSH]):
        raise UsageError(f"{others[0]} is a way around ssh", "leave it out, or leave out --ssh-only")
    statements = [*_sessions(sessions, documents, scope), *found.values()]
    if is_ssh_only:
        statements += _denials(tuple(documents), scope)
    return tuple(_named_apart(statements))


def _named_apart(statements: Sequence[Statement]) -> Iterator[Statement]:
    """With a number where two Sids would be the same, as of ``my-ssh`` and ``my_ssh``: IAM takes none twice."""
    seen: set[str] = set()
    for statement in statements:
        sids = itertools.chain([statement.sid], (f"{statement.sid}{number}" for number in itertools.count(2)))
        sid = next(sid for sid in sids if sid not in seen)
        seen.add(sid)
        yield dataclasses.replace(statement, sid=sid)


def _documents(features: Sequence[str], scope: Scope) -> dict[str, str]:
    """The documents that sessions may have, and what does not work without each."""
    if scope.documents:
        return dict.fromkeys(scope.documents, "sessions with it are refused")
    return {name: why for feature in features for name, why in DOCUMENTS[feature].items()}


def _sessions(features: Sequence[str], documents: Mapping[str, str], scope: Scope) -> Iterator[Statement]:
    """What every session needs."""
    if not documents:
        return
    whose = " that have the tags" if scope.tags else ""
    yield Statement(
        "StartSessions",
        f"Sessions with instances{whose}; without it no session can be started. The condition has the service ask for "
        "the document, too, also where none is named: without it the account's shell would start with no permission.",
        ("ssm:StartSession",),
        scope.nodes,
        {**DOCUMENT_CHECK, **scope.tagged("ssm:resourceTag")},
    )
    for name, why in documents.items():
        more = ""
        if name == SHELL_DOCUMENT:
            more = " A call that names no document may be refused under the condition; ssmssh names it then."
        yield Statement(
            f"Use{_word(name)}",
            f"Sessions with the document {name}; without it {why}.{more}",
            ("ssm:StartSession",),
            (scope.document(name),),
            DOCUMENT_CHECK,
        )
    yield from _own_sessions(scope)
    if scope.kms_key is not None and (scope.documents or {"shell", "run"} & set(features)):
        yield Statement(
            "MakeSessionKeys",
            "A key for each session that the account's preferences want encrypted; without it shells and commands "
            "there end in their handshake.",
            ("kms:GenerateDataKey",),
            (scope.kms_key,),
        )


def _own_sessions(scope: Scope) -> Iterator[Statement]:
    """By their ids, which begin with the user's or the role session's name; where that is not known, by their tag."""
    by_tag = scope.is_role and not scope.session_name
    yield Statement(
        "OpenOwnSessions",
        "The WebSocket of a session of one's own; without it a session is started, and cannot be connected to.",
        ("ssmmessages:OpenDataChannel",),
        scope.own_sessions,
    )
    for sid, action, does, lacks in (
        ("ResumeOwnSessions", "ssm:ResumeSession", "Going on with", "a connection that is lost is not resumed"),
        (
            "EndOwnSessions",
            "ssm:TerminateSession",
            "Ending",
            "sessions stay open until they are idle for long",
        ),
    ):
        yield Statement(
            sid,
            f"{does} sessions of one's own; without it {lacks}.",
            (action,),
            scope.all_sessions if by_tag else scope.own_sessions,
            {"StringLike": {SESSION_OWNER: "${aws:userid}"}} if by_tag else {},
        )


def _of_feature(feature: str, scope: Scope, *, is_ssh_only: bool) -> Iterator[Statement]:
    match feature:
        case "forward-remote":
            yield _everywhere(
                "FindDatabases",
                "Where a database listens; without it forward --rds finds none; -L with its host and port does.",
                "rds:DescribeDBClusters",
                "rds:DescribeDBInstances",
            )
        case "push-key" if scope.ec2_instances:
            user = f" of {scope.os_user}" if scope.os_user else ""
            yield Statement(
                "PushKeys",
                f"A key for a log-in{user}, through EC2 Instance Connect; without it --push-key needs Run Command.",
                ("ec2-instance-connect:SendSSHPublicKey",),
                scope.ec2_instances,
                _merged(
                    scope.tagged("aws:ResourceTag"),
                    {"StringEquals": {"ec2:osuser": scope.os_user}} if scope.os_user else {},
                ),
            )
        case "run-command-key":
            yield from _scripts(scope)
        case "host-keys":
            if not is_ssh_only:
                yield from _scripts(scope)
            if scope.ec2_instances:
                yield _console(scope)
        case "list":
            yield from _listing()
        case "doctor":
            yield from _looking(scope)


def _scripts(scope: Scope) -> Iterator[Statement]:
    whose = " that have the tags" if scope.tags else ""
    yield Statement(
        "SendCommands",
        f"Commands to instances{whose}; without it Run Command reads no host keys and writes no pushed ones.",
        ("ssm:SendCommand",),
        scope.nodes,
        scope.tagged("ssm:resourceTag"),
    )
    yield Statement(
        f"Use{_word(SCRIPT_DOCUMENT)}",
        f"The document {SCRIPT_DOCUMENT} for these commands, without which they are refused. It runs any script as "
        "root: who has it has the instances.",
        ("ssm:SendCommand",),
        (scope.document(SCRIPT_DOCUMENT),),
    )
    yield _everywhere(
        "ReadCommands",
        "What has become of a command; without it nothing that Run Command does is ever heard of.",
        "ssm:GetCommandInvocation",
    )


def _console(scope: Scope) -> Statement:
    return Statement(
        "ReadConsoles",
        "Host keys that an instance has printed at its first start; without it they come from Run Command alone.",
        ("ec2:GetConsoleOutput",),
        scope.ec2_instances,
        scope.tagged("aws:ResourceTag"),
    )


def _listing() -> Iterator[Statement]:
    yield _everywhere(
        "ListInstances",
        "The managed instances; without it list knows of EC2 instances only, not whether they can be reached, and of "
        "no hybrid nodes.",
        "ssm:DescribeInstanceProperties",
        "ssm:DescribeInstanceInformation",
    )
    yield _everywhere(
        "DescribeInstances",
        "Tags, addresses and images of EC2 instances; without it tag:..., addresses and --user auto find nothing.",
        "ec2:DescribeInstances",
        "ec2:DescribeImages",
    )
    yield _everywhere(
        "DescribeRegions", "Which regions there are; without it --all-regions tries each.", "ec2:DescribeRegions"
    )
    yield _everywhere(
        "DescribeGroups",
        "The instances of an Auto Scaling group; without it asg:NAME has to be found by the instances' tags.",
        "autoscaling:DescribeAutoScalingGroups",
    )


def _looking(scope: Scope) -> Iterator[Statement]:
    statements = [statement for statement in _listing() if statement.sid != "DescribeGroups"]
    yield from statements
    if scope.ec2_instances:
        yield _console(scope)
    yield Statement(
        "AskForConnections",
        "Whether an agent is connected; without it nobody knows before a session is tried.",
        ("ssm:GetConnectionStatus",),
        scope.nodes,
        scope.tagged("ssm:resourceTag"),
    )
    yield _everywhere(
        "LookAtNetworks",
        "The health of an instance and its way out of its network; without it doctor cannot tell about endpoints, "
        "routes and rules.",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpoints",
    )
    yield _everywhere(
        "LookAtActivations",
        "How hybrid nodes were activated; without it doctor cannot tell why one does not register.",
        "ssm:DescribeActivations",
    )
    yield Statement(
        "ReadSettings",
        "Whether hybrid nodes take sessions, and instances without a profile register; without it that is not known.",
        ("ssm:GetServiceSetting",),
        (f"arn:{scope.partition}:ssm:{scope.region}:{scope.account}:servicesetting/*",),
    )
    yield Statement(
        "ReadDocuments",
        "Documents and the account's preferences; without it doctor and policy check do without what they say.",
        ("ssm:DescribeDocument", "ssm:GetDocument"),
        (f"arn:{scope.partition}:ssm:{scope.region}:*:document/*",),
    )
    yield Statement(
        "ReadInstanceProfiles",
        "Which role an instance has; without it policy check looks at the caller's side alone.",
        ("iam:GetInstanceProfile",),
        (f"arn:{scope.partition}:iam::{scope.account}:instance-profile/*",),
    )
    yield Statement(
        "ReadRoles",
        "The full name of a caller's role; without it policy check finds no role that has a path.",
        ("iam:GetRole",),
        (f"arn:{scope.partition}:iam::{scope.account}:role/*",),
    )
    yield Statement(
        "SimulatePolicies",
        "What a caller and a role may do, as IAM itself decides it; without it policy check reads the policies.",
        ("iam:SimulatePrincipalPolicy",),
        tuple(f"arn:{scope.partition}:iam::{scope.account}:{kind}/*" for kind in ("user", "role")),
    )


def _denials(documents: Sequence[str], scope: Scope) -> Iterator[Statement]:
    elsewhere = "" if scope.region == "*" else f" It denies all sessions outside of {scope.region}, too."
    yield Statement(
        "DenyOtherDocuments",
        "No session with any other document, whatever else is attached: no shell, no command, no forwarding around "
        f"sshd; without it a wider policy beside this one would permit them.{elsewhere}",
        ("ssm:StartSession",),
        (*scope.nodes, *(scope.document(name) for name in documents)),
        effect="Deny",
        is_all_but=True,
    )
    yield Statement(
        "DenyCommands",
        "No Run Command, which is a shell as root; without it a wider policy beside this one would permit it.",
        ("ssm:SendCommand",),
        ("*",),
        effect="Deny",
    )


def _everywhere(sid: str, explanation: str, *actions: str) -> Statement:
    """For actions that know no resources."""
    return Statement(sid, explanation, actions, ("*",))


def _merged(*conditions: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    merged: dict[str, dict[str, str]] = {}
    for each in conditions:
        for operator, keys in each.items():
            merged.setdefault(operator, {}).update(keys)
    return merged


def _word(name: str) -> str:
    """The name of a document, as far as a Sid takes it."""
    return "".join(c for c in name.rpartition("/")[2] if c.isascii() and c.isalnum())
