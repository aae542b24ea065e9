"""A folder becomes a zip that everybody reads, the same one every time."""

import io
import os
import shutil
import subprocess
import zipfile

import pytest

import capseal
from capseal import SourceChangedError, UsageError
from capseal.io import zip_stream as zipping
from support.tools import require_tool

FILES = {
    "index.html": b"<!doctype html>",
    "empty": b"",
    "assets/app.js": b"x" * 300_000,
    "assets/deep/er/\N{GRINNING FACE}.bin": bytes(range(256)) * 10,
    "zz": os.urandom(70_000),
    "Zz": b"case",
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


def _zip(folder, **keywords) -> bytes:
    stream = zipping.ZipStream(str(folder), **keywords)
    data = bytearray(stream.size + 100)
    view, size = memoryview(data), 0
    while count := stream.readinto(view[size : size + 10_007]):
        size += count
    stream.close()
    assert size == stream.size
    return bytes(data[:size])


@pytest.mark.parametrize("deflate", [False, True])
def test_zipfile_reads_every_file_back(folder, deflate):
    with zipfile.ZipFile(io.BytesIO(_zip(folder, deflate=deflate))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")} == FILES
        names = archive.namelist()
        assert "nothing/" in names
        assert names == sorted(names, key=str.encode)
        assert {info.compress_type for info in archive.infolist() if not info.is_dir()} == {8 if deflate else 0}


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


@pytest.mark.parametrize("change", ["grow", "grow quietly", "touch", "vanish"])
def test_a_file_that_changes_between_the_passes_is_noticed(folder, change):
    stream = zipping.ZipStream(str(folder))
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
        while stream.readinto(memoryview(bytearray(2**16))):
            pass


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff", "wb"):
        pass
    with pytest.raises(UsageError, match="not UTF-8"):
        zipping.ZipStream(str(tmp_path))


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
    monkeypatch.setattr(zipping, "_MAX16", 3)
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
    stream = zipping.ZipStream(str(big))
    buffer, zeros = memoryview(bytearray(2**20)), bytes(2**20)
    path = tmp_path / "x.zip"
    with path.open("wb") as file:
        while count := stream.readinto(buffer):
            if bytes(buffer[:count]) == zeros:
                file.seek(count, os.SEEK_CUR)  # the copy stays sparse too
            else:
                file.write(buffer[:count])
    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [2**32 + 5, 7]
        assert archive.testzip() is None
