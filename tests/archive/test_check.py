"""The check of an archive: what another unzip would read differently is refused, harmless forms are read as meant."""

import errno
import io
import os
import shutil
import struct
import subprocess
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capseal import FormatError, RejectedError, SourceChangedError
from capseal.archive import local_headers
from capseal.archive.check import Archive, ArchiveLimits, check_archive, check_data
from capseal.archive.local_headers import content_of
from support.tools import require_tool
from support.zips import (
    LIMITS,
    check,
    contents,
    in_front,
    like_an_end,
    patch,
    read_at,
    streamed,
    streamed_as,
    unicode_path,
    with_extra,
    with_zip64_end,
    zip_of,
)

PLAIN = zip_of(("a.txt", b"hello"), ("b/c", b"x" * 3000))


def unmarked(data: bytes, *, system: int) -> bytes:
    """Return a zip whose names are not marked as UTF-8, as made on that system."""
    result = bytearray(data)
    for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = result.find(magic)
        while start >= 0:
            result[start + at + 1] &= ~0x08
            if magic == b"PK\1\2":
                result[start + 5] = system
            start = result.find(magic, start + 4)
    return bytes(result)


def before_directory(data: bytes, junk: bytes) -> bytes:
    """Return a zip with bytes between its last entry and its directory, the end record's offset moved along."""
    at = data.index(b"PK\1\2")
    moved = bytearray(data[:at] + junk + data[at:])
    moved[-6:-2] = struct.pack("<I", at + len(junk))
    return bytes(moved)


def stored_as(size: int) -> bytes:
    """Return a zip with one stored entry of 100 bytes that says it unpacks to another size."""
    declared = struct.pack("<I", size)
    return patch(zip_of(("a", b"x" * 100)), local=(22, declared), central=(24, declared))


