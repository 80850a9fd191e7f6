"""Why ssh refuses a config, by what it says on stderr.

It complains of every line that it cannot take, each by file and line, says "terminating" in the end, and mentions on
the way what it knows but does not do any more ("Unsupported option", "Deprecated option", OpenSSH's readconf.c).
That is no reason. What ssh read may have been a copy, which nobody but us has heard of.
"""

import re
from pathlib import Path

MAX_COMPLAINTS = 3
"""Who mends these will call again; a file of another system can have hundreds."""

_HARMLESS = re.compile(
    r'\bline \d+: (?:Unsupported|Deprecated) option "|: terminating, \d+ bad|^debug\d: |^OpenSSH_|^Pseudo-terminal will'
)
_COMPLAINT = re.compile(r"(?P<path>.*?):? line (?P<number>\d+): (?P<what>.*)")


def reason(complaint: bytes, config: Path | None) -> str:
    """What ssh complains of, each with its line, and with its file if that is not `config`, the one it was given."""
    lines = complaint.decode("utf-8", "replace").splitlines()
    told = list(
        dict.fromkeys(_told(line, str(config)) for line in lines if line.strip() and not _HARMLESS.search(line))
    )
    if not told:
        return "without a reason"
    more = len(told) - MAX_COMPLAINTS
    return "; ".join(told[:MAX_COMPLAINTS]) + (f"; and {more} more" if more > 0 else "")


def _told(line: str, config: str) -> str:
    found = _COMPLAINT.fullmatch(line)
    if found is None:
        return line.replace(config, "the file")
    file = "" if found["path"] == config else f" of {found['path']}"
    return f"line {found['number']}{file}: {found['what']}"
