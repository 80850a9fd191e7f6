"""``ssmssh host`` as a user calls it, on real files, proved by the real ssh."""

import subprocess
from pathlib import Path

import pytest

from ssmssh.errors import FileError, UsageError
from tests.sshconfig.home import Home
from tests.sshconfig.hostile import CONFIGS, HOSTS

ID, OTHER = "i-0123456789abcdef0", "i-0fedcba9876543210"
KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS\n"
CONFIG = b"Host gate\n    User me\n\nHost *\n    UserKnownHostsFile @/known_hosts\n    GlobalKnownHostsFile none\n"


def listed(home: Home) -> list[list[str]]:
    return [line.split() for line in home.run("host list").stdout.splitlines()]


def test_a_host_is_added_changed_and_removed(home: Home) -> None:
    before = home.write(CONFIG)
    home.add("web-1", f"{ID}.eu-west-1", "--user", "ec2-user", "--identity-file", "/h/id")
    answer = home.ssh("web-1")
    assert (answer["hostname"], answer["hostkeyalias"], answer["user"]) == ([ID], [ID], ["ec2-user"])
    assert answer["proxycommand"][0].endswith("/ssmssh-proxy --region eu-west-1 %h %p")
    assert answer["identityfile"] == ["/h/id"]
    home.add("web-1", OTHER)  # the rest is kept
    answer = home.ssh("web-1")
    assert (answer["hostname"], answer["user"]) == ([OTHER], ["ec2-user"])
    assert answer["proxycommand"][0].endswith("--region eu-west-1 %h %p")
    home.add("web-1", ID, "--reset", "--user", "ubuntu")
    assert home.ssh("web-1")["proxycommand"][0].endswith("/ssmssh-proxy %h %p")
    home.run("host remove", "--yes", "web-1")
    assert home.config.read_bytes() == before


def test_any_target(home: Home) -> None:
    target = "sagemaker-cluster:abcd1234_workers-i-0123456789abcdef0"
    home.write(CONFIG)
    home.add("gpu", "--target", target, "--user", "ubuntu")
    answer = home.ssh("gpu")
    assert answer["proxycommand"][0].endswith(f"/ssmssh-proxy --target {target} %h %p")
    assert (answer["hostname"], answer["hostkeyalias"]) == (["gpu"], [target])


def test_list(home: Home) -> None:
    assert home.run("host list").stdout == ""
    home.write(CONFIG)
    home.add("b", ID, "--profile", "prod", "--region", "eu-west-1")
    home.add("a", "--target", "ecs:c_t_r")
    assert listed(home) == [["b", ID, "eu-west-1", "prod", "ssmssh", "host"], ["a", "ecs:c_t_r", "ssmssh", "host"]]


@pytest.mark.parametrize("mode", ["--inline", "--include"])
def test_beside_the_other_blocks(home: Home, mode: str) -> None:
    before = home.write(CONFIG)
    home.install(mode, "--user", "ec2-user", "--profile", "prod")
    home.add("web", ID, mode, "--user", "root")
    home.install("--name", "dev", mode, "--user", "dev")
    home.add("db", OTHER)
    assert (home.ssh("web")["user"], home.ssh("db")["hostname"]) == (["root"], [OTHER])
    assert (home.ssh(ID)["user"], home.ssh(f"{ID}.dev")["user"]) == (["ec2-user"], ["dev"])
    assert home.own.exists() == (mode == "--include")
    assert "no block named" not in home.run("uninstall-config", "--yes", "--name", "hosts").stderr
    assert listed(home) == []
    assert home.ssh("web")["hostname"] == ["web"]
    home.uninstall("--name", "dev")
    home.uninstall()
    assert home.config.read_bytes() == before


