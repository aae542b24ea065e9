"""What a cluster sees: the payload's key goes to workers over TLS, and is in no log, file, dump, result or error."""

import base64
import socket
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from capseal import fleet
from capseal.bundle.plan import SealingPlan
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.segment_cipher import StreamKey
from capseal.errors import CapsealError, SourceChangedError, TransferError
from fleet.conftest import STATEMENT, Keys, entropy
from support.tls import make_certificate


@dataclass(frozen=True)
class Secured:
    """A cluster with TLS. folder: where its workers write."""

    address: str
    tls: fleet.TlsFiles
    security: Any
    folder: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    ca, certificate, key = _certificates(folder)
    tls = fleet.TlsFiles(ca, certificate, key)
    security = Security(
        tls_ca_file=ca,
        require_encryption=True,
        **{
            f"tls_{role}_{what}": path
            for role in ("scheduler", "worker", "client")
            for what, path in (("cert", certificate), ("key", key))
        },
    )
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=True,
        host="tls://127.0.0.1",
        dashboard_address="127.0.0.1:0",
        security=security,
        local_directory=str(folder / "work"),
    ) as made:
        yield Secured(made.scheduler_address, tls, security, folder / "work")


def _certificates(folder: Path) -> tuple[str, str, str]:
    """Make an authority that vouches for itself alone; return it, its certificate and its key."""
    certificate, key = map(str, make_certificate(folder))
    return certificate, certificate, key


def spellings(secret: bytes) -> list[bytes]:
    return [secret, secret.hex().encode(), base64.b64encode(secret)[:40], repr(secret).encode()[2:-1]]


def test_a_key_is_in_no_log_file_dump_result_or_error(tmp_path: Path, keys: Keys, secured: Secured) -> None:
    source = tmp_path / "content"
    source.write_bytes(bytes(8 * SEGMENT_BYTES))
    made = SealingPlan.make(STATEMENT, recipients=[keys.recipient.public_key], entropy=entropy())
    stream = StreamKey.of(made.session_key, made.header, STATEMENT.app)
    marks = [one for secret in (stream._key, made.session_key) for one in spellings(secret)]
    seen: list[bytes] = [repr(stream).encode(), repr(made).encode()]

    def change(progress: fleet.Progress) -> None:
        source.write_bytes(bytes(8 * SEGMENT_BYTES + 1))

    sizes = {"task_bytes": SEGMENT_BYTES, "part_bytes": SEGMENT_BYTES}
    with fleet.dask(secured.address, tls=secured.tls) as engine:
        sealed = keys.seal(source, tmp_path / "out.sealed", engine, **sizes)
        seen += [repr(sealed.report).encode(), str(sealed.report.to_json()).encode()]
        with pytest.raises(SourceChangedError) as caught:
            keys.seal(
                source,
                tmp_path / "other",
                engine,
                watch=fleet.Watch(report=change),
                claims=str(tmp_path / "claims"),
                **sizes,
            )
        seen.append("".join(traceback.format_exception(caught.value)).encode())
        with Client(secured.address, security=secured.security, set_as_default=False) as client:
            seen += [repr(client.get_worker_logs()).encode(), repr(client.get_scheduler_logs()).encode()]
            seen.append(repr(client.get_events()).encode())
            # Also with what dumps leave out unless they are told otherwise: the code and arguments of tasks.
            held = [client.submit(len, (stream,), pure=False), client.submit(_wait_and_fail, stream, pure=False)]
            for name, left_out in (("default", None), ("all", ())):
                settings = {} if left_out is None else {"exclude": left_out}
                client.dump_cluster_state(str(tmp_path / name), format="yaml", **settings)
            del held
    dumps = list(tmp_path.glob("*.yaml"))
    assert len(dumps) == 2 and all(path.stat().st_size > 1000 for path in dumps)
    files = [path for path in [*secured.folder.rglob("*"), *tmp_path.rglob("*")] if path.is_file()]
    seen += [path.read_bytes() for path in files]
    assert [mark for mark in marks for data in seen if mark in data] == []


def _wait_and_fail(stream: StreamKey) -> None:
    raise CapsealError(f"given {stream}")


def test_a_client_without_a_certificate_of_the_cluster_s_authority_is_refused(tmp_path: Path, secured: Secured) -> None:
    ca, certificate, key = _certificates(tmp_path)
    ours = secured.tls
    for tls in (fleet.TlsFiles(ours.ca, certificate, key), fleet.TlsFiles(ca, ours.certificate, ours.key)):
        with (
            pytest.raises(TransferError, match="cannot reach the cluster"),
            fleet.dask(secured.address, tls=tls, connect_s=2.0),
        ):
            pass


def test_a_client_without_any_certificate_is_refused(secured: Secured) -> None:
    host, _, port = secured.address.removeprefix("tls://").rpartition(":")
    context = ssl.create_default_context(cafile=secured.tls.ca)
    context.check_hostname = False
    # The handshake ends before the server has looked: what it says then is that it wants one, or nothing at all.
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
        context.wrap_socket(plain) as wrapped,
    ):
        if not wrapped.recv(1):
            raise ConnectionResetError("closed without a word")
