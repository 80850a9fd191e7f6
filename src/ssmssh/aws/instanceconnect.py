"""EC2 Instance Connect: SendSSHPublicKey, which lets a key log in to an instance for a minute.

The service keeps the key for 60 s, and the instance's sshd asks for it through a program of the image
(``AuthorizedKeysCommand``): an image without that program takes no notice, and the call succeeds all the same.
"""

import time
from collections.abc import Callable

from ssmssh.aws.pages import Pager
from ssmssh.aws.regional import Asker
from ssmssh.errors import AccessDeniedError

LONGEST_USER = 32
"""Characters of a log-in name that the service takes, and that are told of one."""

ACTION = "ec2-instance-connect:SendSSHPublicKey"


def send_ssh_public_key(
    client: Asker,
    instance_id: str,
    user: str,
    public_key: str,
    *,
    patience_seconds: float,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Have `public_key` open an instance for 60 s; blocks.

    Args:
        client: Who calls, and in which region.
        instance_id: ``i-...``; the service knows no others.
        user: On the instance, 1 to 32 characters.
        public_key: A line of a ``.pub`` file, ed25519 or rsa.
        patience_seconds: How long throttling is put up with.
        wait: Called with seconds before another attempt; what it raises ends the call.

    Raises:
        AccessDeniedError: The caller may not; the hint names the permission.
        TargetError: The instance is not there, or does not run.
        UsageError: The service does not take the user or the key.
        SsmsshError: Otherwise, of the class for the reason.
    """
    pager = Pager(client, patience_seconds=patience_seconds, wait=wait)
    try:
        pager.call(
            "ec2-instance-connect", "send_ssh_public_key", f"push a key for {user[:LONGEST_USER]} to {instance_id}",
            InstanceId=instance_id, InstanceOSUser=user, SSHPublicKey=public_key,
        )  # fmt: skip
    except AccessDeniedError as error:
        hint = error.hint if ACTION in error.hint else f"ask for {ACTION} on the instance"
        raise AccessDeniedError(error.sentence, hint) from None
