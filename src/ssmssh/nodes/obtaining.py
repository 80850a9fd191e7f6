"""An instance's public host keys, as AWS hands them on: through Run Command, else from the console's output.

Run Command asks the machine as it is now: which keys its sshd has, wherever they lie, and their public halves; the
agent runs the script as root. Where that cannot be (no permission, no shell, no agent that takes commands) EC2 has what
the machine printed on its console when it was made, if cloud-init did: minutes after the first start, and not for ever.

Who vouches is the machine's own root, and AWS for which machine it is.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ssmssh.aws.ec2 import console_output
from ssmssh.aws.pages import Pager
from ssmssh.aws.runcommand import run_script
from ssmssh.errors import AccessDeniedError, SsmsshError, TargetError
from ssmssh.nodes.hostkeys import HostKey, in_console, in_lines

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

RUN_COMMAND = "Run Command"
CONSOLE = "the console output"
"""Ways, as sentences name them and the state keeps them."""

CONSOLE_SECONDS = 2.0
"""Of the patience, kept for the one call for the console's output."""

SCRIPT = """\
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
keys=$(sshd -T 2>/dev/null | sed -n 's/^hostkey //p')
if [ -z "$keys" ]; then cat /etc/ssh/ssh_host_*_key.pub; exit; fi
printf '%s\\n' "$keys" | while IFS= read -r key; do
  if [ -r "$key.pub" ]; then cat "$key.pub"; else ssh-keygen -y -P '' -f "$key" </dev/null 2>/dev/null; fi
done
exit 0
"""
"""Prints the public host keys of the machine's sshd: those of its own configuration (``HostKey``), or where it does not
say, those where every distribution has them. Without a ``.pub`` file the public half is made from the key."""

PERMISSIONS = "ssm:SendCommand on AWS-RunShellScript with ssm:GetCommandInvocation, or ec2:GetConsoleOutput"


class Obtained(NamedTuple):
    """The keys, and the way they came."""

    keys: tuple[HostKey, ...]
    way: str


def obtain(
    client: "AwsClient",
    instance_id: str,
    *,
    patience_seconds: float,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Obtained:
    """The public host keys of an instance; blocks for `patience_seconds`, and for a call more.

    Raises:
        AccessDeniedError: Neither way is permitted.
        TargetError: AWS cannot say, for the reasons in the sentence.
    """
    gives_up_at = clock() + patience_seconds
    failures: list[SsmsshError] = []
    try:
        printed = run_script(
            client, instance_id, SCRIPT, "read the host keys of",
            patience_seconds=patience_seconds - CONSOLE_SECONDS, wait=wait, clock=clock,
        )  # fmt: skip
        if keys := in_lines(printed):
            return Obtained(keys, RUN_COMMAND)
        failures.append(TargetError(f"Run Command has found no host key on {instance_id}"))
    except SsmsshError as error:
        failures.append(error)
    if instance_id.startswith("i-"):
        left_seconds = min(CONSOLE_SECONDS, gives_up_at - clock())
        try:
            printed = console_output(Pager(client, patience_seconds=left_seconds, wait=wait, clock=clock), instance_id)
            if keys := in_console(printed):
                return Obtained(keys, CONSOLE)
            why = "has no host keys, which come minutes after the first start" if printed else "is empty as yet"
            failures.append(TargetError(f"the console output of {instance_id} {why}"))
        except SsmsshError as error:
            failures.append(error)
    raise _joined(failures)


def _joined(failures: list[SsmsshError]) -> SsmsshError:
    sentence = "; ".join(failure.sentence for failure in failures)
    if all(isinstance(failure, AccessDeniedError) for failure in failures):
        return AccessDeniedError(sentence, f"ask for {PERMISSIONS}")
    is_denied = any(isinstance(failure, AccessDeniedError) for failure in failures)
    return TargetError(sentence, f"it takes {PERMISSIONS}" if is_denied else "connect again in a minute")
