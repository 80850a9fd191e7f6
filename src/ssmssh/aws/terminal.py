"""The question for an MFA code, asked on the terminal and nowhere else.

Standard input belongs to ssh: what is read from it is missing in the SSH stream, and what is found there would
be sent to STS as the code. So the question goes to ``/dev/tty``; where there is none (an editor, cron, a
desktop) it is not asked.
"""

import os
import select
import shlex

from ssmssh.errors import CredentialsError

ANSWER_SECONDS = 120.0
"""For a person to find the device and type; a code is valid for 30 s. Clients of ssh give up sooner."""

_LONGEST_ANSWER = 64
"""Bytes; a code has 6 digits (STS allows no other length)."""


def ask_for_mfa_code(question: str, profile: str | None) -> str:
    """Ask on the controlling terminal, which echoes; blocks until answered, at most two minutes.

    Raises:
        CredentialsError: There is no terminal, nobody answers, or the answer is not a number.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise mfa_needed(profile, "there is no terminal to ask for it") from None
    try:
        os.write(terminal, question.encode())
        if not select.select([terminal], [], [], ANSWER_SECONDS)[0]:
            os.write(terminal, b"\n")
            raise mfa_needed(profile, "nobody has entered it")
        answer = os.read(terminal, _LONGEST_ANSWER).decode("ascii", "replace").strip()
    except OSError:
        raise mfa_needed(profile, "the terminal has gone") from None
    finally:
        os.close(terminal)
    if not answer.isdecimal():
        raise mfa_needed(profile, "what was entered is not a number")
    return answer


def mfa_needed(profile: str | None, reason: str) -> CredentialsError:
    """The error for a profile that needs an MFA code which cannot be had, for `reason`."""
    option = f" --profile {shlex.quote(profile)}" if profile else ""
    named = f"The profile {profile}" if profile else "The default profile"
    return CredentialsError(
        f"{named} needs an MFA code, and {reason}",
        f"run this in a terminal, then try again (the result is shared): aws sts get-caller-identity{option}",
    )
