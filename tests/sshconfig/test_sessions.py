"""``install-config --sessions``: blocks for connections of several sessions, beside the one for all others."""

import pytest

from ssmssh.errors import UsageError
from tests.sshconfig.home import Home

ID = "i-0123456789abcdef0"
CONFIG = b"Host *\n    UserKnownHostsFile @/known_hosts\n    GlobalKnownHostsFile none\n"


def test_a_named_block_for_downloads(home: Home) -> None:
    before = home.write(CONFIG)
    home.install("--user", "ec2-user")
    shown = home.install("--name", "fast", "--user", "ec2-user", "--sessions", "8")
    assert "will fail" not in shown.stderr
    text = home.config.read_text()
    assert "Host i-*.fast mi-*.fast\n" in text
    assert text.index("Host i-*.fast") < text.index("Host i-* mi-*")
    (fast,) = home.ssh(f"{ID}.fast")["proxycommand"]
    assert "--sessions 8 --drop-word fast %h %p" in fast
    assert fast.endswith((' "%r"', "%p"))
    assert "--sessions" not in home.ssh(ID)["proxycommand"][0]
    assert "Nothing to change" in home.install("--name", "fast").stderr
    home.install("--name", "fast", "--sessions", "1")
    assert "--drop-word" not in home.config.read_text()
    home.uninstall("--name", "fast")
    home.uninstall()
    assert home.config.read_bytes() == before


def test_with_a_suffix_names_have_the_word_too(home: Home) -> None:
    home.write(CONFIG)
    home.install("--suffix", "ssm", "--user", "me")
    home.install("--name", "fast", "--suffix", "ssm", "--sessions", "4", "--user", "me")
    assert "Host i-*.fast mi-*.fast *.fast.ssm\n" in home.config.read_text()
    assert "--suffix ssm --sessions 4 --drop-word fast" in home.ssh("web.fast.ssm")["proxycommand"][0]
    assert "--sessions" not in home.ssh("web.ssm")["proxycommand"][0]


@pytest.mark.parametrize("name", ["prod", "eu-west-1", "Prod"])
def test_a_name_that_says_something_of_a_target(home: Home, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (home.directory / "aws").write_text("[profile Prod]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home.directory / "aws"))
    with pytest.raises(UsageError, match=r"is a region|is a profile"):
        home.install("--name", name, "--sessions", "8", "--user", "me")
    assert not home.config.exists()
    home.install("--name", "Prod", "--profile", "Prod", "--user", "me")


def test_the_unnamed_block_may_have_them(home: Home) -> None:
    home.write(CONFIG)
    home.install("--sessions", "4", "--user", "me")
    (proxy,) = home.ssh(ID)["proxycommand"]
    assert "--sessions 4 %h %p" in proxy
    assert "--drop-word" not in proxy


def test_patterns_of_ones_own_drop_nothing(home: Home) -> None:
    home.write(CONFIG)
    home.install("--name", "fast", "--host-pattern", "i-0123*", "--sessions", "4", "--user", "me")
    assert "--drop-word" not in home.ssh(ID)["proxycommand"][0]


@pytest.mark.parametrize("number", ["0", "17"])
def test_a_number_that_is_none(home: Home, number: str) -> None:
    with pytest.raises(Exception, match="1<=x<=16"):
        home.install("--sessions", number)
