"""show-config on generated configs: the line that it names is the one whose change changes what ssh says."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.explain import KEYWORDS
from ssmssh.sshconfig.position import Sighting
from ssmssh.sshconfig.show import report
from tests.sshconfig.home import Home

HOSTS = ("i-0123456789abcdef0", "web", "bob@i-0123456789abcdef0")

VALUES = {
    "User": ("u1", "u2", '"u3"'),
    "HostName": ("192.0.2.1", "192.0.2.2", "%h", "web"),
    "IdentityFile": ("~/.ssh/k1", "~/.ssh/k2", '"k 3"', "k4", "none", "%d/k5"),
    "ProxyCommand": ("/bin/p1 %h %p", "/bin/p2 %r", "none"),
    "ProxyJump": ("gate", "gate:2222", "none"),
    "Port": ("2222", "22"),
    "SendEnv": ("LANG", "-*", "LC_* FOO"),
    "LogLevel": ("QUIET", "ERROR"),
}
SECTIONS = (
    *("Host *", "Host i-*", "Host web", "Host * !web", 'Host "web" i-*', "Host none", "HOST=web"),
    *(
        "Match all",
        "Match host i-*",
        "Match originalhost web,i-*",
        "Match !host web",
        "Match user u1",
        "Match user bob",
    ),
    *('Match exec "test %h = web"', "Match EXEC true", 'Match exec="false"', "Match final all", "Match canonical all"),
    *("Match final host 192.0.2.1", "Match host web user u*", "Match localuser nobody"),
)
INCLUDES = ("Include @/{}", 'Include "@/{}"', "Include=@/{}*", "Include @/none/* @/{}", "Include ${{PLACE}}/{}", "# {}")
FILES = ("config", "1", "2", "3")


def spelled(keyword: str) -> st.SearchStrategy[str]:
    forms = ("{} {}", "    {} {}", "{}={}", "\t{} = {}", '"{}"  {}', "{}\t{}")
    return st.builds(
        str.format,
        st.sampled_from(forms),
        st.sampled_from([keyword, keyword, keyword.upper()]),
        st.sampled_from(VALUES[keyword]),
    )


def text(number: int) -> st.SearchStrategy[str]:
    """The text of a file that includes only later ones."""
    line = st.one_of(
        *(spelled(keyword) for keyword in KEYWORDS),
        *(spelled(keyword) for keyword in ("Port", "SendEnv", "LogLevel")),
        st.sampled_from(SECTIONS),
        st.sampled_from(SECTIONS),
        st.sampled_from(["", "  # User u9", "#"]),
        *(
            st.builds(str.format, st.sampled_from(INCLUDES), st.sampled_from(FILES[number + 1 :]))
            for _ in range(2)
            if number + 1 < len(FILES)
        ),
    )
    return st.builds("{}{}".format, st.lists(line, min_size=2, max_size=12).map("\n".join), st.sampled_from(["", "\n"]))


CONFIGS = st.tuples(*(text(number) for number in range(len(FILES))))


@pytest.mark.usefixtures("each_ssh")
@settings(
    max_examples=70,  # for each of three versions
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # to explain takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(CONFIGS, st.sampled_from(HOSTS))
def test_the_line_that_is_shown_decides(monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...], host: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setenv("PLACE", directory)
        home = Home(Path(directory))
        home.write(texts[0].encode(), {name: each.encode() for name, each in zip(FILES[1:], texts[1:], strict=True)})
        found = report(host, home.config).settings
        for keyword in KEYWORDS:
            for at, setting in enumerate([each for each in found if each.keyword == keyword]):
                decides = Changed(home, host, keyword, at)
                if setting.decided_by is not None:
                    assert decides(setting.decided_by) == CHANGED[keyword]
                else:
                    assert decides(None) == setting.value


CHANGED = {keyword: "192.0.2.99" if keyword == "HostName" else "changed" for keyword in KEYWORDS}


class Changed:
    """What ssh says of a keyword (its `at`-th value) when one of its lines, or (None) each, says something else."""

    def __init__(self, home: Home, host: str, keyword: str, at: int) -> None:
        self._home, self._host, self._keyword, self._at = home, host, keyword, at

    def __call__(self, one: Sighting | None) -> str:
        paths = [self._home.directory / name for name in FILES]
        before = {path: path.read_bytes() for path in paths}
        try:
            for path in paths:
                path.write_bytes(b"".join(self._lines(before[path], str(path), one)))
            return self._home.ssh(self._host)[self._keyword.lower()][self._at]
        finally:
            for path, data in before.items():
                path.write_bytes(data)

    def _lines(self, data: bytes, path: str, one: Sighting | None) -> Iterator[bytes]:
        done = 0
        for line in Document(data).lines:
            if line.keyword == self._keyword.lower() and (one is None or Sighting(path, line) == one):
                yield data[done : line.start] + f"{self._keyword} {CHANGED[self._keyword]}\n".encode()
                done = line.end
        yield data[done:]