def test_a_dry_run_and_a_check_write_nothing(home: Home) -> None:
    before = home.write(CONFIG)
    shown = home.run("host add", "web", ID, "--dry-run")
    assert "+Host web\n" in shown.stdout
    assert shown.return_value == 0
    assert home.run("host add", "web", ID, "--check").return_value == 1
    assert home.config.read_bytes() == before
    home.add("web", ID)
    assert home.run("host add", "web", ID, "--check").return_value == 0
    assert "Nothing to change" in home.add("web", ID).stderr
    assert home.run("host remove", "web", "--check").return_value == 1
    with pytest.raises(UsageError, match="add --yes"):
        home.run("host remove", "web")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gate", "line 1 of .*config has a host of that name"),
        ("known", "a known_hosts file has a host of that name"),
        ("hashed", "a known_hosts file has a host of that name"),
        ("github.com", "it has a dot"),
        ("*", "it is a pattern"),
        ("web-?", "it is a pattern"),
        (ID, "it begins like an instance id"),
        ("mi-server", "it begins like an instance id"),
        ("localhost", "it is this computer's"),
        ("a b", "it is no host name"),
        ("Web", "it has capitals"),
        ("web\nHost a", "it is no host name"),
    ],
)
def test_names_that_are_refused(home: Home, name: str, why: str) -> None:
    known = home.directory / "known_hosts"
    known.write_bytes(b"hashed " + KEY)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    known.write_bytes(known.read_bytes() + b"known,10.0.0.1 " + KEY)
    before = home.write(CONFIG)
    with pytest.raises(UsageError, match=f"cannot be the name of an entry: {why}"):
        home.add(name, OTHER)
    assert home.config.read_bytes() == before


def test_a_name_with_the_suffix_of_a_block(home: Home) -> None:
    home.write(CONFIG)
    with pytest.raises(UsageError, match="it has a dot"):
        home.add("web.ssm", ID)
    home.install("--host-pattern", "gpu-*", "--name", "gpu")
    with pytest.raises(UsageError, match="another block of ssmssh answers for it"):
        home.add("gpu-1", ID)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["web"], "give TARGET, or --target"),
        (["web", ID, "--target", "ecs:x"], "give TARGET, or --target"),
        (["web", "ecs:cluster_task_runtime"], "give --target"),
        (["web", f"{ID}.nowhere"], "'nowhere' in .* is not an AWS region"),
        (["web", f"{ID}.eu-west-1", "--region", "eu-west-2"], "says eu-west-1 and --region says eu-west-2"),
        (["web", ID, "--region", "nowhere"], "is not an AWS region"),
        (["web", ID, "--option", "Nonsense 1"], "(?i)bad configuration option: nonsense"),
        (["web", ID, "--option", "Host x"], "it would end the block"),
        (["web", ID, "--user", "-x"], "cannot be a user name"),
        (["web", "--target", "x" * 401], "1 to 400 characters"),
        (["web", "--target", "a'b"], "cannot stand in a ProxyCommand"),
    ],
)
def test_what_is_refused(home: Home, words: list[str], why: str) -> None:
    before = home.write(CONFIG)
    with pytest.raises(UsageError, match=why):
        home.add(*words)
    assert home.config.read_bytes() == before


def test_whom_ssh_logs_in_as_is_told_of_an_entry_that_can_be(home: Home) -> None:
    home.write(CONFIG)
    assert "no --user was given" in home.add("web", ID).stderr
    assert "no --user was given" not in home.add("db", OTHER, "--user", "ec2-user").stderr
    assert "no --user was given" not in home.add("db", ID).stderr  # it is kept


def test_to_remove_what_is_not_there(home: Home) -> None:
    home.write(CONFIG)
    home.add("web", ID)
    with pytest.raises(UsageError, match="no entry 'db'"):
        home.run("host remove", "--yes", "web", "db")
    assert listed(home)[0][0] == "web"


def test_the_names_of_the_blocks_are_not_for_others(home: Home) -> None:
    for name in ("hosts", "sync"):
        with pytest.raises(UsageError, match=f"the block {name} is kept by: ssmssh"):
            home.install("--name", name)


