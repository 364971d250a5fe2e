"""exec, attach and port-forward as a kubelet streams them: a web socket with numbered channels.

    python -m tests.clusters.streaming URL [WAIT-FOR]    run where the streaming server is reachable

Standard input goes to channel 0. With WAIT-FOR, it is sent only when that text has come. What comes
back is printed at the end as one JSON object: channel number to text. The connection is closed by
the other side, or here as soon as `bye` has come on channel 0 or 1.
(https://github.com/kubernetes/apimachinery, pkg/util/httpstream/wsstream: v4.channel.k8s.io)
"""

from __future__ import annotations

import json
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

SECONDS = 60
PROTOCOL = Subprotocol("v4.channel.k8s.io")


def stream(url: str, sent: bytes, wait_for: bytes) -> dict[str, str]:
    received: dict[int, bytes] = {}
    with connect(
        url.replace("http://", "ws://"), subprotocols=[PROTOCOL], open_timeout=SECONDS, proxy=None
    ) as socket:
        pending = sent
        try:
            while True:
                if pending and wait_for in b"".join(received.values()):
                    socket.send(b"\0" + pending)
                    pending = b""
                message = socket.recv(timeout=SECONDS)
                data = message if isinstance(message, bytes) else message.encode()
                if data:
                    received[data[0]] = received.get(data[0], b"") + data[1:]
                if any(received.get(channel, b"").rstrip().endswith(b"bye") for channel in (0, 1)):
                    break
        except ConnectionClosed:
            pass
    return {str(channel): text.decode(errors="replace") for channel, text in received.items()}


if __name__ == "__main__":
    wait_for = sys.argv[2] if len(sys.argv) > 2 else ""
    print(json.dumps(stream(sys.argv[1], sys.stdin.buffer.read(), wait_for.encode())))
