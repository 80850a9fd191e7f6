"""Directory trees with what file transfers trip over."""

from pathlib import Path

from tests.acceptance.clients import digest, payload


def make_tree(root: Path) -> Path:
    """A tree with empty and larger files, deep directories, odd names and modes; returns `root`."""
    files = {
        "empty": b"",
        "one byte": b"x",
        "deep/er/still/file": payload(10_000, 1),
        "big": payload(1_500_000, 2),
        "binary\t$name; 'quoted'": bytes(range(256)) * 16,
        "ünïcode": "Grüße".encode(),
        "-rf": b"a name that looks like an option",
    }
    files |= {f"many/{number}": payload(number * 100, number) for number in range(40)}
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "one byte").chmod(0o750)
    (root / "empty directory").mkdir()
    return root


def contents(root: Path) -> dict[str, str]:
    """What is in a tree: digests of the files, and the directories."""
    return {
        str(path.relative_to(root)): digest(path.read_bytes()) if path.is_file() else "directory"
        for path in sorted(root.rglob("*"))
    }
