"""Whether ssh waits for as long as a lost connection may take to be resumed."""

import pytest

from ssmssh.session.outage import RESUME_SECONDS
from ssmssh.sshconfig.section import SERVER_ALIVE_COUNT, SERVER_ALIVE_SECONDS
from ssmssh.sshconfig.silence import RESUMING_SECONDS
from tests.sshconfig.home import Home


def test_it_is_the_time_that_the_proxy_takes() -> None:
    assert RESUMING_SECONDS == RESUME_SECONDS < SERVER_ALIVE_SECONDS * SERVER_ALIVE_COUNT


@pytest.mark.parametrize(
    ("main", "said"),
    [
        (b"Host web\n", ""),
        (
            b"ServerAliveInterval 5\n",
            "20 s of silence (ServerAliveInterval 5, ServerAliveCountMax 4), and a lost",
        ),
        (b"ServerAliveCountMax 1\n", "after 30 s of silence"),
        (b"ServerAliveInterval 1m\n", ""),
        (b"ServerAliveInterval 0\n", ""),
        (b"ServerAliveInterval 25\n", ""),
        (b"Host *\n  ServerAliveInterval 1\n", ""),
    ],
)
def test_a_keep_alive_of_the_users_that_is_too_short_is_told(home: Home, main: bytes, said: str) -> None:
    before = home.write(main)
    home.install("--user", "x")
    assert home.config.read_bytes().startswith(main) or main.startswith(b"Host")
    shown = home.run("show-config", "i-0123456789abcdef0")
    assert (shown.return_value, bool(shown.stderr)) == (0, bool(said))
    assert said in shown.stderr
    assert home.run("show-config", "web").stderr.count("silence") == 0
    home.uninstall()
    assert home.config.read_bytes() == before
