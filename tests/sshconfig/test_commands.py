"""The commands as a user calls them, on real files, proved by the real ssh."""

import importlib.util
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ssmssh.__main__ as main_module
from ssmssh import settings
from ssmssh.commands import _config
from ssmssh.errors import FileError, UsageError
from ssmssh.sshconfig import install
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.places import place_of
from ssmssh.sshconfig.plan import Plan  # noqa: TC001 - mypy reads it, too
from tests.sshconfig.home import Home
from tests.sshconfig.test_files import in_child


def test_a_new_file_is_private_and_goes_again(home: Home) -> None:
    home.install("--user", "ec2-user", "--profile", "prod")
    assert home.config.stat().st_mode & 0o777 == 0o600
    for host in ("i-0123456789abcdef0", "mi-0123456789abcdef0"):
        answer = home.ssh(host)
        assert answer["user"] == ["ec2-user"]
        assert answer["proxycommand"][0].endswith("/ssmssh-proxy --profile prod %h %p")
        assert answer["serveraliveinterval"] == ["30"]
    assert "proxycommand" not in home.ssh("web")
    home.uninstall()
    assert not home.config.exists()


def test_a_second_run_keeps_what_was_chosen(home: Home) -> None:
    home.install("--user", "ec2-user", "--option", "LogLevel ERROR")
    first = home.config.read_bytes()
    assert "Nothing to change" in home.install().stderr
    assert home.config.read_bytes() == first
    home.install("--region", "eu-west-1")
    assert home.ssh("i-0")["user"] == ["ec2-user"]
    assert home.ssh("i-0")["proxycommand"][0].endswith("--region eu-west-1 %h %p")
    home.install("--reset", "--user", "ubuntu")
    assert "LogLevel" not in home.config.read_text()
    assert home.ssh("i-0")["user"] == ["ubuntu"]


def test_mode_and_links_stay(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "ssh"
    target.parent.mkdir()
    target.write_bytes(b"Host work\n  User me")
    target.chmod(0o640)
    home.config.symlink_to(target)
    home.install()
    assert home.config.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes().endswith(b"Host work\n  User me")
    home.uninstall()
    assert target.read_bytes() == b"Host work\n  User me"


def test_a_dry_run_and_a_check_write_nothing(home: Home) -> None:
    home.config.write_bytes(b"Host work\n")
    shown = home.run("install-config", "--dry-run")
    assert "+Host i-* mi-*" in shown.stdout
    assert shown.return_value == 0
    assert home.run("install-config", "--check").return_value == 1
    assert home.config.read_bytes() == b"Host work\n"
    home.install()
    assert home.run("install-config", "--check").return_value == 0


def test_without_a_user_a_hint_is_given(home: Home) -> None:
    assert "--user ec2-user" in home.install().stderr


def test_without_a_terminal_nothing_is_written_unasked(home: Home) -> None:
    with pytest.raises(UsageError, match="--yes"):
        home.run("install-config")
    assert not home.config.exists()


def test_a_block_that_would_lose_is_refused(home: Home) -> None:
    home.config.write_bytes(b"Host *\n  ProxyUseFdpass yes\n")
    with pytest.raises(FileError, match="ProxyUseFdpass"):
        home.install()
    home.install("--option", "ProxyUseFdpass no")


def test_what_ssh_refuses_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match=r"(?i)bad configuration option: nonsense"):
        home.install("--option", "Nonsense 1")
    home.config.write_bytes(b"Host a\n  Nonsense 1\n")
    with pytest.raises(FileError, match=r"(?i)line [0-9]+: Bad configuration option: nonsense"):
        home.install()
    assert home.config.read_bytes() == b"Host a\n  Nonsense 1\n"


def test_printing_writes_nothing(home: Home) -> None:
    printed = home.run("install-config", "--print", "--user", "ubuntu").stdout
    assert printed.startswith("# >>> ssmssh >>>")
    assert "    User ubuntu\n" in printed
    assert not home.config.exists()
    assert list(home.directory.iterdir()) == []


