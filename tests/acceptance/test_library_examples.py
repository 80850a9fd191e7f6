"""The examples of the library do what they say; fabric and netmiko are in an environment of their own."""

import http.server
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ssmssh.sandbox import Sandbox
from tests.acceptance.clients import EC2_HOST, HYBRID_HOST, Client, payload
from tests.acceptance.openssh import effective, identity_file

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def test_many_threads(client: Client) -> None:
    hosts = [EC2_HOST, HYBRID_HOST, EC2_HOST] * 3 + [EC2_HOST]
    words = ["--user", effective(client, "User"), "--key", str(identity_file(client))]
    words += ["--known-hosts", effective(client, "UserKnownHostsFile")]
    output = client.run(sys.executable, EXAMPLES / "library_threads.py", *words, "echo here", *hosts).stdout.decode()
    assert output.splitlines() == [f"{host}: here" for host in hosts]


def test_a_download_with_progress(client: Client) -> None:
    source, copy = client.directory / "source", client.directory / "copy"
    source.write_bytes(payload(1_000_000))
    words = ["--user", effective(client, "User"), "--key", str(identity_file(client))]
    words += ["--known-hosts", effective(client, "UserKnownHostsFile")]
    done = client.run(sys.executable, EXAMPLES / "library_download.py", *words, EC2_HOST, source, copy)
    assert done.stdout.endswith(b"\r100 %\n")
    assert copy.read_bytes() == payload(1_000_000)


@pytest.mark.parametrize("name", ["fabric", "netmiko"])
def test_programs_on_top_of_paramiko(client: Client, name: str) -> None:
    python = ROOT / ".clients" / "library" / "bin" / "python"
    assert python.exists(), "python3 tasks.py test installs them there"
    client.environment["PYTHONPATH"] = str(ROOT / "src")
    words = [EC2_HOST, effective(client, "User"), str(identity_file(client)), "echo here"]
    assert b"here\n" in client.run(python, EXAMPLES / f"library_{name}.py", *words).stdout


def test_a_page_through_a_forwarded_port(client: Client, sandbox: Sandbox) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"welcome")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server, ThreadPoolExecutor(1) as pool:
        sandbox.open_port(80, server.server_address[1], "intranet")
        served = pool.submit(server.handle_request)
        done = client.run(sys.executable, EXAMPLES / "library_forward.py", EC2_HOST, "intranet", "80")
        served.result()
    assert done.stdout == b"welcome\n"


def test_the_fixture_of_another_project(client: Client) -> None:
    words = ["-q", "-p", "no:cacheprovider", "--rootdir", str(client.directory), "-c", "/dev/null"]
    done = client.run(sys.executable, "-m", "pytest", *words, EXAMPLES / "test_with_sandbox.py")
    assert b"1 passed" in done.stdout
