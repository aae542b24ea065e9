"""Every source and every sink is one: for the type checker, and at run time. typed_ends.py says which there are."""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from capseal.archive.content import open_content
from capseal.archive.folder_zip import FolderZip
from capseal.client import Connection, RangeSource
from capseal.io.memory import Placed
from capseal.io.sink import FileSink, Lender, Sink, StreamSink, open_sink
from capseal.io.source import FileSource, Source, StreamSource, open_source

TYPED = Path(__file__).with_name("typed_ends.py")
ROOT = TYPED.parents[2]


def _members(protocol: type) -> set[str]:
    return {*protocol.__annotations__, *(name for name, value in vars(protocol).items() if callable(value))} - {
        *("__init__", "__subclasshook__", "__annotate_func__", "_is_protocol", "_is_runtime_protocol"),
    }


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[list[Source], list[Sink]]]:
    """One of each sort of source, and of each sort of sink."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x")
    with ExitStack() as stack:
        sources = [
            open_source(tmp_path / "folder" / "file"),
            open_source(io.BytesIO(b"x")),
            open_content(tmp_path / "folder"),
            open_content(tmp_path / "folder", deflate=True),
            RangeSource(stack.enter_context(Connection("http://127.0.0.1:9")), "/payload", 10),
        ]
        for source in sources:
            stack.callback(source.close)
        sinks = [FileSink(tmp_path / "out"), StreamSink(io.BytesIO()), open_sink("/dev/null")]
        yield sources, [stack.enter_context(sink) for sink in sinks]


def test_every_source_and_sink_has_all_that_the_protocol_asks_for(ends):
    sources, sinks = ends
    assert {type(source) for source in sources} == {FileSource, StreamSource, FolderZip, RangeSource}
    for protocol, ends in ((Source, sources), (Sink, sinks)):
        for one in ends:
            assert isinstance(one, protocol)
            assert [name for name in _members(protocol) if not hasattr(one, name)] == []


def test_memory_is_a_capability_that_some_have(ends):
    sources, sinks = ends
    assert [isinstance(source, Placed) for source in sources] == [isinstance(source, FileSource) for source in sources]
    assert [isinstance(sink, Lender) for sink in sinks] == [True, False, False]
    assert not _members(Source) & _members(Placed)
    assert not _members(Sink) & _members(Lender)


def _mypy(program: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), str(program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_strict_type_checker_takes_each_for_what_it_is(tmp_path):
    pytest.importorskip("mypy")
    cache = ROOT / ".mypy_cache"
    checked = _mypy(TYPED, cache)
    assert checked.returncode == 0, checked.stdout
    # That it would notice: a source is no sink.
    lacking = tmp_path / "lacking.py"
    lacking.write_text(TYPED.read_text().replace("REMOTE: Source", "REMOTE: Sink"))
    refused = _mypy(lacking, cache)
    assert "Incompatible types in assignment" in refused.stdout
