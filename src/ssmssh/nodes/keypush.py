"""A key is brought to an instance before ssh offers it there: through EC2 Instance Connect.

AWS checks the key, the instance keeps nothing, and one call is all. The service knows EC2 instances only (``i-...``),
and needs a permission of its own. Whether an image takes part in it at all nobody is told: a push to one that does not
succeeds, and opens nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.aws.identity import identity_of
from ssmssh.aws.instanceconnect import send_ssh_public_key
from ssmssh.errors import TargetError, UsageError
from ssmssh.nodes.pushedkey import own_key, public_half, rsa_bits
from ssmssh.nodes.pushes import Push, Pushes

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient
    from ssmssh.nodes.hostkeys import HostKey

PATIENCE_SECONDS = {"instance-connect": 5.0}
"""For a push to be answered, and to hold the server's first byte for it, by the way it takes: a call of the API takes
no longer."""

RSA_BITS = (0, 2048, 4096)
"""Lengths of RSA keys that Instance Connect takes (User Guide, "Create a key pair"); 0 stands for other kinds. Not
among them is what ssh-keygen makes unasked, 3072."""


class KeyPush(NamedTuple):
    """What is to be pushed.

    `user` is the log-in name, `way` one of `ssmssh.settings.PUSH_WAYS`; `identity_file` a private key of the user's,
    None for the one of ours in `directory`. `pushes` are those that have been made.
    """

    user: str
    way: str
    identity_file: Path | None
    directory: Path
    pushes: Pushes

    def make(self, client: "AwsClient", target: str, patience_seconds: float, wait: Callable[[float], None]) -> bool:
        """Push the key, unless a push of it counts still; whether it was pushed now. Blocks.

        Args:
            client: Who calls, with credentials.
            target: The instance.
            patience_seconds: How long throttling, and another process's push, are put up with.
            wait: Called with seconds before another attempt; what it raises ends the call.

        Raises:
            UsageError: The key is of no kind that can be pushed.
            TargetError: The target is nothing that a key can be pushed to.
            SsmsshError: Otherwise, of the class for the reason.
        """
        key = own_key(self.directory) if self.identity_file is None else public_half(self.identity_file)
        push = Push(str(identity_of(client)), target, self.user, key.text)

        def call() -> None:
            self._push(client, target, key, patience_seconds, wait)

        return self.pushes.once(push, call, patience_seconds=patience_seconds, wait=wait)

    def _push(
        self,
        client: "AwsClient",
        target: str,
        key: "HostKey",
        patience_seconds: float,
        wait: Callable[[float], None],
    ) -> None:
        if not target.startswith("i-"):
            raise TargetError(
                f"Cannot push a key to {target}: EC2 Instance Connect knows EC2 instances only",
                "put a key of yours there",
            )
        if (bits := rsa_bits(key)) not in RSA_BITS:
            raise UsageError(
                f"Cannot push an RSA key of {bits} bits: EC2 Instance Connect takes 2048 and 4096",
                "name another one in --identity-file, or none: ssmssh has one of its own",
            )
        send_ssh_public_key(client, target, self.user, key.text, patience_seconds=patience_seconds, wait=wait)
