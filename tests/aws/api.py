"""A little AWS on loopback: answers what it is told to, and keeps what it was asked."""

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

STREAM_URL = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0123?role=publish_subscribe&cell-number=AA+/"
STARTED = {"SessionId": "me-0123456789abcdef0", "TokenValue": "t0ken", "StreamUrl": STREAM_URL}


@dataclass(frozen=True)
class Answer:
    """What to send: `status` and `body`; if `silent`, nothing; if `hang_up`, the end of the connection.

    If `cut`, it ends the connection after the body, though more was announced.
    If `endless`, the body again and again, until the connection ends; if it `stalls`, nothing after the body, though
    more was announced. Not before `after` has returned.
    """

    status: int = 200
    body: bytes = b"{}"
    silent: bool = False
    hang_up: bool = False
    cut: bool = False
    endless: bool = False
    stalls: bool = False
    after: Callable[[], object] = lambda: None


def ok(content: object) -> Answer:
    return Answer(200, json.dumps(content).encode())


def refusal(code: str, message: str = "no", status: int = 400) -> Answer:
    return Answer(status, json.dumps({"__type": code, "Message": message}).encode())


@dataclass(frozen=True)
class Request:
    headers: dict[str, str]
    body: bytes
    path: str = "/"

    @property
    def target(self) -> str:
        return self.headers.get("x-amz-target", "")

    @property
    def content(self) -> object:
        return json.loads(self.body)


@dataclass
class Api:
    url: str
    answers: deque[Answer] = field(default_factory=deque)
    """In order; the last one is given again and again."""
    requests: list[Request] = field(default_factory=list)
    judge: Callable[[Request], Answer] | None = None
    """Decides instead, for several threads at once."""


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[Api]:
    api = Api("")
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request({k.lower(): v for k, v in self.headers.items()}, body, self.path)
            api.requests.append(request)
            if api.judge is not None:
                answer = api.judge(request)
            else:
                answer = api.answers.popleft() if len(api.answers) > 1 else api.answers[0]
            answer.after()
            if answer.silent:
                over.wait()
            if answer.silent or answer.hang_up:
                return
            self.send_response(answer.status)
            is_less = answer.cut or answer.endless or answer.stalls
            self.send_header("Content-Length", str(1 << 40 if is_less else len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.stalls:
                over.wait()
            with suppress(OSError):
                while answer.endless and not over.is_set():
                    self.wfile.write(answer.body)

        do_GET = do_PUT = do_POST  # noqa: N815 - of metadata services

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # of many clients at once; those that do not fit would come a second later

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        api.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield api
        finally:
            over.set()
            server.shutdown()
            thread.join()
