"""Heads, recalls and rollouts as documents: the committed vectors, round trips, caps, and who is in a share."""

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capseal.constants import MAX_HEAD_BYTES
from capseal.errors import FormatError
from capseal.format import head as heads
from capseal.format.dsse import Envelope
from capseal.format.head import HEAD_TYPE, Candidate, Head, LogReference, NamedRelease, StoreReference
from capseal.format.recall import RECALL_TYPE, Recall, RecalledRelease
from capseal.format.requires import Requires
from capseal.format.rollout import in_share
from capseal.format.strictjson import Role
from support import independent_heads
from support.places import ROOT, VECTORS
from vectors import making_heads
from vectors.making import drawn, read

FOLDER = VECTORS / "heads"
FILES = sorted(path for path in FOLDER.glob("*.txt") if path.stem != "rollout")
DOCUMENT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")


def test_the_vectors_are_those_that_the_generator_makes():
    made = dict(making_heads.vectors()) | {"rollout": making_heads.rollout()}
    assert sorted(made) == sorted(path.stem for path in FOLDER.iterdir())
    for name, text in made.items():
        assert (FOLDER / f"{name}.txt").read_text(encoding="ascii") == text


def test_the_document_names_every_vector_once_and_with_its_class():
    section = DOCUMENT.split("### Heads and recalls")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ((?:`[a-z0-9-]+` ?)+)\| (\w+Error) \|$", section, re.MULTILINE)
    named = [(name, kind) for _, names, kind in rows for name in re.findall(r"`([a-z0-9-]+)`", names)]
    bad = [
        (path.stem, read(path.read_text(encoding="ascii"))[0]["expect"])
        for path in FILES
        if not path.stem.startswith("valid-")
    ]
    assert sorted(named) == sorted(bad)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_document_of_a_vector_parses_unless_that_is_its_defect(path):
    header, data = read(path.read_text(encoding="ascii"))
    envelope = Envelope.parse(data)
    kind, parse = {"head": (HEAD_TYPE, Head.parse), "recall": (RECALL_TYPE, Recall.parse)}[header["kind"]]

    def parsed():
        return parse(envelope.payload_of(kind))

    if header["expect"] == "FormatError":
        with pytest.raises(FormatError):
            parsed()
        return
    value = parsed()
    assert parse(value.encode()) == value
    assert value.encode() == envelope.payload or path.stem == "valid-head-spelling"


def test_every_share_is_as_the_vectors_say():
    lines = (FOLDER / "rollout.txt").read_text().splitlines()[1:]
    assert len(lines) > 100
    for line in lines:
        salt, secret, share, expected = line.split()
        case = (bytes.fromhex(salt), bytes.fromhex(secret), int(share))
        assert in_share(*case) is (expected == "in"), line
        assert independent_heads.in_share(*case) is (expected == "in"), line


def test_of_10000_devices_a_tenth_is_in_a_share_of_a_tenth():
    salt = drawn(b"salt", 16)
    inside = sum(in_share(salt, drawn(b"%d" % i, 32), 100) for i in range(10_000))
    assert 900 <= inside <= 1100


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), st.integers(0, 999))
def test_raising_a_share_takes_nobody_back(salt, secret, share):
    assert in_share(salt, secret, share) <= in_share(salt, secret, share + 1)
    assert not in_share(salt, secret, 0)
    assert in_share(salt, secret, 1000)


def test_another_salt_draws_anew():
    secrets = [drawn(b"%d" % i, 32) for i in range(2000)]
    first, second = ({s for s in secrets if in_share(drawn(name, 16), s, 500)} for name in (b"a", b"b"))
    assert 400 < len(first & second) < 600


def test_the_place_zero_is_in_no_share_of_nothing(monkeypatch):
    class Zeros:
        def digest(self):
            return bytes(32)

    monkeypatch.setattr(hashlib, "sha256", lambda _: Zeros())
    assert not in_share(bytes(16), bytes(32), 0)
    assert in_share(bytes(16), bytes(32), 1)


