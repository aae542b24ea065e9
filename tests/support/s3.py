"""A real S3 wire: moto's server (PyPI `moto[server]`), a process of its own."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from support.serving_command import free_port


@contextlib.contextmanager
def s3_server(bucket: str) -> Iterator[str]:
    """Run an S3 server with one bucket; yield its endpoint."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.put(f"{url}/{bucket}").raise_for_status()
                break
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def point_at(url: str, environment: pytest.MonkeyPatch) -> None:
    """Say in the environment how an S3 server is reached, as for any S3 tool."""
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        environment.setenv(name, value)
