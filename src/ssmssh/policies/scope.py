"""Which instances, documents and sessions a policy is about, as ARNs and conditions.

Sources: Service Authorization Reference, "Systems Manager", "EC2", "EC2 Instance Connect"; User Guide of Systems
Manager, "Additional sample IAM policies for Session Manager".
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ssmssh.policies.statement import literally

DOCUMENT_CHECK: Final = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
"""Has the document of a session be asked about, too, also where a call names none."""

SESSION_OWNER: Final = "ssm:resourceTag/aws:ssmmessages:session-id"
"""A tag that the service puts on each session: the ``aws:userid`` of who has started it."""


class Scope(NamedTuple):
    """What a policy is about; ``*`` stands for all.

    Attributes:
        partition: ``aws``, ``aws-cn``, ``aws-us-gov``.
        region: Of instances and documents.
        account: Theirs, 12 digits.
        instance_id: One instance, EC2's or hybrid.
        tags: Keys and values that an instance must have, all of them.
        documents: Session documents instead of those that the features use by themselves.
        is_role: The caller is a role's session (IAM Identity Center, SAML, web identity) or a federated user.
        session_name: With which a role's sessions are called, if that is known.
        os_user: The only user whom keys may be pushed for.
        kms_key: ARN of the key that the account's sessions are encrypted with.
    """

    partition: str = "aws"
    region: str = "*"
    account: str = "*"
    instance_id: str = "*"
    tags: Sequence[tuple[str, str]] = ()
    documents: Sequence[str] = ()
    is_role: bool = False
    session_name: str | None = None
    os_user: str | None = None
    kms_key: str | None = None

    @property
    def ec2_instances(self) -> tuple[str, ...]:
        """EC2's; none if a hybrid node is meant."""
        if self.instance_id.startswith("mi-"):
            return ()
        return (f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/{self.instance_id}",)

    @property
    def hybrid_nodes(self) -> tuple[str, ...]:
        """None if an EC2 instance is meant."""
        if self.instance_id.startswith("i-"):
            return ()
        return (f"arn:{self.partition}:ssm:{self.region}:{self.account}:managed-instance/{self.instance_id}",)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Both."""
        return self.ec2_instances + self.hybrid_nodes

    def document(self, name: str) -> str:
        """The ARN of a document; of one of AWS's in whichever account, for its ARNs name none or the caller's."""
        if name.startswith("arn:"):
            return name
        account = "*" if name.startswith("AWS-") else self.account
        return f"arn:{self.partition}:ssm:{self.region}:{account}:document/{name}"

    @property
    def own_sessions(self) -> tuple[str, ...]:
        """The ARNs of the caller's sessions, by their ids: those begin with the name of the user or the role's session.

        AWS's own examples have the unique id of the caller there, for roles, too, and a WebSocket is opened under them.
        """
        names = ["${aws:userid}"]
        if self.session_name:
            names.insert(0, literally(self.session_name))
        elif not self.is_role:
            names.insert(0, "${aws:username}")
        return tuple(f"arn:{self.partition}:ssm:{self.region}:{self.account}:session/{name}-*" for name in names)

    @property
    def all_sessions(self) -> tuple[str, ...]:
        """Everybody's."""
        return (f"arn:{self.partition}:ssm:{self.region}:{self.account}:session/*",)

    def tagged(self, key_prefix: str) -> Mapping[str, Mapping[str, str]]:
        """The condition that an instance has the tags; `key_prefix` is ``ssm:resourceTag`` or ``aws:ResourceTag``."""
        if not self.tags:
            return {}
        return {"StringEquals": {f"{key_prefix}/{key}": literally(value) for key, value in self.tags}}
