"""A key is brought to an instance before ssh offers it there: through EC2 Instance Connect, else through Run Command.

Instance Connect is the better way: AWS checks the key, the instance keeps nothing, and one call is all. It knows EC2
instances only (``i-...``), and needs a permission of its own. Whether an image takes part in it at all nobody is told:
a push to one that does not succeeds, and opens nothing.

Where it cannot be and the user allows it, Run Command has a script of ours write the key into the user's file on the
instance, with a time at which it ends (``authorize.sh``).
"""

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.aws.identity import identity_of
from ssmssh.aws.instanceconnect import send_ssh_public_key
from ssmssh.aws.runcommand import run_script
from ssmssh.errors import AccessDeniedError, SsmsshError, TargetError, UsageError
from ssmssh.nodes.pushedkey import own_key, public_half, rsa_bits
from ssmssh.nodes.pushes import Push, Pushes
from ssmssh.target import excerpt, is_instance_id

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient
    from ssmssh.nodes.hostkeys import HostKey

PATIENCE_SECONDS = {"instance-connect": 5.0, "run-command": 10.0, "only-run-command": 10.0}
"""For a push to be answered, and to hold the server's first byte for it, by the way it takes: a call of the API takes
no longer than the first. A command takes two seconds; clients that wait for 10 s in all may leave before the second."""

RUN_COMMAND_SECONDS = 120
"""For which a key is good that Run Command has written: the log-in may come a while after the command has ended."""

LOCK_SECONDS = 30.0
"""To wait for another process that makes the same push; who has to wait for the server's first byte gives up before."""

ACCESS_PAUSE_SECONDS = 2.0
"""Between two attempts while a permission that was granted is not known of everywhere; that takes seconds."""

RSA_BITS = (0, 2048, 4096)
"""Lengths of RSA keys that Instance Connect takes (User Guide, "Create a key pair"); 0 stands for other kinds. Not
among them is what ssh-keygen makes unasked, 3072."""

USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
"""For Run Command: what useradd(8) takes by default. Nothing else comes near a shell."""

_log = logging.getLogger(__name__)
_ALLOW = "allow --push-key=run-command, which writes it into the user's authorized_keys for two minutes"
_WHY_NOT = (AccessDeniedError, TargetError, UsageError)
"""What Instance Connect is refused with where Run Command may do it."""


class KeyPush(NamedTuple):
    """What is to be pushed.

    `user` is the log-in name, `way` one of `ssmssh.settings.PUSH_WAYS`; `identity_file` a private key of the user's,
    None for the one of ours in `directory`. `pushes` are those that have been made. `access_seconds` is for how long a
    denied access is tried again.
    """

    user: str
    way: str
    identity_file: Path | None
    directory: Path
    pushes: Pushes
    access_seconds: float = 0.0

    def make(self, client: "AwsClient", target: str, patience_seconds: float, wait: Callable[[float], None]) -> bool:
        """Push the key, unless a push of it counts still; whether it was pushed now. Blocks.

        Args:
            client: Who calls, with credentials.
            target: The instance.
            patience_seconds: How long throttling is put up with, or a command that has not ended. A push that another
                process is making is waited for as long as `LOCK_SECONDS`.
            wait: Called with seconds before another attempt; what it raises ends the call.

        Raises:
            UsageError: The key is of no kind that can be pushed.
            TargetError: The target is nothing that a key can be pushed to.
            SsmsshError: Otherwise, of the class for the reason.
        """
        key = own_key(self.directory) if self.identity_file is None else public_half(self.identity_file)
        push = Push(str(identity_of(client)), target, self.user, key.text, self.way)

        def call() -> None:
            gives_up_at = time.monotonic() + self.access_seconds
            while True:
                try:
                    return self._push(client, target, key, patience_seconds, wait)
                except AccessDeniedError:
                    if time.monotonic() + ACCESS_PAUSE_SECONDS > gives_up_at:
                        raise
                wait(ACCESS_PAUSE_SECONDS)

        return self.pushes.once(push, call, patience_seconds=LOCK_SECONDS, wait=wait)

    def _push(
        self,
        client: "AwsClient",
        target: str,
        key: "HostKey",
        patience_seconds: float,
        wait: Callable[[float], None],
    ) -> None:
        if self.way == "only-run-command":
            self._through_run_command(client, target, key, patience_seconds, wait)
            return
        try:
            self._through_instance_connect(client, target, key, patience_seconds, wait)
        except _WHY_NOT as error:
            if self.way == "instance-connect":
                raise type(error)(error.sentence, f"{error.hint}; or {_ALLOW}") from None
            _log.info("through Run Command, since: %s", error)
            try:
                self._through_run_command(client, target, key, patience_seconds, wait)
            except SsmsshError as second:
                raise type(second)(f"{second.sentence} (and before: {error.sentence})", second.hint) from None

    def _through_instance_connect(
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

    def _through_run_command(
        self,
        client: "AwsClient",
        target: str,
        key: "HostKey",
        patience_seconds: float,
        wait: Callable[[float], None],
    ) -> None:
        if not is_instance_id(target):
            raise TargetError(f"Cannot push a key to {target}: Run Command knows instances only", "put a key there")
        run_script(
            client, target, command_for(self.user, key), f"push a key for {self.user} to",
            patience_seconds=patience_seconds, wait=wait,
        )  # fmt: skip


def command_for(user: str, key: "HostKey") -> str:
    """The script that lets `key` log in as `user` for `RUN_COMMAND_SECONDS`; UsageError for a name that it cannot take.

    What is put in front of the script's own text are words that no shell acts upon: the name as `USER` has it, and the
    key made of its parsed parts, in Base64.
    """
    if not USER.fullmatch(user):
        raise UsageError(
            f"{excerpt(user, 40)} is no user name for Run Command", "small letters, digits, _ and -, at most 32"
        )
    words = {"user": user, "key": key.text, "seconds": str(RUN_COMMAND_SECONDS)}
    assigned = "".join(f"{name}='{value}'\n" for name, value in words.items())
    return assigned + Path(__file__).with_name("authorize.sh").read_text("ascii")