ODD = {
    "empty": (b"", "an empty file"),
    "a web page": (b"<html>404 not found</html>" * 3, "as a web page does"),
    "cut short": (PLAIN[:-40], "cut short"),
    "cut in the end record": (PLAIN[:-1], "missing|cut short"),
    "data behind": (PLAIN + b"junk" * 10, "40 bytes follow its end"),
    "data in front": (in_front(PLAIN, b"#!/bin/sh\n", moved=False), "in front or between"),
    "data in front, offsets fit": (in_front(PLAIN, b"#!/bin/sh\n", moved=True), "belong to no entry"),
    "data in front of the directory": (before_directory(PLAIN, b"junk"), "entries end at byte"),
    "two in a row": (PLAIN + zip_of(("other", b"y")), "two zips in a row"),
    "a comment that holds an end": (
        PLAIN[:-2] + struct.pack("<H", 22) + PLAIN[-22:-2] + b"\0\0", "in front or between"
    ),
    "a version that no reader knows": (patch(PLAIN, central=(6, b"\x40")), "needs version 64 .* zip it again"),
    "a local version that no reader knows": (patch(PLAIN, local=(4, b"\xff")), "needs version 255"),
    "another local name": (PLAIN.replace(b"a.txt", b"b.txt", 1), "b.txt.*zip it again"),
    "another local method": (patch(PLAIN, local=(8, b"\x08\0")), "method 8"),
    "another local size": (patch(PLAIN, local=(18, b"\xff\0\0\0\xff\0\0\0")), "CRC, size and packed size"),
    "another local checksum": (patch(PLAIN, local=(14, b"abcd")), "CRC, size and packed size"),
    "local descriptor only": (patch(PLAIN, local=(6, b"\x08\0")), "flags 0x8"),
    "no local header": (patch(PLAIN, local=(0, b"PK\3\5")), "no header at byte 0"),
    "long local extra": (patch(PLAIN, local=(28, b"\xff\xff")), "overlap"),
    "no descriptor": (patch(PLAIN, local=(6, b"\x08\0"), central=(8, b"\x08\0")), "behind its data"),
    "another descriptor": (
        (lambda data: data.replace(b"PK\7\x08", b"PK\7\x09", 1))(streamed(("a", b"x" * 100))), "behind its data"
    ),
    "zip64 lies about the count": (with_zip64_end(PLAIN, count=3, here=3), "says 2, zip64 end record says 3"),
    "zip64 lies about the start": (with_zip64_end(PLAIN, start=1), "zip64 end record says 1"),
    "zip64 elsewhere": (with_zip64_end(PLAIN, at=0), "where its locator is"),
    "more entries than counted": (patch(PLAIN[:-14] + b"\1\0\1\0" + PLAIN[-10:]), "directory of 1 entries"),
    "fewer entries than counted": (patch(PLAIN[:-14] + b"\3\0\3\0" + PLAIN[-10:]), "no entry at byte"),
    "stored, unpacks to more": (stored_as(101), "stored with 100 bytes but unpacks to 101"),
    "stored, unpacks to less": (stored_as(99), "stored with 100 bytes but unpacks to 99"),
    "several disks": (PLAIN[:-18] + b"\1\0" + PLAIN[-16:], "disk 1 of several"),
    "a second name": (with_extra(unicode_path(b"a", b"b")), "another name besides"),
    "broken extra": (with_extra(b"\x55\x54\x09\x00a"), "cut short"),
    "zip64 field that is not needed": (with_extra(struct.pack("<2HQ", 1, 8, 1)), "zip64 field of 8 bytes"),
    "unmarked names of another system": (unmarked(zip_of(("é", b"x")), system=0), "neither ASCII nor marked"),
    "deflate64": (patch(PLAIN, local=(8, b"\x09\0"), central=(10, b"\x09\0")), "deflate64; zip it again"),
    "strong encryption": (patch(PLAIN, local=(6, b"\x40\0"), central=(8, b"\x40\0")), "encrypted"),
    "levels": (zip_of(("/".join("d" * 70) + "/f", b"x")), "71 levels"),
    "backslash": (PLAIN.replace(b"b/c", b"b\\c"), "backslash"),
    "a name of a device": (zip_of(("js/aux.js", b"x")), "device on Windows"),
    "damaged data": (PLAIN.replace(b"hello", b"jello"), "the archive is damaged"),
    "bytes behind the deflated data": (
        (lambda deflated: deflated)(
            patch(zip_of(("a", b"\x03\x00junk")), local=(8, b"\x08\0"), central=(10, b"\x08\0"))
        ),
        "behind the end of its deflated data",
    ),
    "deflated data without an end": (
        patch(zip_of(("a", b"\x00\x02\x00\xfd\xffhi")), local=(8, b"\x08\0"), central=(10, b"\x08\0")), "early|2 bytes"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_archive_is_refused_and_the_message_says_why(name):
    data, message = ODD[name]
    with pytest.raises(FormatError, match=message) as caught:
        check(data)
    assert str(caught.value).isprintable()


def test_what_is_written_into_a_pipe_is_taken_deflated_and_stored():
    """As by Python, Go, Java, .NET, archivers of Node, bsdtar and `zip -fd`."""
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        members = {"a": b"x" * 100, "empty": b"", "pk": b"PK\x03PK\x07"}
        assert contents(streamed(*members.items(), method=method)) == members


@pytest.mark.parametrize("found", [b"PK\x07\x08", b"PK\x03\x04", b"PK\x01\x02"])
@pytest.mark.parametrize("at", [0, 50, 1024 * 1024 - 2])
def test_stored_data_that_ends_where_a_descriptor_stands_holds_nothing_that_looks_like_one(found, at):
    data = bytes(at) + found + bytes(60)
    with pytest.raises(FormatError, match="stored without its size in front"):
        check(streamed(("a", data), method=zipfile.ZIP_STORED))
    if at < 100:
        assert contents(streamed(("a", data))) == {"a": data}  # deflated, it ends by itself
    assert contents(zip_of(("a", data))) == {"a": data}  # and here, where its size says


def test_a_stored_entry_with_a_descriptor_needs_one_with_its_signature():
    data = streamed(("a", b"x" * 100), method=zipfile.ZIP_STORED)
    at = data.index(b"PK\x07\x08")
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", data, end + 16)[0] - 4
    plain = data[:at] + data[at + 4 : end + 16] + struct.pack("<I", start) + data[end + 20 :]
    with pytest.raises(FormatError, match="behind its data"):
        check(plain)


def test_a_reader_in_order_takes_stored_data_for_what_the_directory_says():
    """The attack: with sizes behind the data, what looks like a descriptor ends it for bsdtar, and a file is hidden."""
    tool = require_tool("bsdtar")
    shown = b"<h1>good</h1>"
    hidden = zip_of(("evil.js", b"evil"))
    inner = shown + b"PK\x07\x08" + struct.pack("<3I", zlib.crc32(shown), len(shown), len(shown)) + hidden
    data = streamed(("index.html", inner), method=zipfile.ZIP_STORED)
    listed = subprocess.run([tool, "-tf", "-"], input=data, capture_output=True, check=False).stdout
    assert b"evil.js" in listed
    with pytest.raises(FormatError):
        check(data)


def test_sizes_behind_data_are_long_where_the_header_has_a_block_of_zip64():
    """The attack: with short ones bsdtar takes the next header's first bytes from a pipe, too, and a file is hidden."""
    members = {"index.html": b"<h1>good</h1>" * 9, "update.js": b"good()" * 9}
    for signature in (b"PK\x07\x08", b""):
        assert contents(streamed_as(*members.items(), sizes="<IQQ", zip64=True, signature=signature)) == members
        with pytest.raises(FormatError, match="are not its CRC and sizes"):
            check(streamed_as(*members.items(), sizes="<3I", zip64=True, signature=signature))


@pytest.mark.parametrize(("sizes", "zip64"), [("<3I", False), ("<IQQ", False), ("<IQQ", True)])
@pytest.mark.parametrize("signature", [b"PK\x07\x08", b""])
def test_deflated_data_that_a_reader_in_order_takes_to_end_too_early_is_refused(sizes, zip64, signature):
    """The attack: a reader whose inflater does not say where data ended reads another entry from the rest of it."""
    form = {"sizes": sizes, "signature": signature}
    for count in (0, 1, 40):
        ends = like_an_end(b"x" * count, **form)
        whole = {"a": ends + b"rest" * 9, "b": b"good"}
        with pytest.raises(FormatError, match="'a': its size stands behind its data, in which"):
            check(streamed_as(*whole.items(), **form, zip64=zip64, level=0))
        assert contents(streamed_as(*whole.items(), **form, zip64=zip64)) == whole  # deflated, it is not there
        other = {"a": like_an_end(b"x" * count, **form, in_front=6) + b"rest" * 9}  # of other sizes, as in a zip
        assert contents(streamed_as(*other.items(), **form, zip64=zip64, level=0)) == other


def test_an_end_that_is_too_early_is_seen_wherever_two_reads_meet(monkeypatch):
    data = streamed_as(("a", like_an_end(b"x" * 30) + b"rest" * 9), level=0)
    for chunk_bytes in range(1, 70):
        monkeypatch.setattr(local_headers, "CHUNK_BYTES", chunk_bytes)
        with pytest.raises(FormatError, match="its size stands behind its data, in which"):
            check(data)


def test_a_descriptor_that_is_one_of_other_sizes_as_well_is_refused():
    """Behind data whose end and CRC-32 are made for that, one of two short sizes is one of two long ones."""
    packed_bytes = 40
    data = bytes(packed_bytes - 4) + struct.pack("<I", packed_bytes - 8)
    archive = bytearray(streamed_as(("a", data), signature=b"", level=None))
    for at, method in ((archive.index(b"PK\3\4"), 8), (archive.index(b"PK\1\2"), 10)):
        struct.pack_into("<H", archive, at + method, zipfile.ZIP_DEFLATED)
    crc = zlib.crc32(data).to_bytes(4, "little")
    assert archive.count(crc) == 2
    archive = archive.replace(crc, bytes(4))
    with pytest.raises(FormatError, match="its size stands behind its data, in which"):
        check_archive(read_at(archive), len(archive), limits=LIMITS)
    archive[archive.index(data) + len(data) - 4] += 1
    check_archive(read_at(archive), len(archive), limits=LIMITS)


def test_long_sizes_are_not_taken_for_short_ones():
    """Deflate that saves twelve bytes, as one of these does, has the packed size of a descriptor of four bytes each."""
    for signature in (b"PK\x07\x08", b""):
        for count in range(60):
            members = {"a": b"abab" + b"x" * count}
            assert contents(streamed_as(*members.items(), sizes="<IQQ", signature=signature)) == members


def test_data_ends_at_a_header_behind_a_descriptor_of_all_that_came():
    window = struct.pack("<3I", zlib.crc32(b""), 2, 0)
    assert local_headers._end_in_order(b"\x03\0" + window + b"PK\x01\x02", 0, has_zip64=False) == 2
    assert local_headers._end_in_order(b"\x03\0" + window + b"PK\x05\x06", 0, has_zip64=False) is None
    assert local_headers._end_in_order(b"\x03\0" + window + b"PK\x03\x04", 1, has_zip64=False) is None


def test_the_root_of_bsdtar_and_its_dots_are_read_as_meant():
    data = zip_of(("./", b""), ("./index.html", b"x"), ("./a/", b""), ("./a/b.js", b"y"))
    assert contents(data) == {"index.html": b"x", "a/b.js": b"y"}
    assert list(check(data).folders) == ["a"]
    with pytest.raises(FormatError, match="twice"):
        check(zip_of(("./", b""), ("./", b"")))
    with pytest.raises(FormatError, match="twice"):
        check(zip_of(("./a", b""), ("a", b"")))
    with pytest.raises(FormatError, match=r"'\.'"):
        check(zip_of(("././a", b"")))


def test_unmarked_utf8_names_made_on_unix_are_read_as_utf8():
    assert contents(unmarked(zip_of(("é.png", b"x")), system=3)) == {"é.png": b"x"}
    with pytest.raises(FormatError, match="not UTF-8"):
        check(unmarked(zip_of(("é.png", b"x")), system=3).replace("é".encode(), b"\xe9\xe9"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_was_written_into_a_pipe_is_read(method):
    assert contents(streamed(("a", b"x" * 5000), ("b/c", b""), method=method)) == {"a": b"x" * 5000, "b/c": b""}


def test_a_true_zip64_end_record_and_a_comment_are_read():
    files = {"a.txt": b"hello", "b/c": b"x" * 3000}
    assert contents(with_zip64_end(PLAIN)) == files
    assert contents(PLAIN[:-2] + b"\x03\0abc") == files


def test_a_comments_length_tells_the_end_record_from_its_own_fields():
    fields = list(struct.unpack("<4s4H2IH", PLAIN[-22:]))
    for at, value in ((6, 0x06054B50), (5, 0x06054B50)):
        said = [*fields]
        said[at] = value
        for comment in (b"", b"abc"):
            said[7] = len(comment)
            with pytest.raises(FormatError, match="directory of"):
                check(PLAIN[:-22] + struct.pack("<4s4H2IH", *said) + comment)


@pytest.mark.parametrize("inside", [b"PK\5\6", b"PK\5\6" + bytes(30), b"-" * 9 + b"PK\5\6" + bytes(18) + b"-"])
def test_a_comment_that_other_readers_take_for_the_end_is_refused(inside):
    with pytest.raises(FormatError, match="comment holds an end record"):
        check(PLAIN[:-2] + struct.pack("<H", len(inside)) + inside)


@pytest.mark.parametrize("full", [0, 1, 2, 3, 4, 5])
def test_a_full_field_of_the_end_record_is_looked_up_in_the_zip64_one(full):
    data = bytearray(with_zip64_end(PLAIN))
    at, width = ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4))[full]
    data[len(data) - 22 + at : len(data) - 22 + at + width] = b"\xff" * width
    assert contents(bytes(data)) == {"a.txt": b"hello", "b/c": b"x" * 3000}


@pytest.mark.parametrize("tool", ["zip", "zip to a pipe", "bsdtar", "bsdtar stored", "7z", "git", "python"])
def test_what_other_tools_write_is_read(tool, tmp_path):
    files = {"index.html": b"<p>" * 1000, "js/é.js": os.urandom(5000), "js/empty": b""}
    root = tmp_path / "dist"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    out = tmp_path / "out.zip"
    env = os.environ | {"LC_ALL": "C.UTF-8", "GIT_CONFIG_GLOBAL": os.devnull}

    def run(*argv: object, **keywords: object) -> bytes:
        words = [require_tool(str(argv[0])), *map(str, argv[1:])]
        return subprocess.run(words, cwd=root, env=env, check=True, stdout=subprocess.PIPE, **keywords).stdout

    if tool == "zip":
        run("zip", "-q", "-r", out, ".")
    elif tool == "zip to a pipe":
        out.write_bytes(run("zip", "-q", "-r", "-", "."))
    elif tool.startswith("bsdtar"):
        if shutil.which("bsdtar") is None:
            pytest.skip("bsdtar is not installed")
        run("bsdtar", *(["--options", "zip:compression=store"] if "stored" in tool else []), "-a", "-cf", out, ".")
    elif tool == "7z":
        if shutil.which("7z") is None:
            pytest.skip("7z is not installed")
        run("7z", "a", "-bso0", out, ".")
    elif tool == "git":
        run("git", "init", "-q", ".")
        run("git", "add", "-A")
        run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
        run("git", "archive", "--format=zip", "-o", out, "HEAD")
    else:
        shutil.make_archive(str(tmp_path / "out"), "zip", root)
    assert contents(out.read_bytes()) == files


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O"), MemoryError(), RuntimeError("shutting down")])
def test_what_reading_raises_is_never_a_format_error(error):
    reads = 0
    while True:  # at the first read, at the second, …
        done = 0

        def flaky(offset, size):
            nonlocal done
            if done == reads:
                raise error
            done += 1
            return PLAIN[offset : offset + size]

        try:
            check_data(flaky, check_archive(flaky, len(PLAIN), limits=LIMITS))
        except type(error) as caught:
            assert caught is error
            reads += 1
        else:
            break
    assert reads == 6  # end, directory, two headers, two files


def test_an_archive_that_shrinks_while_it_is_read_is_no_bad_archive():
    with pytest.raises(SourceChangedError):
        check_archive(read_at(PLAIN[:-30]), len(PLAIN), limits=LIMITS)


def test_the_number_of_entries_is_checked_before_they_are_read():
    data = zip_of(*((f"{i}", b"") for i in range(51)))
    directory = data.index(b"PK\1\2")
    seen = []

    def watched(offset, size):
        seen.append(offset)
        return data[offset : offset + size]

    with pytest.raises(FormatError, match="51 entries, at most 50"):
        check_archive(watched, len(data), limits=LIMITS)
    assert directory not in seen


def test_implied_folders_are_no_way_past_the_limit():
    data = zip_of(*(("/".join([f"{i}", *["d"] * 62, "f"]), b"") for i in range(40)))
    with pytest.raises(FormatError, match="more than 50 files and folders"):
        check(data)
    assert len(check(data, ArchiveLimits(entries=40 * 64)).folders) == 40 * 63


def test_a_directory_is_not_read_beyond_its_cap():
    data = PLAIN[:-10] + struct.pack("<I", 2**31) + PLAIN[-6:]
    with pytest.raises(FormatError, match="2147483648 bytes, at most"):
        check(data)


@settings(max_examples=300)
@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 255))
def test_a_zip_with_any_byte_changed_is_refused_or_means_the_same_elsewhere(at, value):
    data = bytearray(PLAIN)
    data[at] = value
    try:
        ours = contents(bytes(data))
    except RejectedError:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        theirs = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert ours == theirs