def test_two_equal_items_do_not_ascend():
    for name, items in (("withdrawn", [1, 1]), ("recalls", ["0" * 64, "0" * 64])):
        with pytest.raises(FormatError, match="above the one before"):
            Head.parse(making_heads.dump(making_heads.HEAD | {name: items}))


@pytest.mark.parametrize(("salt", "secret", "share"), [(15, 32, 1), (16, 31, 1), (16, 32, 1001), (16, 32, -1)])
def test_a_share_takes_what_the_format_says(salt, secret, share):
    with pytest.raises(ValueError, match="thousandths"):
        in_share(bytes(salt), bytes(secret), share)


def test_nothing_of_a_document_over_its_cap_is_looked_at(monkeypatch):
    monkeypatch.setattr(heads.strictjson, "parse", lambda *_: pytest.fail("parsed"))
    for parse in (Head.parse, Recall.parse):
        with pytest.raises(FormatError, match="at most 65536"):
            parse(bytes(MAX_HEAD_BYTES + 1))


DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(9000, 1, 1)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))
NUMBERS = st.integers(1, 2**53 - 1)
REQUIRES = st.one_of(
    st.none(), st.just(Requires(native_min="1.2", native_below="3")), st.just(Requires(platforms=("ios", "android")))
)


@st.composite
def documents(draw):
    sequences = sorted(draw(st.sets(NUMBERS, min_size=2, max_size=17)), reverse=True)
    digests = draw(st.lists(DIGESTS, min_size=len(sequences), max_size=len(sequences), unique=True))
    releases = [NamedRelease(s, d, draw(REQUIRES)) for s, d in zip(sequences, digests, strict=True)]
    candidate = draw(
        st.one_of(
            st.none(),
            st.builds(
                Candidate,
                st.just(releases[0]),
                st.integers(0, 1000),
                st.binary(min_size=16, max_size=16),
                st.booleans(),
            ),
        )
    )
    issued, expires = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
    number = draw(NUMBERS)
    return Head(
        app=draw(NAMES),
        channel=draw(NAMES),
        role=draw(st.sampled_from(Role)),
        epoch=draw(NUMBERS),
        number=number,
        previous=None if number == 1 else draw(DIGESTS),
        issued=issued,
        expires=expires,
        store=StoreReference(draw(NUMBERS), draw(DIGESTS)),
        current=tuple(releases[1:]),
        candidate=candidate,
        withdrawn=tuple(sorted(draw(st.sets(NUMBERS, max_size=20)) - set(sequences))),
        recalls=tuple(sorted(draw(st.sets(DIGESTS, max_size=5)))),
        log=draw(st.one_of(st.none(), st.builds(LogReference, NUMBERS, DIGESTS))),
    )


@settings(max_examples=40)
@given(documents())
def test_a_head_reads_as_it_was_written(head):
    assert Head.parse(head.encode()) == head


@settings(max_examples=60)
@given(documents(), st.data())
def test_two_readers_judge_an_altered_head_alike(head, data):
    document = bytearray(head.encode())
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] = data.draw(st.integers(0, 255))

    def accepts(read, error):
        try:
            read(bytes(document))
        except error:
            return False
        return True

    assert accepts(Head.parse, FormatError) == accepts(independent_heads.read_head, independent_heads.Rejected)


def test_what_no_reader_would_accept_is_not_written():
    head = Head.parse(making_heads.dump(making_heads.HEAD))
    with pytest.raises(FormatError):
        replace(head, withdrawn=(140,)).encode()
    recall = Recall.parse(making_heads.dump(making_heads.RECALL))
    with pytest.raises(FormatError):
        replace(recall, releases=(RecalledRelease(1, "x", "1"),)).encode()


def test_a_head_names_what_fits_an_app():
    old, new = Requires(native_below="2"), Requires(native_min="2")
    assert NamedRelease(1, "0" * 64, old).fits(native="1.9", platform=None)
    assert not NamedRelease(1, "0" * 64, new).fits(native="1.9", platform=None)
    assert NamedRelease(1, "0" * 64).fits(native="1.9", platform="ios")
