"""A Capgo file beside a sealed bundle: what the seal says of it, and what does not fit that."""

import io
import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import FormatError, TamperedError, TruncatedError, TrustStore, capgo
from capseal.capgo import PrivateKey
from capseal.constants import SEGMENT_BYTES
from capseal.io.source import open_source
from support.tools import require_tool

APP = "com.example.game"
SealBytes = Callable[..., bytes]


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate()


def made(folder: Path, key: PrivateKey, content: bytes) -> capgo.Bundle:
    """Encrypt content as `a.capgo`."""
    return capgo.encrypt(io.BytesIO(content), folder / "a.capgo", key=key, overwrite=True)


def vouched(folder: Path, bundle: capgo.Bundle, seal_bytes: SealBytes, /, **changes: Any) -> capgo.Attached | None:
    """Return what a seal that vouches for `a.capgo` says; changes: other members of its description."""
    companion, member = capgo.attach(bundle, folder / "a.capgo")
    sealed = seal_bytes(b"zip", companions=[companion], custom={capgo.CUSTOM_MEMBER: member | changes})
    return capgo.attached(capseal.inspect(io.BytesIO(sealed))[1])


@pytest.mark.parametrize("size", [0, 15, 4079, 4080, 4096, SEGMENT_BYTES - 1, SEGMENT_BYTES, 5 * SEGMENT_BYTES + 3])
def test_seal_vouches_for_the_capgo_file_beside_it(
    size: int, key: PrivateKey, seal_bytes: SealBytes, trust: TrustStore, tmp_path: Path
) -> None:
    bundle = made(tmp_path, key, os.urandom(size))
    companion, member = capgo.attach(bundle, tmp_path / "a.capgo")
    sealed = seal_bytes(b"zip", companions=[companion], custom={capgo.CUSTOM_MEMBER: member})
    found = capgo.attached(capseal.verify(io.BytesIO(sealed), trust=trust).statement)
    assert found is not None
    assert (found.bundle, found.companion) == (bundle, companion)
    data = (tmp_path / "a.capgo").read_bytes()
    assert (companion.size, companion.sealed) == (len(data), False)
    assert len(data) == bundle.ciphertext_bytes
    fsverity = [require_tool("fsverity"), "digest", "--compact", tmp_path / "a.capgo"]
    done = subprocess.run(fsverity, capture_output=True, text=True, check=True)
    assert found.digest.hex() == done.stdout.strip()
    with closing(open_source(tmp_path / "a.capgo")) as source:
        assert len(found.index(source).entries) == 32 * -(-len(data) // SEGMENT_BYTES)


def test_file_that_is_not_the_vouched_one_has_no_index(key: PrivateKey, seal_bytes: SealBytes, tmp_path: Path) -> None:
    found = vouched(tmp_path, made(tmp_path, key, os.urandom(3 * SEGMENT_BYTES)), seal_bytes)
    data = bytearray((tmp_path / "a.capgo").read_bytes())
    data[SEGMENT_BYTES] ^= 1
    for altered, error in ((data, TamperedError), (data[:-16], TruncatedError), (data + bytes(16), TruncatedError)):
        (tmp_path / "other").write_bytes(altered)
        with closing(open_source(tmp_path / "other")) as source, pytest.raises(error, match="the seal vouches for"):
            found.index(source)


def test_file_that_cannot_be_the_records_is_not_attached(key: PrivateKey, tmp_path: Path) -> None:
    bundle = made(tmp_path, key, bytes(100))
    made(tmp_path, key, bytes(200))
    with pytest.raises(TruncatedError, match="208 bytes, the ciphertext of 100 bytes has 112"):
        capgo.attach(bundle, tmp_path / "a.capgo")


def test_seal_that_names_no_capgo_file_has_none(seal_bytes: SealBytes) -> None:
    for custom in (None, {"other": 1}):
        _, statement = capseal.inspect(io.BytesIO(seal_bytes(b"x", custom=custom)))
        assert capgo.attached(statement) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"companion": "none"},
        {"companion": 1},
        {"bundle": {}},
        {"digest": {"fsverity-sha256": "00" * 32}},
        {"more": 1},
    ],
    ids=str,
)
def test_malformed_description_of_a_capgo_file_is_a_format_error(
    changes: dict[str, Any], key: PrivateKey, seal_bytes: SealBytes, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=r"statement\.custom\.capgo"):
        vouched(tmp_path, made(tmp_path, key, b"zip"), seal_bytes, **changes)


@pytest.mark.parametrize("member", [1, {}, {"companion": "a.capgo"}])
def test_description_that_lacks_members_is_a_format_error(member: Any, seal_bytes: SealBytes) -> None:
    _, statement = capseal.inspect(io.BytesIO(seal_bytes(b"x", custom={capgo.CUSTOM_MEMBER: member})))
    with pytest.raises(FormatError, match=r"statement\.custom\.capgo"):
        capgo.attached(statement)


def test_description_of_a_bundle_of_another_size_is_a_format_error(
    key: PrivateKey, seal_bytes: SealBytes, tmp_path: Path
) -> None:
    bundle = made(tmp_path, key, b"zip")
    with pytest.raises(FormatError, match="99 bytes do not fit a companion of 16"):
        vouched(tmp_path, bundle, seal_bytes, bundle=bundle.to_json() | {"size": 99})


def test_a_sealed_companion_is_no_capgo_file(key: PrivateKey, seal_bytes: SealBytes, tmp_path: Path) -> None:
    companion, member = capgo.attach(made(tmp_path, key, bytes(100)), tmp_path / "a.capgo")
    sealed = seal_bytes(b"zip", companions=[companion], custom={capgo.CUSTOM_MEMBER: member})
    _, statement = capseal.inspect(io.BytesIO(sealed))
    assert capgo.attached(statement) is not None
    with pytest.raises(FormatError, match="no companion of foreign bytes has the name"):
        capgo.attached(replace(statement, companions=(replace(companion, sealed=True),)))
