"""checked.py PORT FILE: send ranges of a file that were read, digested and compared, and do nothing else.

A thread for each connection, in the call that `capseal serve --verify-reads` makes for what it does not keep, and as
much of HTTP as ranges.py asks for: what a server that checks every byte at every read cannot take less than.
"""

import os
import re
import socket
import sys
import threading

from capseal.constants import DIGEST_BYTES, SEGMENT_BYTES
from capseal.native.checkedsend import CheckedSpan
from capseal.native.hashing import segment_digests

_RANGE = re.compile(rb"Range: bytes=([0-9]+)-([0-9]+)\r\n")


def answer(connection: socket.socket, file: int, entries: bytes, size: int) -> None:
    """Answer the requests of one connection until it is closed."""
    buffer = memoryview(bytearray(SEGMENT_BYTES))
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")  # as the server does on loopback
        while asked := _RANGE.search(connection.recv(65536)):
            start, stop = int(asked[1]), int(asked[2]) + 1
            head = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {stop - start}\r\n\r\n"
            connection.sendall(head.encode())
            span = CheckedSpan(file, entries, buffer, start=start, stop=stop, end=size)
            while start < stop:
                start += span.send(connection.fileno())


def main() -> None:
    """Serve until the process is ended."""
    port, path = int(sys.argv[1]), sys.argv[2]
    file = os.open(path, os.O_RDONLY)
    size = os.fstat(file).st_size
    with open(path, "rb") as whole:
        entries = b"".join(map(segment_digests, iter(lambda: whole.read(SEGMENT_BYTES), b"")))
    if len(entries) != -(-size // SEGMENT_BYTES) * DIGEST_BYTES:
        sys.exit(f"{path} changed meanwhile")
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=answer, args=(connection, file, entries, size), daemon=True).start()


main()
