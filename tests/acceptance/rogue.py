"""A service on loopback that does not behave: it gives the API answers and WebSocket messages that a test wants."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

SESSION_ID = "rogue-0123456789abcdef0"
TOKEN = "AAEAAtokenThatNobodyMaySee"


@dataclass
class RogueApi:
    """Answers StartSession and ResumeSession with `status` and `body`, everything else with an empty structure."""

    status: int = 200
    body: bytes = b"{}"
    url: str = ""
    calls: list[str] = field(default_factory=list)

    def refuse(self, code: str, message: str, status: int = 400) -> None:
        """Answer with an error as AWS does."""
        self.status, self.body = status, json.dumps({"__type": code, "message": message}).encode()

    def start(self, stream_url: str) -> None:
        """Answer with a session whose data channel is at `stream_url`."""
        answer = {"SessionId": SESSION_ID, "TokenValue": TOKEN, "StreamUrl": stream_url}
        self.status, self.body = 200, json.dumps(answer).encode()


@contextlib.contextmanager
def rogue_api() -> Iterator[RogueApi]:
    api = RogueApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            api.calls.append(operation)
            is_asked_for = operation in ("StartSession", "ResumeSession")
            status, body = (api.status, api.body) if is_asked_for else (200, b"{}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        server.daemon_threads = True  # a connection that is kept alive does not hold up the end of the test
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def rogue_stream(behave: Callable[[ServerConnection], object]) -> Iterator[str]:
    """A WebSocket server that does `behave` with each connection, then closes it; its URL."""

    def handle(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            behave(connection)

    with serve(handle, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1/data-channel/{SESSION_ID}?role=publish_subscribe"
        finally:
            server.shutdown()
            thread.join()
