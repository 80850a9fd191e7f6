"""One WebSocket to the message gateway: open, send, receive, close.

`WebSocket.open` is the only thing here that blocks; it has one deadline and can be interrupted. From then on
the socket belongs to one thread, which waits for it with a selector and calls `receive`, `send` and `flush`;
none of them waits.

Floor by floor, each file knowing only the ones above it:

- `transport`: a non-blocking socket under any number of TLS layers, bytes in and bytes out;
- `opening`: waiting for a transport, with a deadline and a way to be interrupted;
- `http`: the head of an HTTP response, and a harmless piece of its body for error texts;
- `urls`: the stream URL and the proxy's URL, cut into what is needed of them;
- `dial`: name, TCP, proxy, TLS: from a URL to a transport;
- `early`: the same in a thread, before it is known to be wanted;
- `client`: the WebSocket itself.
"""

from ssmssh.websocket.client import WebSocket, WebSocketClosed
from ssmssh.websocket.early import EarlyDial

__all__ = ["EarlyDial", "WebSocket", "WebSocketClosed"]
