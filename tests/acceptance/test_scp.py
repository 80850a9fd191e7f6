"""scp in its three modes: over SFTP, with the old protocol, from instance to instance through here."""

from pathlib import Path

import pytest

from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, payload
from tests.acceptance.trees import contents, make_tree

MODES = pytest.mark.parametrize("mode", [[], ["-O"]], ids=["sftp", "old"])


@MODES
def test_a_file_there_and_back(client: Client, mode: list[str]) -> None:
    source = client.directory / "source"
    source.write_bytes(payload(5_000_000))
    source.chmod(0o640)
    client.run("scp", *mode, "-p", source, f"{EC2_HOST}:{client.directory}/there")
    assert (client.directory / "there").read_bytes() == source.read_bytes()
    client.run("scp", *mode, "-p", f"{EC2_HOST}:{client.directory}/there", "back")
    back = client.directory / "back"
    assert back.read_bytes() == source.read_bytes()
    assert (back.stat().st_mode, int(back.stat().st_mtime)) == (source.stat().st_mode, int(source.stat().st_mtime))


@MODES
def test_a_tree_there_and_back(client: Client, mode: list[str]) -> None:
    tree = make_tree(client.directory / "tree")
    (client.directory / "far").mkdir()
    client.run("scp", *mode, "-r", tree, f"{HYBRID_HOST}:{client.directory}/far/")
    client.run("scp", *mode, "-r", f"{HYBRID_HOST}:{client.directory}/far/tree", "back")
    assert contents(client.directory / "back") == contents(tree)


@MODES
def test_from_instance_to_instance_through_here(client: Client, mode: list[str]) -> None:
    source, copy = client.directory / "source", client.directory / "copy"
    source.write_bytes(payload(3_000_000))
    client.run("scp", *mode, "-3", f"{EC2_HOST}:{source}", f"{HYBRID_HOST}:{copy}")
    assert copy.read_bytes() == source.read_bytes()


@MODES
def test_what_is_not_there_is_an_error(client: Client, mode: list[str]) -> None:
    done = client.run("scp", *mode, f"{EC2_HOST}:{client.directory}/nothing", "here", status=1)
    assert b"No such file" in done.stderr
    assert not Path(client.directory / "here").exists()
