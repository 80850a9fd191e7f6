"""What stands behind the port of an instance: a TCP service in a process of its own.

It greets each connection with a line as SSH servers do, so that a client knows that the way is open; what a proxy says
of itself before that is skipped, as SSH clients skip it (RFC 4253, 4.2). Then it reads one line:

    echo          sends back whatever comes
    discard N     reads N bytes and answers with one byte
    source N      sends N bytes

Run as a module it is that process: it prints its port and ends with its standard input.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

GREETING = b"SSH-2.0-farside\r\n"
DONE = b"."
PIECE_BYTES = 256 * 1024


@contextlib.contextmanager
def port() -> Iterator[int]:
    """Have the service run for a while; its port on loopback."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):  # the end of either side
        writer.write(GREETING)
        verb, _, count = (await reader.readline()).decode().strip().partition(" ")
        if verb == "echo":
            while data := await reader.read(PIECE_BYTES):
                writer.write(data)
        elif verb == "discard":
            left = int(count)
            while left and (data := await reader.read(PIECE_BYTES)):
                left -= len(data)
            writer.write(DONE)
        elif verb == "source":
            await _send(writer, int(count))
        await writer.drain()
    writer.close()


async def _send(writer: asyncio.StreamWriter, count: int) -> None:
    piece = bytes(PIECE_BYTES)
    while count:
        size = min(count, PIECE_BYTES)
        writer.write(piece[:size])
        await writer.drain()
        count -= size


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, limit=PIECE_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
