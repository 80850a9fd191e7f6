#!/usr/bin/env python3
"""OpenSSH as several Debian releases have it, unpacked beside each other and never installed.

``tasks.py test`` calls this. For each release apt gets a state of its own, with one source: the mirror that this
machine has its own packages from. The client and the libraries below it are downloaded and unpacked into
``.openssh/RELEASE``; ``.openssh/RELEASE/bin/ssh`` starts it with its own libraries and its own loader, since one that
is newer than this system's would not run otherwise. To get newer ones, delete ``.openssh``.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RELEASES = ("bullseye", "bookworm", "sid")
"""8.4, the oldest that is still in use; 9.2; and the newest there is."""

VERSIONS = Path(__file__).resolve().parents[2] / ".openssh"

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_EDGES = ("suggests", "recommends", "conflicts", "breaks", "replaces", "enhances")


def main() -> int:
    """Unpack what is missing; 1 and a reason on stderr if something cannot be had."""
    missing = [release for release in RELEASES if not ssh_of(release).exists()]
    mirror = find_mirror() if missing else None
    if missing and mirror is None:
        print("OpenSSH of other releases cannot be had: this system's apt knows no mirror of Debian.", file=sys.stderr)
        return 1
    for release in missing:
        print("+ unpack", "OpenSSH of Debian", release, flush=True)
        unpack(release, mirror or "")
    return 0


def ssh_of(release: str) -> Path:
    """The program of a release."""
    return VERSIONS / release / "bin" / "ssh"


def find_mirror() -> str | None:
    """Where this system's own packages come from, if they are Debian's."""
    if not shutil.which("apt-get") or not Path(KEYRING).exists():
        return None
    form = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    for line in run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines():
        if line.startswith("Debian Debian "):
            return line.split(" ", 2)[2]
    return None


def unpack(release: str, mirror: str) -> None:
    """Download the client of a release and its libraries, and put them where `ssh_of` says; all or nothing."""
    VERSIONS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=VERSIONS) as name:
        directory = Path(name)
        environment = {**os.environ, "APT_CONFIG": str(private_apt(directory, release, mirror))}
        run("apt-get", "--quiet", "update", environment=environment)
        depends = ("apt-cache", "depends", *(f"--no-{edge}" for edge in _EDGES))
        direct = libraries(run(*depends, "openssh-client", environment=environment))
        all_of_them = libraries(run(*depends, "--recurse", *direct, environment=environment))
        packages = ["openssh-client", *sorted({*direct, *all_of_them})]
        run("apt-get", "--quiet", "download", *packages, environment=environment, directory=directory)
        root = directory / release / "root"
        root.mkdir(parents=True)
        for package in directory.glob("*.deb"):
            run("dpkg-deb", "--extract", str(package), str(root))
        start = directory / release / "bin" / "ssh"
        start.parent.mkdir()
        start.write_text(script(root, VERSIONS / release / "root"))
        start.chmod(0o755)
        (directory / release).rename(VERSIONS / release)


def private_apt(directory: Path, release: str, mirror: str) -> Path:
    """A configuration with which apt knows of one release, of nothing that is installed, and writes only here."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True)
    sources, configuration = directory / "sources.list", directory / "apt.conf"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {release} main\n")
    configuration.write_text(
        f'Dir::State "{directory}/state";\nDir::State::Status "/dev/null";\nDir::Cache "{directory}/cache";\n'
        f'Dir::Etc::SourceList "{sources}";\nDir::Etc::SourceParts "/dev/null";\n'
        f'Acquire::Languages "none";\nAPT::Sandbox::User "";\n'
    )
    return configuration


def libraries(listing: str) -> list[str]:
    """The packages of libraries that ``apt-cache depends`` names."""
    return re.findall(r"^(?: *\|?(?:Pre)?Depends: )?((?:lib|zlib)[a-z0-9.+-]*)$", listing, re.MULTILINE)


def script(root: Path, final: Path) -> str:
    """What starts the program that is unpacked in `root` when that has become `final`."""
    loader = next(path for path in sorted(root.rglob("ld-*.so*")) if path.is_file() and not path.is_symlink())
    triplet = next(root.rglob("libc.so.6")).parent.name
    path = ":".join(f"{final}/{place}/{triplet}" for place in ("usr/lib", "lib"))
    return f'#!/bin/sh\nexec {final / loader.relative_to(root)} --library-path {path} {final}/usr/bin/ssh "$@"\n'


def run(*command: str, environment: dict[str, str] | None = None, directory: Path | None = None) -> str:
    """Run a command to its end; its output."""
    done = subprocess.run(command, env=environment, cwd=directory, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
