"""``install-config --suffix`` and ``--by``: blocks whose hosts are no ids."""

import pytest

from ssmssh.errors import UsageError
from tests.sshconfig.home import Home

ID = "i-0123456789abcdef0"
CONFIG = b"Host gate\n    User me\nHost *\n    UserKnownHostsFile @/known_hosts\n    GlobalKnownHostsFile none\n"


def test_a_suffix_is_a_pattern_and_an_option_of_the_proxy(home: Home) -> None:
    before = home.write(CONFIG)
    home.install("--user", "ec2-user", "--profile", "prod", "--suffix", "ssm")
    assert b"Host i-* mi-* *.ssm\n" in home.config.read_bytes()
    for host in ("web-1.ssm", "web-1.eu-west-1.prod.ssm", ID):
        answer = home.ssh(host)
        assert answer["proxycommand"][0].endswith("/ssmssh-proxy --profile prod --suffix ssm %h %p")
        assert (answer["user"], answer["hostname"]) == (["ec2-user"], [host])
    assert "Nothing to change" in home.install().stderr
    assert home.run("install-config", "--check").return_value == 0
    home.install("--suffix", "")
    assert "proxycommand" not in home.ssh("web-1.ssm")
    assert home.ssh(ID)["proxycommand"][0].endswith("--profile prod %h %p")
    home.uninstall()
    assert home.config.read_bytes() == before


def test_the_suffix_is_matched_as_it_is_typed(home: Home, each_ssh: str) -> None:
    """ssh compares letter for letter with the suffix; what stands before it may have capitals."""
    home.write(CONFIG)
    home.install("--user", "ec2-user", "--suffix", "ssm")
    for host in ("db-1.ssm", "DB-1.ssm", "Db-1.Prod.ssm"):
        assert home.ssh(host)["user"] == ["ec2-user"], each_ssh
    for host in ("DB-1.SSM", "db-1.Ssm"):
        assert "proxycommand" not in home.ssh(host), each_ssh


def test_a_suffix_beside_other_patterns(home: Home) -> None:
    home.install("--suffix", "ssm", "--host-pattern", "i-*", "--host-pattern", "*.ssm", "--user", "me")
    assert home.config.read_bytes().count(b"*.ssm") == 2  # among the options, and on the Host line
    home.install("--name", "prod", "--profile", "prod", "--suffix", "prod-ssm", "--user", "me")
    assert home.ssh("web.prod-ssm")["proxycommand"][0].endswith("--profile prod --suffix prod-ssm %h %p")
    assert home.ssh("web.ssm")["proxycommand"][0].endswith("--suffix ssm %h %p")


def test_hosts_of_the_users_are_listed_before_they_are_captured(home: Home) -> None:
    before = home.write(b"Host box.ssm web.lab\n    User me\n")
    with pytest.raises(UsageError, match="would answer for hosts of yours"):
        home.install("--suffix", "ssm")
    assert home.config.read_bytes() == before
    shown = home.install("--suffix", "ssm", "--capture")
    assert "box.ssm (line 1 of" in shown.stderr
    assert "web.lab" not in shown.stderr


@pytest.mark.parametrize("suffix", ["a.b", ".ssm", "SSM", "-ssm", "ssm-", "a b", "a*", "$(x)", "x" * 64, "caf\xe9"])
def test_a_suffix_is_a_label(home: Home, suffix: str) -> None:
    with pytest.raises(UsageError, match="cannot end a host name"):
        home.install("--suffix", suffix)
    assert not home.config.exists()


