"""What a caller needs to be allowed for a call: on which resources, and which condition keys there are.

    action and arguments -> ways, each a list of (resource, context); one way, all of which is allowed, is enough

Service Authorization Reference (resource types and condition keys of each action); for sessions, the Systems Manager
User Guide: "Enforce a session document permission check", "Additional sample IAM policies for Session Manager". An
action that is not in the table needs all resources, as do those that list.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ssmssh.sandbox.accounts import Caller, Place
from ssmssh.sandbox.documents import SHELL_DOCUMENT, is_reserved
from ssmssh.sandbox.inventory import Inventory
from ssmssh.sandbox.sessionhomes import SessionHomes

OPEN_DATA_CHANNEL = "ssmmessages:OpenDataChannel"

Context = Mapping[str, str | Sequence[str]]
_NONE: Context = {}


class Need(NamedTuple):
    """One resource that the action must be allowed on, and what the request has of condition keys."""

    resource: str
    context: Context = _NONE


Way = Sequence[Need]


class Asked(NamedTuple):
    """A call: what it is given (JSON's arguments, or a query's parameters), and where."""

    arguments: Mapping[str, object]
    place: Place

    def text(self, name: str) -> str:
        """An argument that is a string; empty without it."""
        value = self.arguments.get(name, "")
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """An argument that is a list: JSON's, or a query's numbered one."""
        value = self.arguments.get(name)
        if isinstance(value, list):
            return [str(each) for each in value]
        return [str(each) for key, each in self.arguments.items() if key.startswith(f"{name}.")]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of the account, in the region."""
        return f"arn:aws:{service}:{self.place.region}:{self.place.account_id}:{resource}"


class Permissions:
    """The table."""

    def __init__(self, inventory: Inventory, homes: SessionHomes) -> None:
        self._inventory = inventory
        self._homes = homes
        node = self._on("Target")
        document = _document_of("Name")
        self._table: Mapping[str, Callable[[Asked], Sequence[Way]]] = {
            "ssm:startsession": self._start_session,
            "ssm:resumesession": self._session,
            "ssm:terminatesession": self._session,
            "ssm:getconnectionstatus": node,
            "ssm:sendcommand": self._send_command,
            "ssm:getservicesetting": lambda asked: [[Need(_setting(asked))]],
            **{f"ssm:{verb}document": document for verb in ("create", "describe", "get", "delete", "update")},
            "ssm:updatedocumentdefaultversion": document,
            "ssm:describedocumentpermission": document,
            "ssm:listdocumentversions": document,
            "ec2-instance-connect:sendsshpublickey": self._push,
            "ec2:getconsoleoutput": self._on("InstanceId"),
            "ec2:startinstances": self._on("InstanceId"),
            "ec2:stopinstances": self._on("InstanceId"),
            "kms:generatedatakey": _key,
            "kms:decrypt": _key,
            "rds:describedbinstances": _database,
        }

    def ways(self, action: str, asked: Asked) -> Sequence[Way]:
        """The ways in which a call is allowed; of each, all must be."""
        row = self._table.get(action.lower())
        if row is not None:
            return row(asked)
        service = action.partition(":")[0]
        if service == "iam":
            return [[Need(_principal(asked))]]
        # Systems Manager names all of its resources, not "*", in what it says of a call that lists.
        return [[Need(asked.arn("ssm", "*") if service == "ssm" else "*")]]

    def open_data_channel(self, session_id: str, owner: Caller, place: Place) -> Sequence[Way]:
        """What the WebSocket of a session needs.

        AWS's example policies name ``session/${aws:userid}-*`` for it, and a session's id begins with the name of the
        user or the role session, which is another text; nobody says which of the two is compared. Either will do.
        """
        rest = session_id.removeprefix(owner.name)
        asked = Asked({}, place)
        return [[Need(asked.arn("ssm", f"session/{each}"))] for each in (session_id, owner.user_id + rest)]

    def _start_session(self, asked: Asked) -> Sequence[Way]:
        """On the target, and on the document. Where none is named, the default one counts under the condition only."""
        target = asked.text("Target")
        name = asked.text("DocumentName")

        def on_target(checks: str) -> Need:
            need = self._node(asked, target)
            return Need(need.resource, {**need.context, "ssm:SessionDocumentAccessCheck": checks})

        document = _document(asked, name or SHELL_DOCUMENT)
        checked = [on_target("true"), Need(document.resource, {"ssm:SessionDocumentAccessCheck": "true"})]
        return [checked] if name else [[on_target("false")], checked]

    def _session(self, asked: Asked) -> Sequence[Way]:
        session_id = asked.text("SessionId")
        home = self._homes.at(asked.place, session_id)
        tags: dict[str, str] = {}
        if home is not None:
            tags = {"aws:ssmmessages:session-id": home.owner.user_id, "aws:ssmmessages:target-id": home.target}
        return [[Need(asked.arn("ssm", f"session/{session_id}"), _tagged("ssm", tags))]]

    def _send_command(self, asked: Asked) -> Sequence[Way]:
        nodes = [self._node(asked, each) for each in asked.texts("InstanceIds")]
        return [[*nodes, _document(asked, asked.text("DocumentName"))]]

    def _push(self, asked: Asked) -> Sequence[Way]:
        need = self._node(asked, asked.text("InstanceId"))
        return [[Need(need.resource, {**need.context, "ec2:osuser": asked.text("InstanceOSUser")})]]

    def _on(self, name: str) -> Callable[[Asked], Sequence[Way]]:
        """The machines that an argument names, or a list of them."""

        def ways(asked: Asked) -> Sequence[Way]:
            targets = [asked.text(name)] if name in asked.arguments else asked.texts(name)
            return [[self._node(asked, each) for each in targets]]

        return ways

    def _node(self, asked: Asked, target: str) -> Need:
        """A machine: its ARN, and its tags, if there is one."""
        instance = self._inventory.find(target, asked.place)
        tags = instance.all_tags if instance is not None else {}
        if target.startswith("i-"):
            return Need(asked.arn("ec2", f"instance/{target}"), {**_tagged("ssm", tags), **_tagged("ec2", tags)})
        if target.startswith("ecs:"):
            cluster, _, rest = target.removeprefix("ecs:").partition("_")
            return Need(asked.arn("ecs", f"task/{cluster}/{rest.partition('_')[0]}"))
        return Need(asked.arn("ssm", f"managed-instance/{target}" if target else "*"), _tagged("ssm", tags))


