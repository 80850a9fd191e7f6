"""What of the user's own settings is in force for our hosts: whom ssh logs in as, and which lines a block overrules."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ssmssh.sshconfig import explain, verify
from ssmssh.sshconfig.document import Document
from ssmssh.sshconfig.plan import Files
from ssmssh.sshconfig.position import Sighting, spelling
from ssmssh.sshconfig.staging import Config, original, written

_OVERRULED = ("proxycommand", "proxyjump", "user")
"""Settings that lines of the user's for our hosts may have had, before there was a block."""


def users(ssh: str, config: Config, hosts: Iterable[str], deadline: float) -> dict[str, str]:
    """Whom ssh would log in as, by host; nothing for hosts about which it cannot tell.

    Blocks until `deadline` (monotonic seconds) at most. Raises FileError if no copy could be written.
    """
    with written(config) as copy:
        answers = {host: _ask(ssh, host, copy, deadline) for host in hosts}
    return {host: answer["user"][0] for host, answer in answers.items() if "user" in answer}


def overruled(
    ssh: str, current: Files, config: Config, settings: Mapping[str, bytes], hosts: Iterable[str], deadline: float
) -> Iterator[str]:
    """Sentences about the lines of the user's that hold for our hosts in particular, and will have no effect there.

    A line that holds for any host, as those below ``Host *`` do, goes on doing so for others and is not mentioned.
    Blocks and raises as `users`.

    Args:
        ssh: The program.
        current: The files as they are.
        config: The same for ssh.
        settings: What the block will say, by lower-case keyword.
        hosts: Hosts that stand for ours.
        deadline: When to stop asking.
    """
    hosts = tuple(hosts)
    if not hosts:
        return
    lines: dict[Sighting, None] = {}
    with written(config) as copy:
        usual = _ask(ssh, verify.NEUTRAL_HOST, copy, deadline)
        for host in hosts:
            answer = _ask(ssh, host, copy, deadline)
            for keyword in _OVERRULED:
                will_be = settings.get("proxycommand" if keyword == "proxyjump" else keyword)
                special = answer.get(keyword, []) != usual.get(keyword, [])
                if special and will_be is not None and answer.get(keyword) not in (None, [will_be.decode()]):
                    lines |= dict.fromkeys(_deciding(ssh, host, keyword, copy, deadline))
        main, own = Document(current.main or b""), Document(current.own or b"")
        for sighting in lines:
            path = original(sighting.path, copy, config, current.main_path)
            document = {current.main_path: main, current.own_path: own}.get(path)
            if document is None or document.owner(sighting.line.start) is None:
                where = Sighting(path, sighting.line)
                yield f"{where} ({spelling(where.line)}) has no effect for instances any more: the block decides that"


def _ask(ssh: str, host: str, copy: Path, deadline: float) -> dict[str, list[str]]:
    try:
        return verify.ask(ssh, host, config=copy, deadline=deadline)
    except (verify.UnansweredError, verify.RefusedError):
        return {}


def _deciding(ssh: str, host: str, keyword: str, copy: Path, deadline: float) -> list[Sighting]:
    with tempfile.TemporaryDirectory(prefix="ssmssh-") as directory:
        try:
            _, messages = verify.ask_aloud(ssh, host, config=copy, deadline=deadline)
            copies = explain.Copies(ssh, host, explain.sources(messages), Path(directory), deadline)
            return copies.deciding(keyword)
        except (verify.UnansweredError, verify.RefusedError):
            return []