def test_a_suffix_is_no_word_that_host_names_have_anyway(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.directory / "aws").write_text("[profile Prod]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home.directory / "aws"))
    for suffix in ("eu-west-1", "prod"):
        with pytest.raises(UsageError, match="is the name of a region or a profile"):
            home.install("--suffix", suffix)


def test_what_is_left_of_a_block_without_its_comments(home: Home) -> None:
    home.write(CONFIG)
    home.install("--suffix", "ssm", "--user", "ec2-user")
    whole = home.config.read_bytes()
    home.config.write_bytes(b"".join(each for each in whole.splitlines(keepends=True) if not each.startswith(b"#")))
    home.install()
    assert home.config.read_bytes() == whole


def test_an_entry_may_have_the_suffix_and_comes_before_it(home: Home) -> None:
    home.write(CONFIG)
    home.install("--suffix", "ssm", "--user", "ec2-user")
    home.add("web-1.ssm", ID, "--user", "root")
    assert home.ssh("web-1.ssm")["hostname"] == [ID]
    assert home.ssh("web-2.ssm")["hostname"] == ["web-2.ssm"]
    home.install("--region", "eu-west-1")
    assert home.ssh("web-1.ssm")["user"] == ["root"]


@pytest.mark.parametrize("by", ["name", "private-ip", "public-ip", "dns", "tag:Role", "tag:my key"])
def test_what_hosts_are(home: Home, by: str) -> None:
    home.write(CONFIG)
    home.install("--name", "lab", "--by", by, "--host-pattern", "10.7.*", "--host-pattern", "box", "--user", "me")
    word = f'"{by}"' if " " in by else by
    assert home.ssh("10.7.0.1")["proxycommand"][0].endswith(f"/ssmssh-proxy --by {word} %h %p")
    assert home.run("show-config", "10.7.0.1").return_value == 0
    assert home.run("show-config", "box").return_value == 0


@pytest.mark.parametrize("words", [("--by", "tag:Role"), ("--by", "name"), ("--suffix", "ssm")])
def test_which_one_of_a_group(home: Home, words: tuple[str, str]) -> None:
    """The option is one of the proxy's, is remembered, is known without the comments, and can be taken back."""
    home.write(CONFIG)
    host, patterns = ("box.ssm", ()) if "ssm" in words else ("box", ("--host-pattern", "box"))
    home.install("--name", "lab", *words, "--choose", "newest", *patterns, "--user", "me")
    command = " ".join(("/ssmssh-proxy", *words, "--choose newest %h %p"))
    assert home.ssh(host)["proxycommand"][0].endswith(command)
    home.install("--name", "lab", "--region", "eu-west-1")
    assert home.ssh(host)["proxycommand"][0].endswith(" --choose newest %h %p")
    whole = home.config.read_bytes()
    home.config.write_bytes(b"".join(each for each in whole.splitlines(keepends=True) if not each.startswith(b"#")))
    home.install("--name", "lab", *patterns)
    assert home.ssh(host)["proxycommand"][0].endswith(" --choose newest %h %p")
    home.install("--name", "lab", "--choose", "oldest")
    assert home.ssh(host)["proxycommand"][0].endswith(" --choose oldest %h %p")
    home.install("--name", "lab", "--choose", "")
    assert "--choose" not in home.ssh(host)["proxycommand"][0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--by", "id"], "is nothing to find a host by"),
        (["--by", "tag:"], "is nothing to find a host by"),
        (["--by", "tag:a'b"], "cannot stand in a ProxyCommand"),
        (["--by", "name", "--suffix", "ssm"], "cannot be given together"),
        (["--by", "tag:Role", "--choose", "any"], "takes newest or oldest"),
        (["--by", "private-ip", "--choose", "newest"], "may mean a group"),
        (["--choose", "newest"], "may mean a group"),
    ],
)
def test_what_hosts_cannot_be(home: Home, words: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        home.install(*words)
    assert not home.config.exists()


def test_show_config_takes_a_name_with_the_suffix(home: Home) -> None:
    home.install("--suffix", "ssm", "--user", "me")
    shown = home.run("show-config", "web-1.ssm")
    assert (shown.return_value, "The proxy is there and runs." in shown.stdout) == (0, True)
    assert home.run("show-config", "web-1").return_value == 1
