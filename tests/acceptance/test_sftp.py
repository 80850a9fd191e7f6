"""OpenSSH's sftp, in batches."""

from tests.acceptance.clients import EC2_HOST, Client, payload
from tests.acceptance.trees import contents, make_tree


def sftp(client: Client, *lines: str, status: int = 0, options: tuple[str, ...] = ()) -> str:
    done = client.run("sftp", *options, "-b", "-", EC2_HOST, stdin="\n".join(lines).encode() + b"\n", status=status)
    return done.stdout.decode() + done.stderr.decode()


def test_a_batch(client: Client) -> None:
    here = client.directory
    (here / "source").write_bytes(payload(5_000_000))
    output = sftp(
        client,
        f"mkdir {here}/far",
        f"cd {here}/far",
        f"put {here}/source first",
        "chmod 600 first",
        "rename first second",
        "ls -l",
        f"get second {here}/back",
    )
    assert (here / "back").read_bytes() == (here / "source").read_bytes()
    assert [path.name for path in (here / "far").iterdir()] == ["second"]
    assert (here / "far" / "second").stat().st_mode & 0o777 == 0o600
    assert "5000000" in output


def test_a_tree(client: Client) -> None:
    tree = make_tree(client.directory / "tree")
    sftp(client, f"mkdir {client.directory}/far", f"put -R {tree}/. {client.directory}/far")
    sftp(client, f"get -R {client.directory}/far {client.directory}/back")
    assert contents(client.directory / "back") == contents(tree)


def test_an_interrupted_copy_is_continued(client: Client) -> None:
    data = payload(3_000_000)
    (client.directory / "source").write_bytes(data)
    (client.directory / "half").write_bytes(data[:1_234_567])
    sftp(client, f"reget {client.directory}/source {client.directory}/half")
    assert (client.directory / "half").read_bytes() == data


def test_many_requests_in_flight(client: Client) -> None:
    data = payload(4_000_000)
    (client.directory / "source").write_bytes(data)
    sftp(client, f"get {client.directory}/source {client.directory}/copy", options=("-R", "256", "-B", "4096"))
    assert (client.directory / "copy").read_bytes() == data


def test_what_is_not_there_is_an_error(client: Client) -> None:
    assert "not found" in sftp(client, f"get {client.directory}/nothing", status=1)
