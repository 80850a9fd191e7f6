"""How long ssh puts up with silence, and whether the proxy can resume a lost connection meanwhile."""

from collections.abc import Mapping

RESUMING_SECONDS = 100
"""For how long the proxy tries (`ssmssh.session.outage.RESUME_SECONDS`, which is on a higher floor)."""


def objection(settings: Mapping[str, list[str]]) -> str:
    """What is wrong with the keep-alive among the settings that ``ssh -G`` shows; empty if it leaves enough time.

    ssh ends a connection after ServerAliveCountMax unanswered messages, one each ServerAliveInterval seconds (0: none).
    """
    interval = int(settings.get("serveraliveinterval", ["0"])[0])
    count = int(settings.get("serveralivecountmax", ["3"])[0])
    if not 0 < interval * count < RESUMING_SECONDS:
        return ""
    why = f"ServerAliveInterval {interval}, ServerAliveCountMax {count}"
    return (
        f"ssh gives up after {interval * count} s of silence ({why}), "
        f"and a lost connection may take {RESUMING_SECONDS} s to be resumed"
    )
