"""Why ssh refuses a config: each complaint with its line, in the user's names, and nothing harmless."""

from pathlib import Path

import pytest

from ssmssh.errors import FileError
from ssmssh.sshconfig.refusal import reason
from tests.sshconfig.home import Home


@pytest.mark.parametrize(
    ("main", "said"),
    [
        (
            b"RSAAuthentication yes\nUseKeychain yes\nCompressionLevel 3\n",
            "ssh refuses the file as it is: line 2: Bad configuration option: usekeychain; nothing was changed",
        ),
        (
            b"UseKeychain yes\nHost a\n  RSAAuthentication yes\n  Nonsense 1\n",
            "line 1: Bad configuration option: usekeychain; line 4: Bad configuration option: nonsense; nothing",
        ),
        (b"RSAAuthentication no\nTCPKeepAlive perhaps\n", 'as it is: line 2: unsupported option "perhaps".; nothing'),
        (b"Host a\n  Match foo\n", "as it is: Missing Match criteria for foo; line 2: Bad Match condition; nothing"),
        (b"Bad 1\n" * 9, "line 3: Bad configuration option: bad; and 6 more; nothing was changed"),
        (b"Include @/other\n", "as it is: line 2 of @/other: Bad configuration option: nonsense; nothing was changed"),
        (b"Include @/open\n", "as it is: Bad owner or permissions on @/open; nothing was changed"),
    ],
)
def test_the_cause_is_told_with_its_line(home: Home, main: bytes, said: str) -> None:
    home.write(main, {"other": b"RSAAuthentication yes\nNonsense 1\n", "open": b""})
    (home.directory / "open").chmod(0o666)
    with pytest.raises(FileError) as caught:
        home.install()
    assert said.replace("@", str(home.directory)) in str(caught.value)
    assert "/ssmssh-" not in str(caught.value)


def test_our_own_file_is_named_as_the_user_knows_it(home: Home) -> None:
    home.write(b"Host web\n")
    home.install("--include", "--user", "x")
    home.own.write_bytes(home.own.read_bytes() + b"Nonsense 1\n")
    with pytest.raises(FileError) as caught:
        home.install("--user", "y")
    assert f"of {home.own}: Bad configuration option: nonsense; nothing was changed" in str(caught.value)
    assert "/ssmssh-" not in str(caught.value)


def test_without_a_word_from_ssh_there_is_one_of_ours() -> None:
    assert reason(b"\n", None) == "without a reason"
    assert reason(b"debug1: Reading configuration data /x\nno such host\n", Path("/x")) == "no such host"
