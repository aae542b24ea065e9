"""ranges.py PORT PATH SIZE TOTAL CLIENTS: read TOTAL bytes of a resource of SIZE bytes, in ranges at random.

Every client has one connection, as a device's has; nothing is checked, since nothing of the client is measured.
"""

import random
import socket
import sys
import threading

RANGE_BYTES = 8 * 1024 * 1024


def read(client: int, port: int, path: str, size: int, total: int) -> None:
    """Read so many bytes on one connection."""
    buffer = memoryview(bytearray(1024 * 1024))
    chance = random.Random(client)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        done = 0
        while done < total:
            start = chance.randrange(-(-size // RANGE_BYTES)) * RANGE_BYTES
            stop = min(size, start + RANGE_BYTES)
            head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nRange: bytes={start}-{stop - 1}\r\n\r\n"
            connection.sendall(head.encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536) or sys.exit("closed before an answer came")
            head_bytes, _, rest = answer.partition(b"\r\n\r\n")
            if not head_bytes.startswith(b"HTTP/1.1 206 "):
                sys.exit(f"answered {head_bytes[:100]!r}")
            got = len(rest)
            while got < stop - start:
                got += connection.recv_into(buffer[: stop - start - got]) or sys.exit("closed within an answer")
            done += got


def main() -> None:
    """Run the clients and end with 1 where one of them fails."""
    port, path, size, total, clients = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    failed = []

    def run(client: int) -> None:
        try:
            read(client, port, path, size, total // clients)
        except (OSError, SystemExit) as error:
            failed.append(str(error))

    threads = [threading.Thread(target=run, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(failed[0])


main()
