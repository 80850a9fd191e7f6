"""The ``ssmssh`` command: its commands by name.

A command's module is imported when it is called for, so that each of them starts as fast as it can.
"""

from typing import NoReturn

import click

from ssmssh import __version__
from ssmssh.commands._group import Commands, call
from ssmssh.lifecycle import Program, complete_standard_streams

COMMANDS = {
    "doctor": "Find out why it does not work, and say what to do.",
    "document": "List, show and make session documents, and explain the account's preferences.",
    "forward": "Forward ports without ssh, to an instance and to what it can reach.",
    "host": "Keep hosts under names of your own in ~/.ssh/config.",
    "install-config": "Write or update the block in ~/.ssh/config.",
    "list": "List the managed instances of one or many regions and profiles.",
    "pick": "Choose an instance, and print its id.",
    "policy": "Print the IAM policies that a set-up needs, and check what is attached.",
    "run": "Run a command on one instance or on many, without ssh.",
    "shell": "Open a shell on an instance, without ssh.",
    "sandbox": "Try ssh through Session Manager without AWS, on this computer.",
    "show-config": "Show what ssh will do for a host, and which lines decide it.",
    "sync": "Write an entry in ~/.ssh/config for each instance, by its tags.",
    "uninstall-config": "Remove the block from ~/.ssh/config.",
}
"""The commands with the line that the help shows."""

_PROGRAM = "ssmssh"


@click.group(cls=Commands, summaries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=_PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Reach EC2 instances and hybrid nodes through AWS Session Manager with the SSH tools you already use."""


def main() -> NoReturn:
    """Run the command line and end the process; the exit statuses are those of `ExitStatus`, or 128 + signal."""
    complete_standard_streams()
    program = Program(_PROGRAM)
    program.begin()

    def work() -> int:
        with program.stop.interrupting():
            return call(cli, _PROGRAM, program)

    program.end(program.run(work), waits_for_threads=True)
