"""rsync, which finds ssh on PATH and talks in both directions at once."""

from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, payload
from tests.acceptance.trees import contents, make_tree


def test_a_tree_there_and_back(client: Client) -> None:
    tree = make_tree(client.directory / "tree")
    client.run("rsync", "-a", f"{tree}/", f"{EC2_HOST}:{client.directory}/far/")
    client.run("rsync", "-a", f"{EC2_HOST}:{client.directory}/far/", f"{client.directory}/back/")
    assert contents(client.directory / "back") == contents(tree)
    assert (client.directory / "back" / "one byte").stat().st_mode & 0o777 == 0o750


def test_only_what_changed_is_sent(client: Client) -> None:
    tree, far = make_tree(client.directory / "tree"), client.directory / "far"
    client.run("rsync", "-a", f"{tree}/", f"{HYBRID_HOST}:{far}/")
    (tree / "many" / "7").unlink()
    (tree / "big").write_bytes(b"longer" + (tree / "big").read_bytes())
    done = client.run("rsync", "-a", "--delete", "--no-whole-file", "--stats", f"{tree}/", f"{HYBRID_HOST}:{far}/")
    assert contents(far) == contents(tree)
    literal = next(line for line in done.stdout.decode().splitlines() if line.startswith("Literal data:"))
    assert int(literal.split()[2].replace(",", "")) < 100_000


def test_compressed_and_with_a_remote_shell_named(client: Client) -> None:
    data = payload(4_000_000) + b"much the same " * 100_000
    (client.directory / "source").write_bytes(data)
    client.run("rsync", "-z", "-e", "ssh -T", "source", f"{EC2_HOST}:{client.directory}/copy")
    assert (client.directory / "copy").read_bytes() == data


def test_an_error_of_the_far_side_is_rsync_s_status(client: Client) -> None:
    done = client.run("rsync", "-a", f"{EC2_HOST}:{client.directory}/nothing", "here", status=23)
    assert b"No such file" in done.stderr
