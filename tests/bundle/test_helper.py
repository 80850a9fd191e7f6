"""How a relay is started: the helper's command line, the far side's, and what is said when it does not work."""

import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from ssmssh.bundle.helper import COMMAND, READ_BYTES, Helper, Login, Unavailable, command
from ssmssh.bundle.places import Place

SECRET = "0123456789abcdef" * 4
SHELLS = ["sh", "bash", "dash", "tcsh", "fish"]
LOGIN = Login("i-0123456789abcdef0.fast", 2222, "ec2-user", ["/bin/ssmssh-proxy", "--reason", "100% it's", "h"], {})


def test_the_command_line() -> None:
    words = command(LOGIN)
    assert words[:3] == ["ssh", "-T", "-x"]
    assert words[-7:] == ["-l", "ec2-user", "-p", "2222", "--", LOGIN.host, COMMAND]
    options = [words[at + 1] for at, word in enumerate(words) if word == "-o"]
    assert options[:7] == [
        "BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no",
        "RemoteCommand=none", "PermitLocalCommand=no",
    ]  # fmt: skip
    assert SECRET not in " ".join(words)


def test_its_proxy_is_ours_without_a_bundle() -> None:
    """As ssh has it after its own percent signs and the shell's quotes."""
    (proxy,) = [word for word in command(LOGIN) if word.startswith("ProxyCommand=")]
    text = proxy.removeprefix("ProxyCommand=")
    assert "%" not in text.replace("%%", "")
    assert shlex.split(text.replace("%%", "%")) == [*LOGIN.proxy_words, "--sessions", "1"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_starts_python(shell: str) -> None:
    assert shutil.which(shell), f"these tests need {shell}"
    program = "import sys\nprint(sys.version_info[0], __name__)\n"
    done = subprocess.run([shell, "-c", COMMAND], input=program, capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("3 __main__\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_says_that_there_is_no_python(shell: str, tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    program = shutil.which(shell)
    assert program, f"these tests need {shell}"
    done = subprocess.run(
        [program, "-c", COMMAND], input="print(1)", capture_output=True, text=True, check=False, timeout=30,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == "ssmssh-no-python\n"


def told(tmp_path: Path, script: str) -> Place:
    """What a helper makes of an ``ssh`` that is this script."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\n{script}\n")
    ssh.chmod(0o755)
    helper = Helper(LOGIN._replace(environment={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
    try:
        return helper.place()
    finally:
        helper.close(20.0)


class TestWhatSshSays:
    def test_a_place(self, tmp_path: Path) -> None:
        assert told(tmp_path, f"cat >/dev/null; echo ssmssh-relay 40001 {SECRET}").port == 40001

    def test_a_place_behind_a_banner_and_before_whatever_follows(self, tmp_path: Path) -> None:
        script = f"echo Welcome; printf 'to ssmssh-relay x'; echo ssmssh-relay 40001 {SECRET}; echo bye"
        assert told(tmp_path, script) == Place(40001, bytes.fromhex(SECRET))

    def test_the_program_comes_on_the_standard_input(self, tmp_path: Path) -> None:
        told(tmp_path, f"cat > {tmp_path}/got; echo ssmssh-relay 40001 {SECRET}")
        text = (tmp_path / "got").read_text()
        assert text.startswith("import")
        assert len(text) < 8192

    def test_it_is_told_to_be_plain(self, tmp_path: Path) -> None:
        told(tmp_path, f'echo "$SSMSSH_SESSIONS $*" > {tmp_path}/got; echo ssmssh-relay 40001 {SECRET}')
        said = (tmp_path / "got").read_text()
        assert said.startswith("1 -T -x -o BatchMode=yes")

    @pytest.mark.parametrize(
        ("script", "reason", "is_lasting"),
        [
            ("echo ssmssh-no-python", "no Python 3.6", True),
            ("echo Host key verification failed. >&2; exit 255", "the host key is not known yet", False),
            ("echo 'x@y: Permission denied (publickey).' >&2; exit 255", "a key that asks nothing", False),
            ("echo This account is currently not available.; exit 1", "failed: This account is currently not", False),
            ("echo A banner. >&2; echo; exit 3", "failed: A banner", False),
            ("exit 3", "status 3", False),
            ("printf 'a\\033[2Jb\\n' >&2; exit 255", r"failed: a \[2Jb", False),
            ("echo first >&2; echo kex failed >&2; exit 255", "kex failed", False),
            ("exit 0", "has run no command", False),
            (f"head -c {2 * READ_BYTES} /dev/zero; exit 3", "status", False),
        ],
    )
    def test_a_reason(self, tmp_path: Path, script: str, reason: str, is_lasting: bool) -> None:
        with pytest.raises(Unavailable, match=reason) as raised:
            told(tmp_path, script)
        assert raised.value.is_lasting == is_lasting

    def test_one_that_hangs_is_stopped(self, tmp_path: Path) -> None:
        ssh = tmp_path / "ssh"
        ssh.write_text("#!/bin/sh\nexec sleep 60\n")
        ssh.chmod(0o755)
        helper = Helper(LOGIN._replace(environment={"PATH": f"{tmp_path}:/usr/bin:/bin"}))
        helper.stop()
        begun = time.monotonic()
        helper.close(20.0)
        assert time.monotonic() - begun < 20.0

    def test_no_ssh(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="ssh cannot be started"):
            Helper(LOGIN._replace(environment={"PATH": str(tmp_path)}))
