"""A folder becomes a zip that everybody reads, the same one every time."""

import io
import json
import os
import shutil
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

import capseal
from capseal import FormatError, SourceChangedError, UsageError
from capseal.archive import _deflating, directory, headers
from capseal.archive.check import ArchiveLimits, check_archive
from capseal.archive.folder_zip import FolderZip
from capseal.native import filereader, search
from support.tools import require_tool
from support.zips import contents as _contents

FILES = {
    "index.html": b"<!doctype html>",
    "empty": b"",
    "assets/app.js": b"x" * 300_000,
    "assets/deep/er/\N{GRINNING FACE}.bin": bytes(range(256)) * 10,
    "zz": os.urandom(70_000),
    "Za": b"case",
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "dist"
    for name, data in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "nothing").mkdir()
    return root


def contents(data: bytes) -> dict[str, bytes]:
    return _contents(data, ArchiveLimits(ratio=2000))


def _zip(folder, **keywords) -> bytes:
    archive = FolderZip(str(folder), **keywords)
    data = bytearray(archive.size)
    view, size = memoryview(data), 0
    while count := archive.read_into(size, view[size : size + 10_007]):
        size += count
    archive.close()
    assert size == archive.size
    return bytes(data)


@pytest.mark.parametrize("deflate", [False, True])
def test_zipfile_reads_every_file_back(folder, deflate):
    with zipfile.ZipFile(io.BytesIO(_zip(folder, deflate=deflate))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")} == FILES
        names = archive.namelist()
        assert "nothing/" in names
        assert names == sorted(names, key=str.encode)
        shrunk = {info.filename for info in archive.infolist() if info.compress_type == zipfile.ZIP_DEFLATED}
        assert shrunk == ({"assets/app.js", "assets/deep/er/\N{GRINNING FACE}.bin"} if deflate else set())


@pytest.mark.parametrize("deflate", [False, True])
def test_equal_folders_give_equal_bytes(folder, tmp_path, deflate):
    first = _zip(folder, deflate=deflate)
    copy = tmp_path / "copy"
    for name in reversed(FILES):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(FILES[name])
        os.utime(copy / name, (1, 1))
        os.chmod(copy / name, 0o755)
    (copy / "nothing").mkdir()
    assert _zip(copy, deflate=deflate) == first


@pytest.mark.parametrize("deflate", [False, True])
def test_unzip_finds_no_fault(folder, tmp_path, deflate):
    path = tmp_path / "x.zip"
    path.write_bytes(_zip(folder, deflate=deflate))
    done = subprocess.run([require_tool("unzip"), "-t", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No errors detected" in done.stdout


READ_ZIP = """
import java.io.*; import java.util.zip.*;
public class ReadZip {
    public static void main(String[] a) throws Exception {
        ZipInputStream in = new ZipInputStream(new FileInputStream(a[0]));
        for (ZipEntry e; (e = in.getNextEntry()) != null; )
            System.out.println(e.getName().length() + " " + e.isDirectory() + " " + in.readAllBytes().length);
    }
}
"""


@pytest.mark.parametrize("deflate", [False, True])
def test_javas_zip_input_stream_reads_it_in_one_pass(folder, tmp_path, deflate):
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("java (a JDK) is not installed")  # too large to demand in CI
    (tmp_path / "ReadZip.java").write_text(READ_ZIP)
    (tmp_path / "x.zip").write_bytes(_zip(folder, deflate=deflate))
    done = subprocess.run(
        [java, tmp_path / "ReadZip.java", tmp_path / "x.zip"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    sizes = [int(line.split()[2]) for line in done.stdout.splitlines() if " false " in line]
    assert sorted(sizes) == sorted(map(len, FILES.values()))


def test_an_empty_folder_is_an_empty_zip(tmp_path):
    assert zipfile.ZipFile(io.BytesIO(_zip(tmp_path))).namelist() == []


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("time_s", [17_179_869_183, 1 << 34, -(1 << 31)])
def test_a_time_that_64_bits_of_nanoseconds_do_not_hold_is_no_change(tmp_path, time_s, deflate, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(filereader, "_lib", None)
    (tmp_path / "f").write_bytes(b"text " * 1000)
    os.utime(tmp_path / "f", (time_s, time_s))
    assert contents(_zip(tmp_path, deflate=deflate)) == {"f": b"text " * 1000}


@pytest.mark.parametrize("change", ["grow", "grow quietly", "touch", "vanish"])
def test_a_file_that_changes_between_the_passes_is_noticed(folder, change):
    stream = FolderZip(str(folder))
    path = folder / "zz"
    if change == "grow":
        path.write_bytes(b"x")
    elif change == "grow quietly":
        status = path.stat()
        path.write_bytes(path.read_bytes() + b"x")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "touch":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    with pytest.raises((SourceChangedError, FileNotFoundError), match="zz"):
        stream.peek(0, stream.size)


def _read_in_pieces(archive, size) -> bytes:
    return b"".join(archive.peek(offset, size) for offset in range(0, archive.size, size))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("deflate", [False, True])
def test_any_part_can_be_read_at_any_time(folder, deflate, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(filereader, "_lib", None)
        monkeypatch.setattr(headers, "is_there", lambda: False)
    whole = _zip(folder, deflate=deflate)
    for size in (1009, 4096, 100_000, len(whole), 2 * len(whole)):
        archive = FolderZip(str(folder), deflate=deflate)
        offsets = list(range(0, len(whole), size))
        assert _read_in_pieces(archive, size) == whole
        for offset in reversed(offsets):
            assert archive.peek(offset, size) == whole[offset : offset + size]
        archive.close()
    archive = FolderZip(str(folder), deflate=deflate)
    assert archive.peek(len(whole), 10) == b""
    for offset in range(200):
        assert archive.peek(offset, 37) == whole[offset : offset + 37]
        assert archive.peek(len(whole) - offset, 37) == whole[len(whole) - offset :][:37]
    archive.close()


def test_many_threads_read_one_zip(folder):
    whole = _zip(folder)
    archive = FolderZip(str(folder))
    with ThreadPoolExecutor(8) as threads:
        offsets = range(0, len(whole), 5003)
        assert b"".join(threads.map(lambda offset: archive.peek(offset, 5003), offsets)) == whole


def test_a_pipe_in_place_of_a_file_is_noticed_and_not_waited_for(folder):
    archive = FolderZip(str(folder))
    (folder / "zz").unlink()
    os.mkfifo(folder / "zz")
    with pytest.raises(SourceChangedError, match="zz"):
        archive.peek(0, archive.size)


def test_the_check_of_devices_takes_what_is_made(folder):
    for deflate in (False, True):
        assert contents(_zip(folder, deflate=deflate)) == FILES


def test_what_never_ships_is_left_out_and_named(folder):
    for name in (".git/HEAD", "assets/.DS_Store", "__MACOSX/._a", "capseal.toml", "sub/__MACOSX/x", ".capsealignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    archive = FolderZip(str(folder))
    left_out = [".capsealignore", ".git/", "__MACOSX/", "assets/.DS_Store", "capseal.toml", "sub/__MACOSX/"]
    assert sorted(archive.left_out) == left_out
    assert contents(archive.peek(0, archive.size)) == FILES


def test_node_modules_ships_and_is_named(folder):
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "a.js").touch()
    archive = FolderZip(str(folder))
    assert (archive.doubtful, archive.left_out) == (["node_modules/"], [])
    assert "node_modules/a.js" in contents(archive.peek(0, archive.size))


def test_patterns_are_those_of_gitignore(folder):
    for name in ("a.map", "assets/b.map", "assets/keep.map", "tests/x", "assets/tests/y", "release.log"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / ".capsealignore").write_text("# source maps\n*.map\n!keep.map\n/tests/\n")
    archive = FolderZip(str(folder), exclude=["*.log"])
    shipped = contents(archive.peek(0, archive.size))
    assert set(shipped) - set(FILES) == {"assets/keep.map", "assets/tests/y"}
    assert sorted(archive.left_out) == [".capsealignore", "a.map", "assets/b.map", "release.log", "tests/"]


def test_a_pattern_takes_back_what_is_left_out_otherwise(folder):
    (folder / "capseal.toml").touch()
    assert "capseal.toml" in contents(_zip(folder, exclude=["!capseal.toml"]))


def test_patterns_that_cannot_be_read_are_told(folder):
    (folder / ".capsealignore").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"\.capsealignore: not UTF-8"):
        FolderZip(str(folder))


def test_a_bundle_does_not_ship_itself(folder, tmp_path, signer, recipient):
    def seal(output, **keywords):
        capseal.seal(
            folder, output, signer=signer, recipients=[recipient.public_key], app="a", version="1", **keywords
        )  # fmt: skip

    seal(folder / "one.sealed")
    seal(capseal.Detached(seal=folder / "two.seal", payload=folder / "two.payload"))
    seal(folder / "other.bin")
    seal(folder / "other.bin", overwrite=True)
    archive = FolderZip(str(folder), leave_out=[str(folder / "other.bin")])
    assert sorted(archive.left_out) == ["one.sealed", "other.bin", "two.payload", "two.seal"]
    assert contents(archive.peek(0, archive.size)) == FILES


def test_files_that_only_look_like_bundles_ship(folder):
    (folder / "my.sealed").write_bytes(b"letter")
    (folder / "x.payload").write_bytes(b"")
    assert {"my.sealed", "x.payload"} <= set(contents(_zip(folder)))


def test_stores_of_capseal_are_left_out(folder):
    for name in ("device/state.json", "device/state.lock", "device/bundles/x", "store/releases/a", "store/payloads/b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    archive = FolderZip(str(folder))
    assert sorted(archive.left_out) == ["device/", "store/"]


STORE = b'{"type": "capseal-store-v2"}'


def test_a_store_in_which_nothing_was_published_is_left_out_too(folder):
    (folder / "store" / "collector").mkdir(parents=True)
    (folder / "store" / "store.json").write_bytes(STORE)
    (folder / "store" / "collector" / "lease").touch()
    archive = FolderZip(str(folder))
    assert archive.left_out == ["store/"]
    assert contents(archive.peek(0, archive.size)) == FILES


def test_a_folder_that_is_a_store_itself_is_no_app(folder):
    (folder / "store.json").write_bytes(STORE)
    with pytest.raises(UsageError, match=r"a server's store, as its store\.json says, and not what ships"):
        _zip(folder)


def test_a_store_json_of_an_app_ships(folder):
    (folder / "shop").mkdir()
    for name in ("store.json", "shop/store.json"):
        (folder / name).write_bytes(b'{"type": "books", "store": "capseal-store-v2"}')
    assert {"store.json", "shop/store.json"} <= set(contents(_zip(folder)))


@pytest.mark.parametrize("name", ["key.pem", "js/.capgo_key_v2", "innocent.txt", "no-ending"])
@pytest.mark.parametrize(
    "label", [b"PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY", b"PGP PRIVATE KEY BLOCK"]
)
def test_a_private_key_is_an_error_whatever_it_is_called(folder, name, label):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"-----BEGIN %b-----\nMIIB\n" % label)
    with pytest.raises(UsageError, match=f"{name}: a private key, which would be shipped; move it out"):
        _zip(folder)


@pytest.mark.parametrize("name", ["server.pem", "server.key"])
def test_a_private_key_behind_a_certificate_is_an_error(folder, name):
    (folder / name).write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----BEGIN PRIVATE KEY-----\nMIIB\n")
    with pytest.raises(UsageError, match=f"{name}: a private key, which would be shipped; move it out"):
        _zip(folder)


PEM = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFNjcmVlbnNob3Rz\n-----END PRIVATE KEY-----\n"
BEHIND = {
    "a line break": b"\n" + PEM,
    "a byte order mark": b"\xef\xbb\xbf" + PEM,
    "bag attributes": b"Bag Attributes\n    localKeyID: 01\n" + PEM,
    "code": b"const key = `" + PEM + b"`;",
    "code on one line": b'{"key":"' + PEM.replace(b"\n", rb"\n") + b'"}',
    "code of joined lines": b'key = "' + PEM.replace(b"\n", b'\\n" +\n  "') + b'"',
    "64 KiB less one byte": b" " * (64 * 1024 - 1) + PEM,
    "code of lines that go on": b'key = "' + PEM.replace(b"\n", b"\\n\\\r\n") + b'"',
    "code of texts side by side": b'key = ("' + PEM.replace(b"\n", b'\\n"\n "') + b'")',
    "PHP": b'$key = "' + PEM.replace(b"\n", b'\\n" .\n "') + b'";',
    "JSON in JSON": json.dumps(json.dumps({"key": PEM.decode()})).encode(),
    "JSON's other escapes": b'{"key":"' + PEM.replace(b"\n", b"\\u000A") + b'"}',
    "JSON with escaped dashes": json.dumps(PEM.decode()).encode().replace(b"-", b"\\u002d"),
    "code with escaped dashes": b"key = '%b'" % PEM.replace(b"-", b"\\x2D").replace(b"\n", b"\\n"),
    "HTML with escaped dashes": b"<p>" + PEM.replace(b"-", b"&#45;").replace(b"\n", b"<br>"),
    "a comment": b"x\n" + PEM.replace(b"-----BEGIN", b"# -----BEGIN").replace(b"\nM", b"\n# M"),
    "a comment in code": b"x\n" + PEM.replace(b"-----BEGIN", b"// -----BEGIN").replace(b"\nM", b"\n// M"),
    "HTML": b"<p>" + PEM.replace(b"\n", b"<br>\n"),
    "headers": b"\n" + PEM.replace(b"KEY-----\nM", b"KEY-----\nComment: mine\nX-Of: me\n\nM"),
    "short lines": b"\n" + PEM.replace(b"FNjcmVl", b"\nFNjc\nmVl").replace(b"CAQAwBQ", b"CAQAw\nBQ"),
    "2000 blank lines": b" " * 1_048_536 + PEM.replace(b"KEY-----\nM", b"KEY-----" + b"\n" * 2000 + b"M"),
    "an encrypted one's header": b"\n-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n",
}


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("behind", [0, 3_000_000])
@pytest.mark.parametrize("what", ["nothing", *BEHIND])
def test_a_private_key_is_an_error_whatever_is_around_it(folder, what, behind, deflate):
    (folder / "README").write_bytes(BEHIND.get(what, PEM) + os.urandom(behind))
    with pytest.raises(UsageError, match="README: a private key, which would be shipped; move it out"):
        _zip(folder, deflate=deflate)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("behind", [0, 100_000])
def test_a_private_key_among_many_files_is_found_in_one_read_of_all(folder, compiled, behind, monkeypatch):
    if not compiled:
        monkeypatch.setattr(search, "_lib", None)
    (folder / "Read me").write_bytes(PEM + os.urandom(behind))
    archive = FolderZip(str(folder))
    with pytest.raises(UsageError, match="Read me: a private key, which would be shipped; move it out"):
        archive.peek(0, archive.size)


def test_a_private_key_is_found_while_a_large_file_is_deflated(folder, monkeypatch):
    monkeypatch.setattr(_deflating, "_WHOLE_BYTES", 100)
    (folder / "README").write_bytes(PEM)
    with pytest.raises(UsageError, match="README: a private key"):
        FolderZip(str(folder), deflate=True)


WIDE = PEM.decode()
ENCODED = {
    "UTF-8": PEM,
    "UTF-16 with a mark": WIDE.encode("utf-16"),
    "UTF-16, low bytes first": WIDE.encode("utf-16-le"),
    "UTF-16, high bytes first": WIDE.encode("utf-16-be"),
}


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("at", [1, 64 * 1024 + 300, 1_048_550, 1_048_576 - 128, 9_000_001])
@pytest.mark.parametrize("encoding", ENCODED)
def test_a_private_key_is_found_wherever_it_is_in_a_file(folder, encoding, at, deflate, monkeypatch):
    monkeypatch.setattr(_deflating, "_WHOLE_BYTES", 100_000)
    (folder / "README").write_bytes(bytes(at) + ENCODED[encoding] + b" " * 99)
    with pytest.raises(UsageError, match="README: a private key, which would be shipped; move it out"):
        _zip(folder, deflate=deflate)


def test_a_file_with_content_and_a_size_of_0_is_refused_and_not_taken_for_an_empty_one():
    with pytest.raises(UsageError, match=r"/proc/sys/\S+: has content, though its size is 0 bytes; seal a copy"):
        FolderZip("/proc/sys/fs/inotify")


def test_public_keys_and_code_that_speaks_of_keys_ship(folder):
    (folder / "signer.pub.pem").write_bytes(b"-----BEGIN PUBLIC KEY-----\n")
    (folder / "forge.js").write_bytes(b"const head = '-----BEGIN PRIVATE KEY-----';")
    (folder / "notes.md").write_bytes(
        b"---\ntitle: -----BEGIN PRIVATE KEY-----\nabout: keys\nof: us\n---\n// how they look\n"
    )
    assert len(contents(_zip(folder))) == len(FILES) + 3


@pytest.mark.parametrize("name", ["CON", "a.", "a:b", "x\u2028y", "back\\slash"])
def test_a_name_that_devices_refuse_is_refused(folder, name):
    (folder / "sub").mkdir()
    (folder / "sub" / name).touch()
    with pytest.raises(UsageError, match=r"dist: entry .*(rename it|zip it again)"):
        FolderZip(str(folder))


def test_two_names_that_are_one_elsewhere_are_refused(folder):
    (folder / "ASSETS").mkdir()
    with pytest.raises(UsageError, match="same name as"):
        FolderZip(str(folder))


def test_more_files_than_devices_take_are_refused(folder):
    with pytest.raises(UsageError, match="more than 5 files and folders"):
        FolderZip(str(folder), limits=ArchiveLimits(entries=5))


def test_a_directory_larger_than_devices_read_is_refused_when_it_is_listed(folder, monkeypatch):
    data = _zip(folder)
    size = len(data) - data.index(b"PK\1\2") - 22
    monkeypatch.setattr(directory, "MAX_DIRECTORY_BYTES", size)
    assert contents(_zip(folder)) == FILES
    monkeypatch.setattr(directory, "MAX_DIRECTORY_BYTES", size - 1)
    with pytest.raises(
        UsageError, match=f"dist: archive: directory of {size} bytes, at most {size - 1} .* fewer files"
    ):
        FolderZip(str(folder))


@pytest.mark.parametrize("sizes", [{"a": 0x06054B50 - 31}, {"a": 0x07064B50 - 31, "z" * 16: 1}], ids=["end", "locator"])
def test_offsets_that_look_like_signatures_do_not_mislead_the_check_of_devices(tmp_path, sizes):
    for name, size in sizes.items():
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    archive = FolderZip(str(tmp_path))
    archive._crcs = [0] * len(sizes)  # which only the data has to fit, and it takes seconds
    try:
        passed = check_archive(archive.peek, archive.size, limits=ArchiveLimits())
    except FormatError as error:
        pytest.fail(f"misled: {error}")
    assert [(member.entry.path, member.entry.size) for member in passed.members] == list(sizes.items())


def test_what_deflates_beyond_the_ratio_is_refused(tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(3_000_000))
    with pytest.raises(UsageError, match="times as many are allowed; store files in place of deflating"):
        FolderZip(str(tmp_path), deflate=True)
    FolderZip(str(tmp_path))


@pytest.mark.parametrize("shrinks", [True, False])
def test_a_large_file_is_deflated_in_a_stream(tmp_path, monkeypatch, shrinks):
    monkeypatch.setattr(_deflating, "_WHOLE_BYTES", 100_000)
    files = {f"{i}": (b"%d" % i * 300_000)[:250_000] if shrinks else os.urandom(250_000) for i in range(5)}
    files |= {f"small{i}": b"s" * 1000 for i in range(5)}
    files["late"] = os.urandom(70_000) + bytes(200_000)  # does not look as if it shrank
    files["never"] = b"x" * 70_000 + os.urandom(300_000)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    limits = ArchiveLimits(ratio=2000)
    data = _zip(tmp_path, deflate=True, limits=limits)
    assert {name: zipfile.ZipFile(io.BytesIO(data)).read(name) for name in files} == files


def test_what_fails_while_deflating_is_raised(folder, monkeypatch):
    monkeypatch.setattr(filereader.FileTable, "check_unchanged", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        FolderZip(str(folder), deflate=True)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff", "wb"):
        pass
    with pytest.raises(UsageError, match="not UTF-8"):
        FolderZip(str(tmp_path))


@pytest.mark.parametrize("deflate", [False, True])
def test_a_folder_is_sealed_as_its_zip(folder, tmp_path, signer, recipient, trust, deflate):
    capseal.seal(
        folder, tmp_path / "out", signer=signer, recipients=[recipient.public_key],
        app="a", version="1", deflate=deflate,
    )  # fmt: skip
    verified = capseal.unseal(tmp_path / "out", tmp_path / "back.zip", identity=recipient, trust=trust)
    assert (verified.statement.content.name, verified.statement.content.media_type) == ("dist.zip", "application/zip")
    assert (tmp_path / "back.zip").read_bytes() == _zip(folder, deflate=deflate)


def _many(folder, count: int) -> int:
    for i in range(count):
        (folder / f"{i}").touch()
    with zipfile.ZipFile(io.BytesIO(_zip(folder))) as archive:
        return len(archive.namelist())


def test_more_files_than_a_zip_can_count_make_a_zip64(tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "_MAX_SHORT_COUNT", 3)
    assert _many(tmp_path, 5) == 5


@pytest.mark.soak
def test_65536_files_make_a_zip64(tmp_path):
    assert _many(tmp_path, 65536) == 65536


@pytest.mark.soak
def test_files_over_4_gib_make_a_zip64_that_others_read(tmp_path):
    big = tmp_path / "dist"
    big.mkdir()
    for name, size in (("a", 2**32 + 5), ("b", 7)):
        with (big / name).open("wb") as file:
            file.truncate(size)
    stream = FolderZip(str(big))
    buffer, zeros = memoryview(bytearray(2**20)), bytes(2**20)
    path = tmp_path / "x.zip"
    with path.open("wb") as file:
        while count := stream.read_into(file.tell(), buffer):
            if bytes(buffer[:count]) == zeros:
                file.seek(count, os.SEEK_CUR)  # the copy stays sparse too
            else:
                file.write(buffer[:count])
    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [2**32 + 5, 7]
        assert archive.testzip() is None
