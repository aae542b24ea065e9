"""answers.py PORT PATH COUNT CLIENTS: ask for a small resource so many times, on one kept connection per client."""

import socket
import sys
import threading


def ask(port: int, path: str, count: int) -> None:
    """Ask so many times, and look at status and length only."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(count):
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(65536) or sys.exit("closed before an answer came")
            head, _, body = answer.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                sys.exit(f"answered {head[:100]!r}")
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < size:
                body += connection.recv(65536) or sys.exit("closed within an answer")


def main() -> None:
    """Run the clients and end with 1 where one of them fails."""
    port, path, count, clients = int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    failed = []

    def run() -> None:
        try:
            ask(port, path, count // clients)
        except (OSError, SystemExit) as error:
            failed.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(failed[0])


main()
