"""How AWS is asked, and how a person is told to ask it: a pager for a check, the options for a command."""

import shlex

from ssmssh.aws.pages import Pager
from ssmssh.doctor.examination import Examination
from ssmssh.doctor.facts.caller import client

ANSWER_SECONDS = 2.0
"""For which a call that is throttled, or whose connection broke, is made again: a check has four in all."""


def pager(examination: Examination) -> Pager:
    """Makes calls, for one check: it is for one thread, and so no fact. Raises as `client`."""
    return Pager(examination.fact(client), patience_seconds=ANSWER_SECONDS)


def options(examination: Examination) -> str:
    """What makes an ``aws`` or ``ssmssh`` command go where we go: region and profile, with a blank in front."""
    who = examination.fact(client)
    profile = f" --profile {shlex.quote(who.profile)}" if who.profile else ""
    return f" --region {who.region}{profile}"
