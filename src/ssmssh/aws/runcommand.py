"""Run Command: a script that runs on an instance as root, and what it prints.

SendCommand only says that there is a command. What became of it is asked for, again and again: GetCommandInvocation
knows nothing of it for a moment (``InvocationDoesNotExist``), then that it is on its way, then how it ended. A healthy
agent takes a second or two; one that is not connected takes nothing, and the command waits for it until its time-out.

The document is ``AWS-RunShellScript``, which the account's own rules name most often. A script is a constant of ours:
nothing is put into its text.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ssmssh.aws.errors import FOREIGN_ERRORS, NOT_AWS, Context, error_code, is_for_later, map_error
from ssmssh.errors import NetworkError, ProtocolError, TargetError

if TYPE_CHECKING:
    from ssmssh.aws.client import AwsClient

DOCUMENT = "AWS-RunShellScript"

DELIVERY_SECONDS = 30
"""For the agent to take the command: the least that SendCommand accepts. Nobody waits for it longer than that."""

EXECUTION_SECONDS = 30
"""For the script to run, after which the agent kills it: ours take a moment."""

MAX_OUTPUT_CHARACTERS = 24_000
"""Which GetCommandInvocation gives of what was printed (its reference); more is cut off by the service."""

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 1.0

_AGENTS_WORDS = "failed to run commands: "
"""With which the agent tells a script's status, behind what the script itself has said."""

_UNDER_WAY = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})


def run_script(
    client: "AwsClient",
    instance_id: str,
    script: str,
    what: str,
    *,
    patience_seconds: float,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """What a script prints that runs on an instance as root. Blocks for `patience_seconds`, and for a call more.

    Args:
        client: Who calls, and in which region.
        instance_id: Where it runs.
        script: For ``sh``; `DOCUMENT` has it be run from a file.
        what: Completes "Cannot ..., on INSTANCE".
        patience_seconds: When it is given up; the script may still run then.
        wait: Called with seconds between calls; what it raises ends this.
        clock: Monotonic seconds.

    Raises:
        TargetError: The instance takes no commands, or the script failed there.
        NetworkError: It did not end within the patience.
        ProtocolError: What answered is no AWS.
        SsmsshError: Otherwise, of the class for the reason.
    """
    client.credentials()  # so that their failure is not taken for one of this call
    context = client.context(what, instance_id, DOCUMENT)
    asker = _Asker(client.ssm, context, clock() + patience_seconds, wait, clock)
    sent = asker.call(
        "send_command",
        InstanceIds=[instance_id],
        DocumentName=DOCUMENT,
        Parameters={"commands": script.splitlines(), "executionTimeout": [str(EXECUTION_SECONDS)]},
        TimeoutSeconds=DELIVERY_SECONDS,
        Comment="ssmssh",
    )
    command_id = _command_id(sent, context)
    pause = _FIRST_PAUSE_SECONDS
    while True:
        asker.pause(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_SECONDS)
        answer = asker.call(
            "get_command_invocation",
            missing=("InvocationDoesNotExist",),
            CommandId=command_id,
            InstanceId=instance_id,
        )
        status = str(answer.get("Status", "Pending"))
        if status == "Success":
            return str(answer.get("StandardOutputContent", ""))[:MAX_OUTPUT_CHARACTERS]
        if status not in _UNDER_WAY:
            errors = str(answer.get("StandardErrorContent", "")).strip().splitlines()
            said = [line for line in errors if not line.startswith(_AGENTS_WORDS)]
            details = str(answer.get("StatusDetails", status))
            raise TargetError(
                context.sentence(f"the command ended as {details}{f': {said[-1][:200]}' if said else ''}")
            )


class _Asker:
    """Makes calls until the patience is over."""

    def __init__(
        self,
        ssm: Any,
        context: Context,
        gives_up_at: float,
        wait: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._ssm = ssm
        self._context = context
        self._gives_up_at = gives_up_at
        self._wait = wait
        self._clock = clock

    def call(self, operation: str, *, missing: Sequence[str] = (), **arguments: Any) -> Mapping[str, Any]:
        """One call, made again while it is throttled; nothing for a refusal whose code is among `missing`."""
        pause = 2 * _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer: Mapping[str, Any] = getattr(self._ssm, operation)(**arguments)
            except FOREIGN_ERRORS as error:
                if error_code(error) in missing:
                    return {}
                if not is_for_later(error) or self._clock() + pause > self._gives_up_at:
                    raise map_error(error, self._context) from None
            else:
                return answer
            self._wait(pause)
            pause = min(2 * pause, 4 * _LONGEST_PAUSE_SECONDS)

    def pause(self, seconds: float) -> None:
        """Wait before another look; raises NetworkError if that is too late."""
        if self._clock() + seconds > self._gives_up_at:
            raise NetworkError(
                self._context.sentence("the command has not ended in time"),
                "look at it with: aws ssm list-command-invocations --details",
            )
        self._wait(seconds)


def _command_id(answer: Mapping[str, Any], context: Context) -> str:
    """The id of the command that was sent; raises ProtocolError where the answer is none."""
    try:
        found = answer["Command"]["CommandId"]
    except (LookupError, TypeError):
        found = None
    if not isinstance(found, str) or len(found) != 36:
        raise ProtocolError(context.sentence("the answer is not one of Run Command"), NOT_AWS)
    return found
