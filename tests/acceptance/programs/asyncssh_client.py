"""asyncssh, as a program: CONFIG HOST SOURCE FAR BACK; what it does is told in test_other_clients.py."""

import asyncio
import sys
from pathlib import Path

import asyncssh


async def main(config: str, host: str, source: str, far: str, back: str) -> None:
    async with asyncssh.connect(host, config=[config]) as ssh:
        async with ssh.start_sftp_client() as sftp:
            await sftp.put(source, far)
            await sftp.get(far, back)
        print("transferred", flush=True)  # noqa: T201 - what the test waits for
        await asyncio.to_thread(sys.stdin.read)


assert Path(sys.argv[1]).is_file()  # asyncssh does without a config that it does not find
asyncio.run(main(*sys.argv[1:]))