def test_control_sockets_get_a_directory(short_home: Home) -> None:
    short_home.install("--multiplex")
    assert short_home.own.parent.stat().st_mode & 0o777 == 0o700
    assert short_home.ssh("i-0")["controlpersist"] == ["60"]
    assert short_home.ssh("i-0")["controlpath"][0].startswith(f"{short_home.directory}/ssmssh/")
    short_home.own.parent.chmod(0o777)
    short_home.install("--multiplex", "1h30m")
    assert short_home.own.parent.stat().st_mode & 0o777 == 0o700
    assert short_home.ssh("i-0")["controlpersist"] == ["5400"]
    short_home.install("--multiplex", "")
    assert short_home.ssh("i-0")["controlmaster"] == ["false"]


@pytest.mark.parametrize("time", ["0", "soon", "10 m", "1y", "00s"])
def test_a_time_for_sharing_that_is_none(short_home: Home, time: str) -> None:
    with pytest.raises(UsageError, match=r"--multiplex .* is not a time; write 60s"):
        short_home.install("--multiplex", time)
    assert not short_home.config.exists()


def test_options_of_all_kinds_reach_ssh(home: Home) -> None:
    home.install(
        *(
            "--identity-file",
            "keys/id",
            "--identities-only",
            "--forward-agent",
            "--compression",
            "--server-alive",
            "60",
        ),
        *("--local-forward", "8080:localhost:80", "--local-forward", "9090:localhost:90"),
        *("--host-pattern", "web-*", "--host-pattern", "i-*", "--user", "ubuntu"),
    )
    answer = home.ssh("web-1")
    assert answer["identityfile"] == [str(Path("keys/id").absolute())]
    assert answer["localforward"] == ["8080 [localhost]:80", "9090 [localhost]:90"]
    assert answer["serveraliveinterval"] == ["60"]
    assert [answer[key] for key in ("identitiesonly", "forwardagent", "compression")] == [["yes"]] * 3
    home.install("--local-forward", "", "--no-compression", "--identity-file", "", "--host-pattern", "")
    answer = home.ssh("i-0")
    assert "localforward" not in answer
    assert answer["compression"] == ["no"]
    assert answer["identityfile"] != [str(Path("keys/id").absolute())]
    assert "proxycommand" not in home.ssh("web-1")


def test_a_capture_needs_more_than_a_yes(home: Home) -> None:
    home.write(b"Host mi-server\n  User me\n")
    with pytest.raises(UsageError, match=r"answer for hosts of yours.*--capture"):
        home.install()
    home.install("--capture")
    assert home.ssh("mi-server")["proxycommand"][0].endswith("%h %p")
    home.install("--region", "eu-west-1")


def test_the_default_is_the_config_that_ssh_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSMSSH_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(settings.home_directory()))
    place = _config.place(None)
    assert place.config == settings.home_directory() / ".ssh" / "config"
    assert place.directory_name == place.keys_name == "~/.ssh/ssmssh"
    assert place.own == settings.home_directory() / ".ssh" / "ssmssh" / "config"
    monkeypatch.setenv("HOME", str(tmp_path))
    spelled = str(place.directory)
    assert _config.place(None) == place._replace(directory_name=spelled, keys_name=spelled)
    assert f"Note: $HOME is {tmp_path}, but ssh reads the config in" in capsys.readouterr().err


def test_a_second_answer_of_the_same_plan_is_not_shown_twice(home: Home) -> None:
    job = install.Installation("", BlockOptions(), reset=False, script="/opt/ssmssh-proxy")
    place = place_of(home.config, home.state, None)
    shown: list[Plan] = []
    assert install.carry_out(job, place, lambda plan, doubt: shown.append(plan), lambda plan: False) is None
    assert install.carry_out(job, place, lambda plan, doubt: shown.append(plan), lambda plan: True) == shown[1]
    assert len(shown) == 2


def test_what_was_written_and_removed_is_named(home: Home) -> None:
    def told(command: str, *words: str) -> list[str]:
        return home.run(command, "--yes", *words).stderr.splitlines()

    own, config = home.own, home.config
    home.write(b"Host web\n")
    assert told("install-config", "--user", "x") == [f"Written: {config}"]
    assert told("install-config", "--include") == [f"Written: {own}", f"Written: {config}"]
    assert told("install-config", "--user", "y") == [f"Written: {own}"]
    assert told("uninstall-config") == [f"Removed: {own}", f"Written: {config}"]
    told("install-config", "--user", "x", "--include")
    home.write(b"Host web\n")  # by somebody who does not want that line
    assert told("uninstall-config") == [f"Removed: {own}"]
    config.unlink()
    assert told("install-config", "--user", "x") == [f"Written: {config}"]
    assert told("uninstall-config") == [f"Removed: {config}"]


