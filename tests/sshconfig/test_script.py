"""The path of the program: ours, and one that lasts."""

import os
import subprocess
from pathlib import Path

import pytest

from ssmssh.errors import UsageError
from ssmssh.sshconfig import script
from ssmssh.sshconfig.script import check_lasting, find, spellings, windows_spelling
from ssmssh.sshconfig.section import quote_word


def test_it_is_the_program_of_this_installation() -> None:
    path = find()
    assert Path(path).is_absolute()
    done = subprocess.run([path, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("ssmssh-proxy ")


def test_a_link_beside_the_called_program_is_taken_if_it_leads_to_ours(tmp_path: Path) -> None:
    link = tmp_path / "bin" / "ssmssh-proxy"
    link.parent.mkdir()
    link.symlink_to(find())
    assert find(str(tmp_path / "bin" / "ssmssh")) == str(link)
    link.unlink()
    link.write_text("#!/bin/sh\n")
    link.chmod(0o755)
    assert find(str(tmp_path / "bin" / "ssmssh")) == find("/nowhere/ssmssh")


def test_a_shim_is_never_taken(tmp_path: Path) -> None:
    shim = tmp_path / "shims" / "ssmssh-proxy"
    shim.parent.mkdir()
    shim.symlink_to(find())
    assert find(str(tmp_path / "shims" / "ssmssh")) == find("/nowhere/ssmssh")


def test_a_relative_call_gives_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssmssh-proxy").symlink_to(find())
    monkeypatch.chdir(tmp_path)
    assert find("ssmssh") == str(tmp_path / "ssmssh-proxy")


@pytest.mark.parametrize(
    ("beside", "installed", "expected"),
    [
        # pipx and uv tool: a link in ~/.local/bin
        ("/h/.local/bin/p", "/h/.local/share/pipx/venvs/ssmssh/bin/p", ["/h/.local/bin/p"]),
        ("/h/.local/bin/p", "/h/.local/share/uv/tools/ssmssh/bin/p", ["/h/.local/bin/p"]),
        # Homebrew, called by its link and by its versioned path
        (
            "/opt/homebrew/bin/p",
            "/opt/homebrew/Cellar/ssmssh/1.2/libexec/bin/p",
            ["/opt/homebrew/bin/p", "/opt/homebrew/bin/p", "/opt/homebrew/opt/ssmssh/libexec/bin/p"],
        ),
        (
            "/usr/local/Cellar/ssmssh/1.2/bin/p",
            "/usr/local/Cellar/ssmssh/1.2/libexec/bin/p",
            [
                "/usr/local/bin/p",
                "/usr/local/opt/ssmssh/bin/p",
                "/usr/local/Cellar/ssmssh/1.2/bin/p",
                "/usr/local/bin/p",
                "/usr/local/opt/ssmssh/libexec/bin/p",
            ],
        ),
        # pyenv, asdf, mise: not by the shim
        ("/h/.pyenv/shims/p", "/h/.pyenv/versions/3.12.1/bin/p", []),
        ("/h/.asdf/shims/p", "/h/.asdf/installs/python/3.12.1/bin/p", []),
        # a plain venv
        ("/h/venv/bin/p", "/h/venv/bin/p", ["/h/venv/bin/p"]),
    ],
)
def test_paths_are_tried_by_how_long_they_last(beside: str, installed: str, expected: list[str]) -> None:
    assert list(spellings(beside, installed)) == [*expected, installed]


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/h/.cache/uv/archive-v0/q8y7/bin/ssmssh-proxy", "uv tool install ssmssh"),
        ("/h/.cache/uv/environments-v2/x/bin/ssmssh-proxy", "uv tool install ssmssh"),
        ("C:\\Users\\me\\AppData\\Local\\uv\\cache\\archive-v0\\x\\Scripts\\ssmssh-proxy.exe", "uv tool install"),
        ("/h/.cache/pipx/0a1b2c/bin/ssmssh-proxy", "pipx install ssmssh"),
        ("/h/.local/pipx/.cache/0a1b2c/bin/ssmssh-proxy", "pipx install ssmssh"),
        ("/h/.local/share/pipx/.cache/0a1b2c/bin/ssmssh-proxy", "pipx install ssmssh"),
        ("/Users/me/Library/Caches/pipx/0a1b2c/bin/ssmssh-proxy", "pipx install ssmssh"),
    ],
)
def test_a_cache_is_refused_with_what_to_do_instead(path: str, instead: str) -> None:
    for spelled, resolved in ((path, path), ("/h/bin/ssmssh-proxy", path)):
        with pytest.raises(UsageError, match=f"install it with: {instead}"):
            check_lasting(spelled, resolved)


@pytest.mark.parametrize(
    "path",
    [
        "/h/.local/share/pipx/venvs/ssmssh/bin/ssmssh-proxy",
        "/h/.local/share/uv/tools/ssmssh/bin/ssmssh-proxy",
        "/h/.cache/pypoetry/virtualenvs/x/bin/ssmssh-proxy",
    ],
)
def test_an_installation_is_not_taken_for_a_cache(path: str) -> None:
    assert check_lasting(path, path) == path


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (r"C:\Users\me\bin\ssmssh-proxy.exe", "C:/Users/me/bin/ssmssh-proxy.exe"),
        (r"C:\Users\me\bin\ssmssh-proxy", "C:/Users/me/bin/ssmssh-proxy.exe"),
        (r"C:\Program Files\x\ssmssh-proxy.EXE", '"C:/Program Files/x/ssmssh-proxy.EXE"'),
        (r"\\server\share\ssmssh-proxy.exe", "//server/share/ssmssh-proxy.exe"),
    ],
)
def test_windows_paths_are_written_with_forward_slashes(path: str, written: str) -> None:
    assert quote_word(windows_spelling(path)) == written


def test_a_relative_windows_path_is_refused() -> None:
    with pytest.raises(UsageError, match="is not an absolute path"):
        windows_spelling(r"bin\ssmssh-proxy.exe")


def test_a_missing_program_is_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "PROGRAM", "ssmssh-none")
    with pytest.raises(UsageError, match="the program ssmssh-none of this installation was not found"):
        find()


@pytest.mark.parametrize("directory", ["with blank", "ümlaut", "per%cent", "quo'te"])
def test_unusual_paths_are_quoted_or_refused(tmp_path: Path, directory: str) -> None:
    link = tmp_path / directory / "ssmssh-proxy"
    link.parent.mkdir()
    link.symlink_to(find())
    path = find(str(link.with_name("ssmssh")))
    assert path == str(link)
    if directory == "with blank":
        assert quote_word(path) == f'"{path}"'
        assert os.access(path, os.X_OK)
    else:
        with pytest.raises(UsageError, match="cannot stand in a ProxyCommand"):
            quote_word(path)