@settings(max_examples=300)
@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_raise_anything_but_a_rejection(junk, framed):
    data = PLAIN[: len(PLAIN) // 2] + junk + PLAIN[len(PLAIN) // 2 :] if framed else junk
    try:
        check(data)
    except RejectedError as error:
        assert str(error).isprintable()


def test_nothing_is_given_out_beyond_the_declared_size():
    packed = bytearray(zip_of(("a", b"x" * 5000), method=zipfile.ZIP_DEFLATED))
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        at = packed.find(signature) + offset
        packed[at : at + 4] = struct.pack("<I", 4000)
    read = read_at(bytes(packed))
    (member,) = check_archive(read, len(packed), limits=LIMITS).files
    given = 0
    with pytest.raises(FormatError, match="more than the 4000 bytes declared"):
        for chunk in content_of(read, member):
            given += len(chunk)
    assert given <= 4000


_MIXED = [
    zip_of(("a.txt", b"hello"), ("b/c", b"x" * 300), ("\u00e9", b"y")),
    zip_of(("a.txt", b"hello" * 50), ("b/", b""), ("b/c", b"x" * 300), method=zipfile.ZIP_DEFLATED),
    streamed(("a.txt", b"hello" * 50), ("b/c", b"x" * 300)),
    with_extra(b"\x01\x02\x01\x00z"),
    with_extra(b"\x01\x02\x01\x00z", in_header=True),
]


def _verdict(data: bytes) -> Archive | str:
    try:
        return check_archive(read_at(data), len(data), limits=LIMITS)
    except FormatError as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), archive=st.sampled_from(_MIXED))
def test_a_header_that_is_as_the_directory_says_is_judged_as_by_the_closer_look(data, archive):
    """One byte is another, or the same one of a header and of its record in the directory."""
    changed = bytearray(archive)
    value = data.draw(st.sampled_from((0, 1, 2, 8, 0x20, 0x80, 0xFF)))
    header, record = archive.rfind(b"PK\3\4"), archive.rfind(b"PK\1\2")
    for at in data.draw(
        st.one_of(
            st.integers(0, len(archive) - 1).map(lambda at: [at]),
            st.integers(4, 29).map(lambda at: [header + at, record + at + 2]),
        )
    ):
        changed[at] = value
    found = _verdict(bytes(changed))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(local_headers, "_behind_plain_header", lambda *_: 0)
        assert _verdict(bytes(changed)) == found


def test_nearly_every_header_takes_no_closer_look(monkeypatch):
    monkeypatch.setattr(local_headers, "_check_header", lambda *_: pytest.fail("looked closer"))
    assert [member.entry.path for member in check(PLAIN).members] == ["a.txt", "b/c"]