def test_lines_of_others_in_the_block(home: Home) -> None:
    home.write(CONFIG)
    home.add("web", ID)
    mine = home.config.read_bytes().replace(b"# <<< ssmssh hosts", b"Host own\n    User me\n# <<< ssmssh hosts")
    home.config.write_bytes(mine)
    with pytest.raises(FileError, match=r"line [0-9]+ of .*config is no entry"):
        home.add("db", OTHER)
    with pytest.raises(FileError, match="stand lines that are not the block's"):
        home.uninstall("--name", "hosts")
    assert home.config.read_bytes() == mine


def test_entries_whose_comments_another_program_has_taken(home: Home) -> None:
    """It prints the file anew without comments; the entries work on, and become ours again when they are named."""
    home.write(CONFIG)
    home.add("web", ID, "--user", "ec2-user")
    home.add("db", OTHER)
    bare = b"".join(line for line in home.config.read_bytes().splitlines(keepends=True) if not line.startswith(b"#"))
    home.config.write_bytes(bare)
    assert home.ssh("web")["hostname"] == [ID]
    home.add("web", OTHER, "--user", "ubuntu")
    answer = home.ssh("web")
    assert (answer["hostname"], answer["user"]) == ([OTHER], ["ubuntu"])
    assert home.config.read_bytes().count(b"Host web\n") == 1
    assert home.ssh("db")["hostname"] == [OTHER]
    assert [row[0] for row in listed(home)] == ["web"]


@pytest.mark.parametrize("words", [["web", ID], ["web", "--target", "ecs:c_t_r"]])
def test_show_config(home: Home, words: list[str]) -> None:
    home.write(CONFIG)
    home.add(*words, "--user", "ec2-user")
    shown = home.run("show-config", "web")
    assert shown.return_value == 0
    assert "The proxy is there and runs." in shown.stdout
    assert "ssmssh-proxy" in shown.stdout.splitlines()[1]
    assert "(line 5 of " in shown.stdout


def test_what_would_win_sends_the_block_to_the_top(home: Home) -> None:
    home.write(b"User global\nProxyJump gate\n\nHost web-*\n    User pattern\n")
    shown = home.add("web-1", ID, "--user", "ec2-user")
    assert "very top" in shown.stderr
    answer = home.ssh("web-1")
    assert (answer["user"], answer["hostname"]) == (["ec2-user"], [ID])
    assert home.ssh("other")["user"] == ["global"]


@pytest.mark.parametrize("name", list(CONFIGS)[::2])
def test_hostile_configs(home: Home, name: str) -> None:
    before = home.write(*CONFIGS[name])
    theirs = {host: home.ssh(host) for host in HOSTS}
    home.add("box-1", ID, "--user", "ec2-user")
    home.add("box-2", "--target", "ecs:c_t_r")
    answer = home.ssh("box-1")
    assert (answer["hostname"], answer["user"], answer.get("proxyjump")) == ([ID], ["ec2-user"], None)
    assert {host: home.ssh(host) for host in HOSTS} == theirs
    assert "Nothing to change" in home.add("box-2", "--target", "ecs:c_t_r").stderr
    home.run("host remove", "--yes", "box-1", "box-2")
    assert home.config.read_bytes() == before


def test_each_version_of_ssh(home: Home, each_ssh: str) -> None:
    home.write(CONFIG)
    assert Path(each_ssh).exists()
    home.add("web-1", ID, "--user", "ec2-user")
    home.add("gpu", "--target", "sagemaker-cluster:abcd_workers-i-0")
    assert home.ssh("web-1")["hostname"] == [ID]
    with pytest.raises(UsageError, match="has a host of that name"):
        home.add("gate", ID)


def test_a_key_of_the_users_config_that_renames_hosts(home: Home) -> None:
    home.write(b"CanonicalizeHostname always\nCanonicalDomains lab.example\n")
    with pytest.raises(FileError, match="CanonicalizeHostname"):
        home.add("web-1", ID)
