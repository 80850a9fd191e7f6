"""``watched.py FILE HOST PORT …``: the proxy, with what the interpreter reports of its doings added to FILE."""

import json
import os
import sys
import threading

FAMILIES = {"import", "open", "os", "socket", "subprocess"}
"""Of audit events (``sys.addaudithook``), by the first word of their names."""


def watch(path: str) -> None:
    busy = threading.local()
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.close(target)

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event.partition(".")[0] not in FAMILIES or getattr(busy, "is_writing", False):
            return
        busy.is_writing = True
        # Opened each time: the proxy closes what it has inherited.
        target = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(target, json.dumps([event, [str(argument) for argument in arguments]]).encode() + b"\n")
        os.close(target)
        busy.is_writing = False

    sys.addaudithook(note)


if __name__ == "__main__":
    watch(sys.argv.pop(1))
    from ssmssh.proxy import main

    main()