def _tagged(service: str, tags: Mapping[str, str]) -> dict[str, str]:
    """A resource's tags as condition keys: the one of all services, and the service's own."""
    own = "ssm:resourceTag" if service == "ssm" else f"{service}:ResourceTag"
    return {f"{key}/{name}": value for name, value in tags.items() for key in ("aws:ResourceTag", own)}


def _document(asked: Asked, name: str) -> Need:
    """A document: those of AWS have no account in their ARN."""
    if name.startswith("arn:"):
        return Need(name)
    account_id = "" if is_reserved(name) else asked.place.account_id
    return Need(f"arn:aws:ssm:{asked.place.region}:{account_id}:document/{name}")


def _document_of(argument: str) -> Callable[[Asked], Sequence[Way]]:
    def ways(asked: Asked) -> Sequence[Way]:
        need = _document(asked, asked.text(argument))
        kind = asked.text("DocumentType")
        return [[Need(need.resource, {"ssm:DocumentType": kind} if kind else _NONE)]]

    return ways


def _setting(asked: Asked) -> str:
    name = asked.text("SettingId")
    return name if name.startswith("arn:") else asked.arn("ssm", f"servicesetting/{name.lstrip('/')}")


def _key(asked: Asked) -> Sequence[Way]:
    name = asked.text("KeyId")
    arn = name if name.startswith("arn:") else asked.arn("kms", name if name.startswith("alias/") else f"key/{name}")
    given = asked.arguments.get("EncryptionContext")
    pairs = given if isinstance(given, dict) else {}
    context: dict[str, str | Sequence[str]] = {f"kms:EncryptionContext:{key}": str(each) for key, each in pairs.items()}
    return [[Need(arn, {**context, "kms:EncryptionContextKeys": list(pairs)} if pairs else context)]]


def _database(asked: Asked) -> Sequence[Way]:
    return [[Need(asked.arn("rds", f"db:{asked.text('DBInstanceIdentifier') or '*'}"))]]


_PRINCIPALS = {
    "RoleName": "role/",
    "UserName": "user/",
    "GroupName": "group/",
    "InstanceProfileName": "instance-profile/",
}


def _principal(asked: Asked) -> str:
    """What a call of IAM is about, which has no region."""
    for name in ("PolicyArn", "PolicySourceArn"):
        if asked.text(name):
            return asked.text(name)
    named = [f"{kind}{asked.text(name)}" for name, kind in _PRINCIPALS.items() if asked.text(name)]
    return f"arn:aws:iam::{asked.place.account_id}:{named[-1]}" if named else "*"
