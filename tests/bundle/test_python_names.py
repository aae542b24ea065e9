"""What a Python user meets: names that TAB shows, errors that travel, paths and bytes in place of objects."""

import asyncio
import inspect
import io
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import capseal
from capseal import Detached, Expect, KeyFileError, PrivateKey, TrustStore, errors

APP = "com.example.game"
CONTENT = b"what is sealed" * 1000

ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, capseal.CapsealError) and kind.__module__ == errors.__name__
]


class WriteOnly:
    """The least that can take bytes: a socket's file, an HTTP request, a hash with a write()."""

    def __init__(self) -> None:
        self.taken = bytearray()

    def write(self, data: memoryview) -> int:
        self.taken += data
        return len(data)


@pytest.fixture
def files(tmp_path: Path, signer: PrivateKey, recipient: PrivateKey) -> Path:
    """A folder with the keys as files."""
    for name, key in (("signer", signer), ("recipient", recipient)):
        key.save(tmp_path / f"{name}.pem")
        (tmp_path / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    return tmp_path


def test_what_tab_shows_is_what_may_be_used() -> None:
    assert dir(capseal) == sorted(capseal.__all__)
    assert all(getattr(capseal, name) is not None for name in dir(capseal))


def test_help_says_where_every_public_name_belongs() -> None:
    themes = capseal.__doc__ or ""
    missing = [name for name in capseal.__all__ if f"`{name}`" not in themes]
    assert [name for name in missing if not name.endswith("Error") and name != "__version__"] == []


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_from_another_process_as_it_was(kind: type[capseal.CapsealError]) -> None:
    wanted = [p for p in inspect.signature(kind.__init__).parameters.values() if p.kind is p.KEYWORD_ONLY]
    error = kind("what, and where", **{one.name: number for number, one in enumerate(wanted, 7)})
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, vars(again)) == (kind, error.args, vars(error))


def test_paths_stand_for_keys_and_trust(files: Path) -> None:
    sealed, out = files / "game.sealed", files / "out"
    signer, recipient, trust = files / "signer.pem", files / "recipient.pub.pem", files / "signer.pub.pem"
    capseal.seal(CONTENT, sealed, signer=str(signer), recipients=[recipient], app=APP, version="1", name="game.bin")
    assert capseal.verify(sealed, trust=trust, expect=Expect(app=APP)).statement.content.size == len(CONTENT)
    capseal.unseal(sealed, out, trust=str(trust), identity=files / "recipient.pem", expect=Expect(app=APP))
    assert out.read_bytes() == CONTENT
    with capseal.open(sealed, trust=trust, identity=[files / "recipient.pem"], expect=Expect(app=APP)) as file:
        assert file.read() == CONTENT


def test_a_path_without_a_key_in_it_is_named(files: Path, trust: TrustStore) -> None:
    (files / "none.pem").write_text("no key")
    sealed = files / "game.sealed"
    with pytest.raises(KeyFileError, match=r"none\.pem"):
        capseal.seal(b"x", sealed, signer=files / "none.pem", recipients=[], app=APP, version="1", name="x")
    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        capseal.verify(b"x", trust=files / "absent.json")
    assert not sealed.exists()


def test_bytes_go_in_and_what_can_only_write_takes_what_comes_out(
    signer: PrivateKey, recipient: PrivateKey, trust: TrustStore
) -> None:
    sealed, plain = WriteOnly(), WriteOnly()
    keys = {"signer": signer, "recipients": [recipient.public_key]}
    capseal.seal(memoryview(CONTENT), sealed, app=APP, version="1", name="game.bin", **keys)  # type: ignore[arg-type]
    capseal.verify(bytes(sealed.taken), trust=trust)
    capseal.unseal(bytearray(sealed.taken), plain, trust=trust, identity=recipient)  # type: ignore[arg-type]
    assert plain.taken == CONTENT
    assert capseal.inspect(bytes(sealed.taken))[1].app == APP
    capseal.seal(io.BytesIO(CONTENT), WriteOnly(), app=APP, version="1", name="game.bin", **keys)  # type: ignore[arg-type]


def test_seal_and_payload_apart_are_taken_by_what_can_only_write_and_given_as_bytes(
    signer: PrivateKey, recipient: PrivateKey, trust: TrustStore
) -> None:
    seal, payload, plain = WriteOnly(), WriteOnly(), WriteOnly()
    keys = {"signer": signer, "recipients": [recipient.public_key]}
    capseal.seal(CONTENT, Detached(seal, payload), app=APP, version="1", name="game.bin", **keys)  # type: ignore[arg-type]
    apart = {"seal": bytes(seal.taken), "trust": trust}
    assert capseal.verify(bytes(payload.taken), **apart).statement.app == APP  # type: ignore[arg-type]
    capseal.unseal(bytes(payload.taken), plain, identity=recipient, **apart)  # type: ignore[arg-type]
    assert plain.taken == CONTENT


def test_threads_serve_an_event_loop_which_goes_on_meanwhile(
    signer: PrivateKey, recipient: PrivateKey, trust: TrustStore
) -> None:
    """As docs/reference/library.md says: no call blocks the loop, and an error comes out of the await as it is."""
    sealed, plain = WriteOnly(), WriteOnly()
    keys = {"signer": signer, "recipients": [recipient.public_key]}

    async def run() -> int:
        turns = 0
        work = asyncio.create_task(
            asyncio.to_thread(capseal.seal, CONTENT, sealed, app=APP, version="1", name="game.bin", **keys)
        )
        while not work.done():
            turns += 1
            await asyncio.sleep(0)
        await work
        await asyncio.to_thread(capseal.verify, bytes(sealed.taken), trust=trust)
        await asyncio.to_thread(capseal.unseal, bytes(sealed.taken), plain, trust=trust, identity=recipient)
        with pytest.raises(capseal.RollbackError):
            await asyncio.to_thread(capseal.verify, bytes(sealed.taken), trust=trust, expect=Expect(floor=2**53 - 1))
        return turns

    assert asyncio.run(run()) > 0
    assert plain.taken == CONTENT


def test_an_error_in_a_pool_of_processes_comes_home_and_the_pool_goes_on(
    files: Path, signer: PrivateKey, recipient: PrivateKey
) -> None:
    sealed, trust = files / "game.sealed", str(files / "signer.pub.pem")
    keys = {"signer": signer, "recipients": [recipient.public_key]}
    capseal.seal(CONTENT, sealed, app=APP, version="1", sequence=6, name="game.bin", **keys)  # type: ignore[arg-type]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(capseal.RollbackError) as caught:
            pool.submit(capseal.verify, str(sealed), trust=trust, expect=Expect(floor=7)).result()
        assert (caught.value.floor, caught.value.sequence) == (7, 6)
        assert pool.submit(abs, -1).result() == 1


def test_a_key_shows_which_it_is_and_nothing_secret(signer: PrivateKey) -> None:
    shown = signer.public_key.fingerprint[:16]
    assert repr(signer.public_key) == f"<PublicKey RSA-3072 {shown}>"
    assert repr(signer) == f"PrivateKey(public_key=<PublicKey RSA-3072 {shown}>)"


def test_what_was_verified_shows_itself_in_one_line(trust: TrustStore, seal_bytes) -> None:
    verified = capseal.verify(io.BytesIO(seal_bytes(CONTENT)), trust=trust)
    seal = "<Seal com.example.game '1.2.3' sequence=7 production 14056 bytes>"
    [signer] = verified.signers
    assert repr(verified.seal) == seal
    assert repr(verified) == f"<Verified {seal} signed by {signer.key.fingerprint[:16]}>"
