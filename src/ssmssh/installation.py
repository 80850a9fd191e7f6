"""How this installation is extended: the command that adds an extra to what pipx, uv or pip have made.

What another of them would install is found nowhere, or is lost with the next upgrade. Each leaves something behind in
the environments that it makes, by which it is known.

- pipx keeps what was injected, and injects it again when it makes an environment anew. It takes what is there for
  what is wanted, extra or not, unless it is forced.
- ``uv tool install`` makes the environment what it is told and nothing else, so all that was asked for before is asked
  for again.
- Environments that uv makes have no pip.
"""

import shlex
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

_NAME = "ssmssh"
_KNOWN_KEYS = {"name", "extras", "specifier"}
"""Of a requirement in uv's receipt that comes from an index; others come from files and repositories."""


def command_for(extra: str) -> str:
    """The command for a shell that adds `extra`, one of the project's, to the environment that runs this."""
    prefix, wanted = Path(sys.prefix), f"{_NAME}[{extra}]"
    if (prefix / "pipx_metadata.json").exists():
        return shlex.join(["pipx", "inject", "--force", prefix.name, wanted])
    receipt = prefix / "uv-receipt.toml"
    if receipt.exists() and (command := _of_uv_tool(receipt, extra)):
        return command
    if find_spec("pip") is None:
        return shlex.join(["uv", "pip", "install", "--python", sys.executable, wanted])
    return shlex.join([sys.executable, "-m", "pip", "install", wanted])


def _of_uv_tool(receipt: Path, extra: str) -> str | None:
    """None where the receipt has what cannot be told by a name."""
    words = []
    for requirement in tomllib.loads(receipt.read_text(encoding="utf-8"))["tool"]["requirements"]:
        if not isinstance(requirement, dict) or not requirement.keys() <= _KNOWN_KEYS:
            return None
        name, extras = (
            requirement["name"],
            {*requirement.get("extras", ()), *([extra] * (requirement["name"] == _NAME))},
        )
        wanted = name + (f"[{','.join(sorted(extras))}]" if extras else "") + requirement.get("specifier", "")
        words += [wanted] if name == _NAME else ["--with", wanted]
    return shlex.join(["uv", "tool", "install", *words])
