"""libssh, as a program: CONFIG HOST SOURCE FAR BACK; what it does is told in test_other_clients.py."""

import shlex
import sys
from pathlib import Path

from ssh import options
from ssh.channel import Channel
from ssh.session import Session

KNOWN_HOST_OK = 1  # SSH_KNOWN_HOSTS_OK of libssh.h
PIECE_BYTES = 32 * 1024


def run(session: Session, command: str) -> Channel:
    channel = session.channel_new()
    channel.open_session()
    channel.request_exec(command)
    return channel


def main(config: str, host: str, source: str, far: str, back: str) -> None:
    session = Session()
    session.options_set(options.HOST, host)
    session.options_parse_config(config)
    session.connect()
    assert session.is_server_known() == KNOWN_HOST_OK
    session.userauth_publickey_auto("")

    upload = run(session, f"cat > {shlex.quote(far)}")
    data = memoryview(Path(source).read_bytes())
    for start in range(0, len(data), PIECE_BYTES):
        upload.write(bytes(data[start : start + PIECE_BYTES]))
    upload.send_eof()
    upload.read()  # to the end, which comes when the file is complete
    upload.close()

    download = run(session, f"cat {shlex.quote(far)}")
    with Path(back).open("wb") as file:
        while (piece := download.read(PIECE_BYTES))[0] > 0:
            file.write(piece[1])
    download.close()

    print("transferred", flush=True)  # noqa: T201 - what the test waits for
    sys.stdin.read()
    session.disconnect()


main(*sys.argv[1:])
