"""A backend that trusts nobody to parse for it: keeps the exact bytes that came, answers the exact bytes it is told."""

from __future__ import annotations

import re
import socket
import threading

from tests_config import TRANSPORT

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class RawBackend:
    """Listens on loopback; `answer` may be changed at any time.

    It reads as the most literal server would: a head up to the first empty line, then as many bytes as
    `content-length` says, or chunks up to the last one. Whatever follows is another request.
    """

    def __init__(self) -> None:
        self.answer = OK
        self.closes = False
        """Whether it closes after an answer."""
        self._requests: list[bytes] = []
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.authority = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def taken(self) -> list[bytes]:
        """Return the requests that came since the last call; the host is written as `@HOST@`."""
        with self._lock:
            taken, self._requests = self._requests, []
        same_host = [request.replace(self.authority.encode(), b"@HOST@") for request in taken]
        return same_host if TRANSPORT == "http1" else [_lowered(request) for request in same_host]

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = bytearray()
        with connection:
            while True:
                try:
                    while not (length := _whole(data)):
                        piece = connection.recv(1 << 20)
                        if not piece:
                            return
                        data += piece
                except OSError:
                    return
                with self._lock:
                    self._requests.append(bytes(data[:length]))
                del data[:length]
                connection.sendall(self.answer)
                if self.closes:
                    return


def _lowered(request: bytes) -> bytes:
    """Return a request with its headers' names in lower case: aiohttp's client writes some of its own in capitals."""
    head, mark, body = request.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    named = [header.partition(b":") for header in headers]
    return b"\r\n".join([line, *(name.lower() + colon + value for name, colon, value in named)]) + mark + body


def _whole(data: bytearray) -> int:
    """Return the length of the first request, or 0 while it is incomplete."""
    head, mark, _ = data.partition(b"\r\n\r\n")
    if not mark:
        return 0
    end = len(head) + 4
    announced = _LENGTH.search(head + b"\r\n")
    if announced:
        end += int(announced[1])
        return end if len(data) >= end else 0
    if b"chunked" in head.lower():
        last = data.find(b"0\r\n\r\n", end)
        return last + 5 if last >= 0 else 0
    return end
