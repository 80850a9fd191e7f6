"""Our reading of lines and patterns against that of the real ssh."""

import subprocess
import tempfile
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.patterns import list_matches

HOST = "i-1"

FRAGMENTS = (
    *("Host", "host", '"Host"', 'Ho"st', "Match", "all", "User", "=", "#", '"', "'", "\\", "\0"),
    *(" ", "\t", "\r", "\f", "\v", "i-1", "i-*", "!i-1", "?-1", "x", "*"),
)
LINES = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join).map(str.encode)


def ssh(config: bytes, host: str = HOST) -> list[str] | None:
    """What ssh would send as environment for a host; None if it refuses the config."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(config)
        file.flush()
        command = ["ssh", "-G", "-F", file.name, "--", host]
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        return None
    return [line.split(" ")[1] for line in done.stdout.decode().splitlines() if line.startswith("sendenv ")]


def ours(config: bytes, host: str = HOST) -> list[str]:
    """The same, by our scanner; for configs without Include, and without Match but ``Match all``."""
    found, active = [], True
    for line in Document(config).lines:
        words = [word.decode() for word in line.arguments() or ()]
        if line.is_section:
            active = line.keyword == "match" or list_matches(words, host)
        elif active and line.keyword == "sendenv":
            found += words
    return found


@settings(max_examples=200, deadline=None)
@given(LINES)
@example(b'"" Host i-1')
@example(b' "" Host i-1')
@example(b"= Host i-1")
@example(b'Host"i-1"')
@example(b"Host i-1\\ x")
@example(b"Host\0i-1")
@example(b"Host i-1\f")
def test_a_line_opens_a_section_for_us_where_it_does_for_ssh(line: bytes) -> None:
    config = b"IgnoreUnknown *\nHost none\n" + line + b"\nSendEnv MARK\n"
    said = ssh(config)
    if said is not None:
        assert ours(config) == said


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text("ai-*?!", min_size=1, max_size=6), min_size=1, max_size=3), min_size=20, max_size=40))
@pytest.mark.parametrize("host", ["i-a", "a", "i-ai-a"])
def test_patterns_match_for_us_where_they_do_for_ssh(host: str, patterns: Sequence[Sequence[str]]) -> None:
    blocks = (f"Host {' '.join(words)}\nSendEnv M{number}\n" for number, words in enumerate(patterns))
    config = "".join(blocks).encode()
    assert ours(config, host) == ssh(config, host)
