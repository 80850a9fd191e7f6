"""What the proxy would get, whatever the settings: refused with the line that is the cause and a hint that works."""

import re
import shlex
from pathlib import Path

import pytest

from ssmssh.errors import ExitStatus, FileError, SsmsshError
from ssmssh.sshconfig import staging
from ssmssh.sshconfig.install import Installation, preview
from ssmssh.sshconfig.options import BlockOptions
from ssmssh.sshconfig.places import place_of
from tests.sshconfig.home import Home

pytestmark = pytest.mark.usefixtures("each_ssh")

INSTANCE = "i-0123456789abcdef0"
THREE = ("--host-pattern", "i-*", "--host-pattern", "mi-*", "--host-pattern", "web", "--capture")
CANONICAL = b"CanonicalizeHostname always\nCanonicalDomains corp.example\n"


def refused(home: Home, *words: str) -> FileError:
    before = home.config.read_bytes()
    with pytest.raises(FileError) as caught:
        home.install("--user", "me", *words)
    assert home.config.read_bytes() == before
    return caught.value


@pytest.mark.parametrize(
    ("main", "cause", "options"),
    [
        (b"Host *\n  HostName %h.corp.example\n", "line 2 of @ decides HostName", ["HostName %h"]),
        (b"HostName jump.example\n", "line 1 of @ decides HostName", ["HostName %h"]),
        (b"Host *\n\tproxyusefdpass=yes\n", "line 2 of @ decides ProxyUseFdpass", ["ProxyUseFdpass no"]),
        (b"Host *\n" + CANONICAL, "line 2 of @ decides CanonicalizeHostname", ["CanonicalizeHostname no"]),
        (CANONICAL + b"CanonicalizeFallbackLocal no\n", "Canonicalize", ["CanonicalizeHostname no"]),
        (b"CanonicalizeHostname always\nCanonicalizeFallbackLocal no\n", "Canonicalize", ["CanonicalizeHostname no"]),
        (
            CANONICAL + b"HostName %h.corp\nProxyUseFdpass yes\n",
            "line 4 of @ decides ProxyUseFdpass",
            ["ProxyUseFdpass no", "CanonicalizeHostname no", "HostName %h"],
        ),
    ],
)
def test_the_hint_makes_it_work(home: Home, main: bytes, cause: str, options: list[str]) -> None:
    home.write(main)
    refusal = refused(home)
    assert cause.replace("@", str(home.config)) in refusal.sentence
    assert refusal.hint == "add " + " and ".join(f"--option '{option}'" for option in options)
    home.install("--user", "me", *shlex.split(refusal.hint.removeprefix("add ").replace(" and ", " ")))
    answer = home.ssh(INSTANCE)
    assert answer["hostname"] == [INSTANCE]
    assert answer["proxyusefdpass"] == ["no"]


def test_an_alias_of_an_instance_is_one(home: Home) -> None:
    home.write(f"Host web\n  HostName {INSTANCE}\n".encode())
    home.install("--user", "me", *THREE)
    assert home.ssh("web")["hostname"] == [INSTANCE]
    assert "ssmssh-proxy" in home.ssh("web")["proxycommand"][0]


def test_a_hint_that_would_not_help_is_not_given(home: Home) -> None:
    home.write(f"Host web\n  HostName {INSTANCE}\nHost *\n  HostName %h.corp.example\n".encode())
    refusal = refused(home, *THREE)
    assert f"turns {INSTANCE} into {INSTANCE}.corp.example" in refusal.sentence
    assert f"(line 4 of {home.config} decides HostName)" in refusal.sentence
    assert refusal.hint == "nothing was changed"


def test_the_name_in_a_hint_is_the_one_that_was_typed(home: Home) -> None:
    home.write(b"Host Web\n  User you\n")
    refusal = refused(home, "--host-pattern", "Web", "--capture")
    assert "below 'Host Web' in your ssh config" in refusal.hint  # ssh hands out web, but Host web is another host


