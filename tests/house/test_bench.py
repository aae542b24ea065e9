"""The benchmark suite itself: a tiny run of it, and that it tells the truth about what it measured."""

import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys

import pytest

from support.places import ROOT

PARTS_OF_COMMANDS = ("small", "bundles", "folders", "verify", "scaling")
OTHER_PARTS = ("memory", "threads", "reads", "server")
RECORD = {
    "group",
    "name",
    "role",
    "place",
    "size_bytes",
    "wall_min_s",
    "wall_median_s",
    "cpu_min_s",
    "peak_rss_bytes",
    "runs_counted",
    "note",
    "runs",
}
RUN = {"round", "wall_s", "cpu_s", "peak_rss_bytes", "others_cpu_s", "disturbed"}
GIB = 2**30


def bench(*arguments, check=True):
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=check
    )


def tiny_run(folder, *, parts):
    """Run these parts on 1 MiB, with two peers; return what was printed and what was written."""
    sizes = ("--size", "1MiB", "--verify-size", "2MiB", "--max-size", "1MiB", "--rounds", "1")
    places = ("--tmpfs", folder, "--disk", folder, "--out", folder / "out")
    done = bench(*sizes, *places, "--peers", "openssl enc,cryptography", "--only", ",".join(parts))
    return done.stdout, json.loads((folder / "out" / "results.json").read_text()), folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The parts that time whole commands; the others are left to the soak run."""
    return tiny_run(tmp_path_factory.mktemp("bench"), parts=PARTS_OF_COMMANDS)


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("bench.measure")


def records_of(results):
    for part in ("bundles", "folders", "verify"):
        for place in results[part].values():
            yield from place["commands"]
    yield from results["scaling"]["commands"]


def test_results_have_the_documented_shape(tiny):
    _, results, _ = tiny
    assert results["schema"] == "capseal-bench-v1"
    assert results.keys() > {*PARTS_OF_COMMANDS, "machine", "versions", "peers", "command", "form", "rounds", "started"}
    for record in records_of(results):
        assert record.keys() == RECORD
        assert all(run.keys() == RUN for run in record["runs"])
        assert 0 < record["wall_min_s"] <= record["wall_median_s"]
        assert record["peak_rss_bytes"] > 2**20


def test_every_command_of_the_tiny_run_worked(tiny):
    _, results, _ = tiny
    failed = [
        one for part in ("bundles", "folders", "verify") for place in results[part].values() for one in place["skipped"]
    ] + results["scaling"]["skipped"]
    assert [one for one in failed if "not installed" not in one["reason"]] == []
    names = {record["name"] for record in results["bundles"]["tmpfs"]["commands"]}
    assert {"cp", "capseal", "cryptography + hashlib loop"} <= names


def test_every_command_is_one_json_line_on_stdout(tiny):
    stdout, results, _ = tiny
    lines = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    assert len(lines) == len(list(records_of(results)))


def test_results_say_what_was_run_but_not_where(tiny):
    _, results, folder = tiny
    text = json.dumps(results)
    assert results["command"].startswith("python -m bench --size 1MiB")
    assert str(folder) not in results["command"]
    assert platform.node() not in text or len(platform.node()) < 4
    assert str(ROOT) not in text


def test_a_run_at_another_size_reaches_no_target_that_names_a_size(tiny):
    _, _, folder = tiny
    done = bench("--check", folder / "out" / "results.json", check=False)
    assert done.returncode == 1
    judged = [line for line in done.stdout.splitlines() if "GiB on" in line or "16 GiB" in line]
    assert judged
    assert all(line.startswith(("not judged", "not measured")) for line in judged)


def test_a_miss_is_printed_as_a_miss(tmp_path):
    ratio = {"group": "seal", "versus": "cp", "size_bytes": GIB, "pairs": 3, "disturbed_pairs": 0}
    ratio |= {"min": 1.1, "median": 1.2, "max": 1.3}
    path = tmp_path / "results.json"
    results = {"schema": "capseal-bench-v1", "bundles": {"tmpfs": {"ratios": [ratio]}}}
    path.write_text(json.dumps(results))
    done = bench("--check", path, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("NOT REACHED   seal 1 GiB on tmpfs: wall ≤ 1 × cp")
    ratio |= {"median": 1.0}
    path.write_text(json.dumps(results))
    assert bench("--check", path, check=False).stdout.startswith("reached       seal 1 GiB on tmpfs")


def test_peak_memory_is_that_of_the_command_and_not_of_who_started_it(measure, tmp_path):
    mine = bytearray(200 * 2**20)
    command = measure.Command(name="true", group="seal", role="peer", steps=[measure.Step(("true",))])
    run = measure.run_once(command, round_=0, place="tmpfs", folder=str(tmp_path), warm_bytes=0)
    assert run.peak_rss_bytes < 50 * 2**20 < len(mine)


def test_memory_and_time_of_children_of_children_count(measure, tmp_path):
    code = "x = b'1' * 80_000_000\nfor _ in range(2_000_000): pass"
    step = measure.Step(("sh", "-c", f'{sys.executable} -c "{code}" | cat'))
    command = measure.Command(name="pipe", group="seal", role="peer", steps=[step])
    run = measure.run_once(command, round_=0, place="tmpfs", folder=str(tmp_path), warm_bytes=0)
    assert run.peak_rss_bytes > 75 * 2**20
    assert run.cpu_s > 0.01


def test_a_peer_that_fails_is_named_and_spoils_nothing(measure, tmp_path):
    good = measure.Command(name="good", group="seal", role="capseal", steps=[measure.Step(("true",))])
    bad = measure.Command(
        name="bad", group="seal", role="peer", steps=[measure.Step(("sh", "-c", "echo broken; false"))]
    )
    series, failed = measure.interleave(
        [bad, good], rounds=2, full=True, place="tmpfs", folder=str(tmp_path), size_bytes=0, say=lambda _: None
    )
    assert [one.command.name for one in series] == ["good"]
    assert len(series[0].runs) == 2
    assert [(one["name"], "broken" in one["reason"]) for one in failed] == [("bad", True)]


def test_ratios_pair_runs_of_the_same_round_and_leave_disturbed_ones_out(measure):
    def series(role, walls, disturbed):
        runs = [measure.Run(i, wall, 0.0, 0, 0.0, i in disturbed) for i, wall in enumerate(walls)]
        command = measure.Command(name=role, group="seal", role=role, steps=[])
        return measure.Series(command, "tmpfs", 1, runs)

    ours = series("capseal", [1.0, 2.0, 9.0], {2})
    theirs = series("peer", [2.0, 8.0, 1.0], set())
    (ratio,) = measure.ratios([ours, theirs])
    assert (ratio["min"], ratio["max"]) == (0.25, 0.5)
    assert (ratio["pairs"], ratio["left_out_pairs"], ratio["disturbed_pairs"]) == (2, 1, 0)


def test_pictures_are_drawn_from_results(tiny):
    if importlib.util.find_spec("matplotlib") is None:
        message = "matplotlib is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    _, _, folder = tiny
    for name in ("peers-tmpfs", "peers-disk", "peers-memory", "verify", "scaling"):
        assert (folder / "out" / f"{name}.svg").read_text().startswith("<?xml")
        assert (folder / "out" / f"{name}.png").stat().st_size > 10_000


def test_modules_that_a_command_loads_and_does_not_use_are_found(tiny):
    _, results, _ = tiny
    assert results["small"]["verify"].keys() == RECORD
    imports = results["small"]["imports"]
    assert "capseal.bundle.verify" in imports["capseal"]
    assert imports["unused_capseal"] == []


@pytest.mark.soak
def test_every_other_part_measures_what_its_targets_ask_for(tmp_path):
    _, results, _ = tiny_run(tmp_path, parts=OTHER_PARTS)
    assert results["memory"]["seal_over_harmonic_bound"].keys() == {"min", "median", "max"}
    assert results["memory"]["baseline"].keys() == RECORD
    assert results["reads"]["segments_touched_max"] <= 4
    assert results["reads"]["p50_ms"] <= results["reads"]["p99_ms"]
    assert {record["name"] for record in results["threads"]["commands"]} >= {"capseal -j 1"}
    assert {record["name"] for record in results["server"]["commands"]} >= {"capseal serve", "Starlette StaticFiles"}
    assert all(record["cpu_s_per_gb_min"] > 0 for record in results["server"]["commands"])


def test_what_is_installed_is_counted_in_bytes_on_the_disk_and_in_distributions(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    install = importlib.import_module("bench.install")
    (tmp_path / "one-1.0.dist-info").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "module.py").write_bytes(bytes(100_000))
    (tmp_path / "one" / "link.py").symlink_to("module.py")
    assert install._distributions(str(tmp_path)) == 1
    files = [tmp_path / "one" / name for name in ("module.py", "link.py")]
    assert install._bytes_in(str(tmp_path)) == sum(os.lstat(path).st_blocks * 512 for path in files)