@pytest.mark.parametrize("words", [("--yes",), ("--check",), ("--dry-run",)])
def test_a_block_that_is_not_there_is_told_with_those_that_are(home: Home, words: tuple[str, ...]) -> None:
    def told(name: str) -> str:
        done = home.run("uninstall-config", *words, "--name", name)
        assert (done.return_value, done.stdout) == (0, "")
        return done.stderr.rstrip()

    assert told("typo") == told("") == f"There is no block of ssmssh in {home.config}."
    home.install("--name", "prod", "--include", "--user", "x")
    assert told("typo") == f"There is no block named typo in {home.config}; there is: prod."
    assert told("") == f"There is no block without a name in {home.config}; there is: prod."
    home.install("--user", "x")
    assert told("typo") == f"There is no block named typo in {home.config}; there are: one without a name, prod."


def test_a_file_that_we_made_ends_in_no_section(home: Home) -> None:
    """Programs append to it, without a look at what it ends with."""
    home.install("--user", "x")
    assert home.config.read_text().endswith("Host *\n# <<< ssmssh <<<\n")
    with home.config.open("a") as file:
        file.write("Port 2222\n")
    assert [home.ssh(host)["port"] for host in ("web", "i-0")] == [["2222"], ["2222"]]
    home.uninstall()
    assert home.config.read_text() == "Port 2222\n"


def test_the_help_has_examples_and_they_work(home: Home) -> None:
    shown = home.run("install-config", "--help").stdout
    examples = [line.split() for line in shown.splitlines() if line.lstrip().startswith("ssmssh install-config ")]
    assert len(examples) == 4
    for _, command, *words in examples:
        assert home.run(command, "--dry-run", *words).return_value == 0


def test_a_key_that_is_not_there_yet_is_mentioned(home: Home) -> None:
    home.write(b"Host web\n", {"key": b"", "my key": b""})
    for name in (home.directory / "none", "~/.ssh/none of that name", "%d/none of that name", "~nobody-here/id"):
        said = home.install("--user", "x", "--identity-file", str(name)).stderr
        assert f"Note: there is no file {name} yet; ssh will not offer that key until there is.\n" in said
    for name in (home.directory / "key", home.directory / "my key"):
        assert "Note" not in home.install("--user", "x", "--identity-file", str(name)).stderr


def test_a_block_that_moves_has_one_note_with_a_subject(home: Home) -> None:
    home.write(b"Host web\n")
    home.install("--user", "x")
    home.config.write_bytes(b"ProxyJump gate\nHost *\n  User me\n" + home.config.read_bytes())
    said = home.install().stderr.splitlines()
    why = f"line 3 of {home.config} decides User before it"
    assert said == [f"Note: the block moves to the very top, because {why}.", f"Written: {home.config}"]


def test_a_keep_alive_that_has_no_effect_is_told(home: Home) -> None:
    home.write(b"ServerAliveInterval 5\nHost web\n")
    note = f"line 1 of {home.config} decides ServerAliveInterval and stays in force, so --server-alive has no effect"
    for words in ((), ("--include",), ("--inline",)):
        assert note not in home.install("--user", "x", *words).stderr
    assert note in home.install("--server-alive", "60").stderr
    assert note not in home.install("--server-alive", "5").stderr


def test_a_config_that_another_includes_was_proved_alone(home: Home) -> None:
    users = home.directory / ".ssh" / "config"
    config = home.directory / ".ssh" / "d" / "instances"
    config.parent.mkdir(parents=True)
    config.write_bytes(b"Host web\n")
    place = place_of(config, home.state, home.directory)
    job = install.Installation("", BlockOptions(), reset=False, script="/opt/ssmssh-proxy")
    assert install.preview(job, place)[0].notes == ()
    users.write_text(f"Port 22\nHost i-*\n  Include {config.parent}/*\n")
    (note,) = install.preview(job, place)[0].notes
    assert note == f"this was proved for {config} alone; line 3 of {users} includes it, and what is above that wins"
    users.unlink()
    users.mkdir()
    assert install.preview(job, place)[0].notes == ()