def test_a_name_that_is_no_instance_is_refused(home: Home) -> None:
    home.write(b"Host web\n  User you\n")
    refusal = refused(home, "--name", "web", "--host-pattern", "web", "--capture")
    assert "ssh would hand web to the proxy as it is" in refusal.sentence
    assert "--option 'HostName i-...'" in refusal.hint
    words = ("--name", "web", "--host-pattern", "web", "--capture", "--option", f"HostName {INSTANCE}")
    home.install("--user", "me", *words)
    refusal = refused(home, "--name", "web", "--option", "HostName web.example")
    assert "turns web into web.example, which names no instance" in refusal.sentence


@pytest.mark.parametrize("main", [b"CanonicalizeHostname yes\nCanonicalDomains corp.example\n", b"HostName %h\n"])
def test_what_does_no_harm_is_not_refused(home: Home, main: bytes) -> None:
    home.write(main)
    home.install("--user", "me")


ABOVE = {
    "HostName": (b"Host *\n  HostName jump.example\n", "add --option 'HostName %h'"),
    "ProxyUseFdpass": (b"Host *\n  ProxyUseFdpass yes\n", "add --option 'ProxyUseFdpass no'"),
    "an Include": (b"Include @/theirs\n", "add --option 'HostName %h'"),
    "nonsense": (b"Bogus yes\n", "refuses the file as it is: line 1: Bad configuration option: bogus"),
}


@pytest.mark.parametrize(("above", "said"), ABOVE.values(), ids=ABOVE)
@pytest.mark.parametrize("mode", ["--inline", "--include"])
def test_a_block_that_is_there_is_proved_too(home: Home, above: bytes, said: str, mode: str) -> None:
    home.write(b"Host web\n", {"theirs": b"Host i-* mi-*\n  HostName jump.example\n"})
    home.install("--user", "me", mode)
    assert home.run("install-config", "--check").return_value == ExitStatus.DONE
    home.write(above + home.config.read_bytes())
    assert said in str(refused(home))
    with pytest.raises(SsmsshError, match=re.escape(said)) as caught:
        home.run("install-config", "--check")
    assert caught.value.exit_status == ExitStatus.UNEXPECTED
    with pytest.raises(SsmsshError) if above.startswith(b"Bogus") else pytest.MonkeyPatch.context():
        shown = home.run("show-config", INSTANCE)
        assert shown.return_value == ExitStatus.UNEXPECTED
        assert "The proxy is there and runs." not in shown.stdout


def test_the_systems_config_has_a_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "etc" / "ssh_config"
    (system.parent / "more").mkdir(parents=True)
    monkeypatch.setattr(staging, "SYSTEM_CONFIG", system)
    system.write_text("Include nothing more/*\nHost *\n  User you\n")
    (system.parent / "more" / "1").write_text("Host *\n  ProxyUseFdpass yes\n")
    for path in (system, system.parent / "more" / "1"):
        path.chmod(0o644)
    (tmp_path / ".ssh").mkdir()
    users = place_of(tmp_path / ".ssh" / "config", tmp_path / "state", tmp_path)
    job = Installation("", BlockOptions(user="me"), reset=False, script="/opt/ssmssh-proxy")
    with pytest.raises(
        FileError, match=re.escape(f"line 2 of {system.parent}/more/1 decides ProxyUseFdpass")
    ) as caught:
        preview(job, users)
    assert caught.value.hint == "add --option 'ProxyUseFdpass no'"
    preview(job._replace(options=BlockOptions(user="me", option=("ProxyUseFdpass no",))), users)
    preview(job, place_of(tmp_path / "alone", tmp_path / "state", tmp_path))


def test_commands_of_the_systems_config_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "ssh_config"
    monkeypatch.setattr(staging, "SYSTEM_CONFIG", system)
    ran = tmp_path / "ran"
    system.write_text(f'Host *\nMatch exec "touch {ran}"\n')
    system.chmod(0o644)
    (tmp_path / ".ssh").mkdir()
    users = place_of(tmp_path / ".ssh" / "config", tmp_path / "state", tmp_path)
    job = Installation("", BlockOptions(user="me"), reset=False, script="/opt/ssmssh-proxy")
    _, doubt = preview(job, users)
    assert ran.exists()
    assert "has run the Match exec commands" in doubt
    ran.unlink()
    _, doubt = preview(job, place_of(tmp_path / "alone", tmp_path / "state", tmp_path))
    assert (ran.exists(), doubt) == (False, "")
