"""The worker loop: any number of threads, ordered or not, errors, memory."""

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import closing

import pytest

import capseal
from capseal import UsageError
from capseal.bundle.pipeline import RUN_SEGMENTS, Pump, payload_layout
from capseal.constants import SEGMENT_BYTES
from capseal.io.sink import FileSink, StreamSink
from capseal.io.source import open_source

RUN_BYTES = RUN_SEGMENTS * SEGMENT_BYTES
JOBS = [1, 2, 3, 8]
SIZES = [0, 1, RUN_BYTES - 1, RUN_BYTES, RUN_BYTES + 1, 5 * RUN_BYTES + 12345]


class Stream(io.RawIOBase):
    """Cannot seek."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        return self.data.readinto(buffer)

    def write(self, data):
        return self.data.write(data)


class ShortError(Exception):
    pass


def _pump(source, sink, work=lambda run, out: run.data, **keywords):
    total = keywords.pop("total", source.size)
    Pump(
        source=source, sink=sink, work=work, read_layout=payload_layout, total=total, ended_early=ShortError, **keywords
    ).run()


def _data(size: int) -> bytes:
    return (os.urandom(4096) * (size // 4096 + 1))[:size]


@pytest.mark.parametrize("jobs", JOBS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ordered", ["neither", "source", "sink", "both"])
def test_everything_arrives_in_its_place(tmp_path, jobs, size, ordered):
    data = _data(size)
    (tmp_path / "in").write_bytes(data)
    source = open_source(Stream(data) if ordered in ("source", "both") else tmp_path / "in")
    output = Stream()
    reported = []
    with StreamSink(output) if ordered in ("sink", "both") else FileSink(tmp_path / "out") as sink:
        _pump(source, sink, jobs=jobs, progress=reported.append)
        sink.commit()
    source.close()
    found = output.data.getvalue() if ordered in ("sink", "both") else (tmp_path / "out").read_bytes()
    assert found == data
    assert sum(reported) == size


@pytest.mark.parametrize("jobs", [0, -1])
@pytest.mark.parametrize("stream", [True, False])
def test_fewer_than_one_job_is_the_callers_mistake_and_not_an_empty_bundle(seal_bytes, jobs, stream, signer, recipient):
    source = Stream(b"x" * 100) if stream else io.BytesIO(b"x" * 100)
    with pytest.raises(UsageError, match=f"{jobs} jobs asked for, at least 1"):
        capseal.seal(
            source, io.BytesIO(), signer=signer, recipients=[recipient.public_key], app="a", version="1", jobs=jobs
        )


@pytest.mark.parametrize("jobs", JOBS)
def test_of_two_errors_the_one_of_the_earlier_run_is_raised(jobs):
    def work(run, out):
        number = run.first // RUN_SEGMENTS
        if number == 2:
            time.sleep(0.05)
        if number >= 2:
            raise ValueError(number)
        return run.data

    source = open_source(io.BytesIO(bytes(8 * RUN_BYTES)))
    with pytest.raises(ValueError, match="2"):
        _pump(source, StreamSink(Stream()), work, jobs=jobs)


@pytest.mark.parametrize("jobs", JOBS)
def test_the_first_error_stops_everyone(jobs, tmp_path):
    done = []

    def work(run, out):
        done.append(run.first)
        if run.first == 0:
            raise ValueError("first")
        time.sleep(0.01)
        return run.data

    path = tmp_path / "in"
    with path.open("wb") as file:
        file.truncate(200 * RUN_BYTES)
    source = open_source(path)
    with pytest.raises(ValueError, match="first"):
        _pump(source, None, work, jobs=jobs)
    source.close()
    assert len(done) < 10 * jobs
    assert threading.active_count() == 1


@pytest.mark.parametrize("jobs", JOBS)
def test_an_error_of_the_sink_or_of_progress_comes_out(jobs):
    class Full(Stream):
        def write(self, data):
            raise OSError(28, "No space left on device")

    def refuse(_):
        raise RuntimeError("no more")

    data = bytes(4 * RUN_BYTES)
    with pytest.raises(OSError, match="No space"):
        _pump(open_source(io.BytesIO(data)), StreamSink(Full()), jobs=jobs)
    with pytest.raises(RuntimeError, match="no more"):
        _pump(open_source(io.BytesIO(data)), None, jobs=jobs, progress=refuse)


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("size", [0, 1, RUN_BYTES, 3 * RUN_BYTES - 1])
def test_a_source_that_ends_early_says_where(tmp_path, jobs, size):
    path = tmp_path / "in"
    path.write_bytes(bytes(size))
    for source in (open_source(path), open_source(Stream(bytes(size)))):
        with pytest.raises(ShortError) as caught:
            _pump(source, None, total=3 * RUN_BYTES, jobs=jobs)
        source.close()
        # Workers that read at the same time may notice beyond the end; the earliest run's error wins.
        assert caught.value.args == (size,)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_buffers_do_not_grow_with_the_input(tmp_path, jobs):
    path = tmp_path / "in"
    peaks = []
    for runs in (8, 64):
        with path.open("wb") as file:
            file.truncate(runs * RUN_BYTES)
        seen = set()

        def work(run, out, seen=seen):
            seen.add(run.data.obj)  # the buffer behind the run
            return run.data

        source = open_source(path)
        tracemalloc.start()
        _pump(source, None, work, jobs=jobs)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        source.close()
        assert len(seen) <= jobs
        assert all(len(buffer) == RUN_BYTES for buffer in seen)
    assert max(peaks) < 2**20  # buffers are mapped, not traced; nothing else is large


INTERRUPTED = """
import io, signal, sys, time
import capseal
from capseal import PrivateKey

signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background are started with it ignored
key = PrivateKey.generate(3072)

def progress(_):
    print("going", flush=True)
    time.sleep(0.2)

try:
    capseal.seal(sys.argv[1], sys.argv[2], signer=key, recipients=[key.public_key], app="a", version="1",
                 jobs=int(sys.argv[3]), progress=progress)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_leaves_nothing_behind(tmp_path, jobs):
    source = tmp_path / "in"
    with source.open("wb") as file:
        file.truncate(100 * RUN_BYTES)
    target = tmp_path / "target"
    target.mkdir()
    arguments = [sys.executable, "-c", INTERRUPTED, source, target / "out", str(jobs)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert rest.endswith("interrupted\n")
    assert process.returncode == 0
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("jobs", JOBS)
def test_without_memory_for_a_buffer_nothing_passes_unchecked(jobs, monkeypatch, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(_data(3 * RUN_BYTES))

    def no_memory(*_):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("mmap.mmap", no_memory)
    with closing(open_source(path)) as source, pytest.raises(OSError, match="Cannot allocate memory"):
        _pump(source, None, jobs=jobs)


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_fewer_threads_than_wanted_do_all_of_it(allowed, monkeypatch, tmp_path):
    path = tmp_path / "source"
    data = _data(5 * RUN_BYTES + 1)
    path.write_bytes(data)
    start = threading.Thread.start
    started = []

    def limited(thread):
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    done = []
    with closing(open_source(path)) as source:
        _pump(source, None, lambda run, out: (done.append((run.first, bytes(run.data))), run.data)[1], jobs=4)
    assert b"".join(part for _, part in sorted(done)) == data
    assert len(started) == allowed
