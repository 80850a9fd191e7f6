"""``--user auto``: whom to log in as on single instances, asked of Systems Manager and EC2.

For entries of one instance only. The user of a pattern's block is the same for all that it matches, and ssh has fixed
it before the proxy runs.
"""

from collections.abc import Iterable, Mapping

import click

from ssmssh.aws.ec2 import image_names
from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.errors import AccessDeniedError, TargetError, UsageError
from ssmssh.nodes.inventory import Listing
from ssmssh.nodes.loginuser import login_user
from ssmssh.nodes.node import Node
from ssmssh.sshconfig.diff import visible
from ssmssh.target import excerpt

AUTO = "auto"


def refuse_for_patterns(user: str | None) -> None:
    """Raises UsageError if the user of a pattern's block is to be found out."""
    if user == AUTO:
        raise UsageError(
            "--user auto is for single instances: ssh fixes its user before the proxy runs, and a pattern is of many",
            "give --user NAME, or use: ssmssh host add, ssmssh sync",
        )


def users_of(client: Asker, nodes: Iterable[Node]) -> Mapping[str, str]:
    """Whom to log in as, by instance id, for those of `nodes` of which it is known; says what EC2 does not. Blocks.

    Hybrid nodes are in no table: whoever set them up has decided.

    Raises:
        SsmsshError: Of the class for the reason, unless it is one permission that is missing.
    """
    machines = [node for node in nodes if not node.is_hybrid]
    try:
        names = image_names(Pager(client), {node.image_id for node in machines if node.image_id})
    except AccessDeniedError as error:
        click.echo(visible(f"Note: images are not known, so their platforms decide: {error}."), err=True)
        names = {}
    users = {
        node.instance_id: login_user(node.platform_name, node.platform_type, names.get(node.image_id, ""))
        for node in machines
    }
    return {key: user for key, user in users.items() if user}


def user_of(client: Asker, instance_id: str) -> str:
    """Whom to log in as on one instance. Blocks.

    Raises:
        TargetError: Nobody knows such an instance, or whom to log in as there.
        SsmsshError: Another reason, of its class.
    """
    node = next(iter(Listing(Pager(client), with_ec2=True, instance_id=instance_id)), None)
    if node is None:
        raise TargetError(f"{instance_id} is not known in {client.region}, so neither is its user", "give --user NAME")
    user = users_of(client, [node]).get(instance_id)
    if user is None:
        platform = excerpt(node.platform_name, 60) if node.platform_name else "which nobody has told"
        raise TargetError(
            f"whom to log in as on {instance_id} is not known: its platform is {platform}", "give --user NAME"
        )
    return user