@pytest.fixture
def _profiles(home: Home) -> None:
    """AWS's configuration with two profiles."""
    path = home.directory / "aws_config"
    path.write_text('[default]\n[profile prod]\n[profile "my profile"]\n')
    home.environment |= {"AWS_CONFIG_FILE": str(path), "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}


@pytest.mark.parametrize("region", ["nosuch", "eu-west", "EU-WEST-1", "eu-west-1 ", "aws-global"])
def test_what_can_be_no_region_is_refused(home: Home, region: str) -> None:
    with pytest.raises(UsageError, match="is not an AWS region; it is written like eu-west-1"):
        home.install("--region", region)
    assert not home.config.exists()


@pytest.mark.usefixtures("_profiles")
@pytest.mark.parametrize(
    ("words", "doubt"),
    [
        (["--region", "eu-north-99"], "the region eu-north-99 is not known to the installed botocore"),
        (["--profile", "later"], "there is no AWS profile later yet"),
        (["--name", "staging"], "connections to i-*.staging will fail for now: 'staging' in"),
        (["--name", "prod", "--profile", "default"], "--profile default will not be used for i-*.prod"),
        (["--host-pattern", "*.eu-west-1", "--region", "us-east-1"], "--region us-east-1 will not be used for"),
    ],
)
def test_names_that_aws_does_not_know_yet_are_mentioned(home: Home, words: list[str], doubt: str) -> None:
    assert f"Note: {doubt}" in home.install(*words).stderr
    assert home.config.exists()


@pytest.mark.usefixtures("_profiles")
@pytest.mark.parametrize(
    "words",
    [
        ["--region", "eu-west-1"],
        ["--profile", "my profile"],
        ["--name", "prod"],
        ["--name", "prod", "--profile", "prod"],
        ["--host-pattern", "i-*.eu-west-1.prod", "--host-pattern", "i-0*", "--host-pattern", "i-*.p*"],
    ],
)
def test_names_that_aws_knows_are_not(home: Home, words: list[str]) -> None:
    assert "Note:" not in home.install(*words).stderr


def test_a_user_that_the_system_does_not_know_is_a_clear_line() -> None:
    def ask_for_home() -> None:
        os.setuid(54321)
        settings.home_directory()

    if os.geteuid() == 0:
        assert in_child(ask_for_home) == "uid 54321 is not in the password database, and ssh serves no such user"


def test_names_do_not_act_on_the_terminal(home: Home) -> None:
    home.config = home.directory / "c\x1b[31m\udcff"
    home.write(b"User me\n")
    result = home.install("--user", "ec2-user")
    assert "\x1b" not in result.output
    assert "Written: " in result.stderr
    assert "c\\x1b[31m\\udcff" in result.stderr


@pytest.mark.alone
def test_bytecode_that_is_missing_is_made(home: Home) -> None:
    compiled = Path(importlib.util.cache_from_source(main_module.__file__))
    compiled.unlink(missing_ok=True)
    home.run("install-config", "--dry-run")
    assert not compiled.exists()
    home.install()
    assert compiled.exists()


@pytest.mark.parametrize("where", ["main", "included", "empty lines"])
def test_the_work_grows_with_the_file_and_not_with_its_square(home: Home, where: str) -> None:
    def work(size: int) -> int:
        hosts = b"".join(b"Host h%d g%d*\n    HostName 10.0.0.1\n    User me\n\n" % (n, n) for n in range(size))
        main = {"main": hosts, "included": b"Include @/hosts\nHost web\n", "empty lines": b"\n" * 20 * size}[where]
        before = home.write(main, {"hosts": hosts})
        calls = count_calls(lambda: home.install("--user", "ec2-user"))
        home.uninstall()
        assert home.config.read_bytes() == before
        return calls

    few, twice_as_many = work(1_000), work(2_000)
    assert twice_as_many < 2.1 * few


def count_calls(action: Callable[[], object]) -> int:
    """How many functions `action` calls, Python's and C's, in a process of its own."""

    def counted() -> None:
        calls = itertools.count()
        sys.setprofile(lambda _frame, event, _argument: next(calls) if event.endswith("call") else None)
        action()
        sys.setprofile(None)
        raise Counted(str(next(calls)))

    return int(in_child(counted))


class Counted(Exception):  # noqa: N818 - not an error: how the child tells its result
    """The result of a count."""
