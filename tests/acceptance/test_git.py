"""git over ssh: clone, push, fetch."""

from pathlib import Path

import pytest

from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, payload


@pytest.fixture
def git_client(client: Client) -> Client:
    """A user with a name and no configuration."""
    client.environment |= {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.com",
    }
    return client


def commit(client: Client, repository: Path, name: str, data: bytes) -> str:
    """Add a file; the commit's id."""
    (repository / name).write_bytes(data)
    client.run("git", "-C", repository, "add", name)
    client.run("git", "-C", repository, "commit", "-q", "-m", f"Add {name}")
    return client.run("git", "-C", repository, "rev-parse", "HEAD").stdout.decode()


@pytest.mark.parametrize("form", ["ssh://{host}{path}", "{host}:{path}"])
def test_clone_push_fetch(git_client: Client, form: str) -> None:
    client, here = git_client, git_client.directory
    client.run("git", "init", "-q", "-b", "main", "seed")
    commit(client, here / "seed", "first", payload(3_000_000, 1))
    client.run("git", "clone", "-q", "--bare", "seed", "far.git")

    client.run("git", "clone", "-q", form.format(host=EC2_HOST, path=here / "far.git"), "clone")
    assert (here / "clone" / "first").read_bytes() == payload(3_000_000, 1)
    pushed = commit(client, here / "clone", "second", payload(2_000_000, 2))
    client.run("git", "-C", "clone", "push", "-q", "origin", "main")
    assert client.run("git", "-C", "far.git", "rev-parse", "main").stdout.decode() == pushed

    client.run("git", "-C", "seed", "fetch", "-q", form.format(host=HYBRID_HOST, path=here / "far.git"), "main")
    assert client.run("git", "-C", "seed", "rev-parse", "FETCH_HEAD").stdout.decode() == pushed
    client.run("git", "-C", "seed", "fsck", "--strict")


def test_what_is_not_there_is_an_error(git_client: Client) -> None:
    url = f"{EC2_HOST}:{git_client.directory}/nothing.git"
    done = git_client.run("git", "clone", "-q", url, "clone", status=128)
    assert b"does not appear to be a git repository" in done.stderr
