"""What capseal must reach, and whether results reach it. A miss is printed as a miss."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .machine import GIB, MIB
from .plan import shown

Results = dict[str, Any]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure. reached: None where the size or the machine is not the one that the target is about."""

    measured: str
    reached: bool | None


@dataclass(frozen=True, slots=True)
class Target:
    """A sentence that should be true, and how to find out; `find` returns None where it was not measured."""

    text: str
    find: Callable[[Results], Finding | None]


def at_most(limit: float, *, part: str, place: str, group: str, versus: str, size_bytes: int) -> Target:
    """Capseal's wall time is at most `limit` times another's, the median over pairs from the same round."""
    other = versus + (" + sync" if place == "disk" and group != "install" else "")
    fast = f"wall ≤ {limit:.2g} × {other}" if limit > 0.95 else f"≥ {1 / limit:.2g} × faster than {other}"

    def find(results: Results) -> Finding | None:
        for ratio in results.get(part, {}).get(place, {}).get("ratios", ()):
            if ratio["group"] == group and ratio["versus"] == other:
                measured = f"{ratio['median']:.2f} × its time ({ratio['min']:.2f} to {ratio['max']:.2f}"
                if ratio["median"] < 1:
                    measured += f"; {1 / ratio['median']:.2f} × faster"
                measured += f"; {ratio['pairs']} pairs, {ratio['disturbed_pairs']} of them disturbed)"
                return _sized(measured, ratio["median"] <= limit, ratio["size_bytes"], size_bytes)
        return None

    return Target(f"{group} {shown(size_bytes)} on {place}: {fast}", find)


def memory_ratio(text: str, key: str, limit: float) -> Target:
    """A ratio of the in-memory part is at least `limit`."""

    def find(results: Results) -> Finding | None:
        value = results.get("memory", {}).get(key)
        if value is None:
            return None
        return Finding(f"{value['median']:.2f} ({value['min']:.2f} to {value['max']:.2f})", value["median"] >= limit)

    return Target(text, find)


def _memory_growth(results: Results) -> Finding | None:
    peaks = _peaks(results)
    if GIB not in peaks or max(peaks) == GIB:
        return None
    largest = max(peaks)
    growth = peaks[largest] - peaks[GIB]
    return _sized(f"{growth / MIB:+.1f} MiB at {shown(largest)}", growth <= 4 * MIB, largest, 16 * GIB)


def _memory_over_interpreter(results: Results) -> Finding | None:
    peaks = _peaks(results)
    baseline = results.get("memory", {}).get("baseline")
    if not peaks or baseline is None:
        return None
    largest = max(peaks)
    over = peaks[largest] - baseline["peak_rss_bytes"]
    measured = f"{over / MIB:+.1f} MiB over {baseline['peak_rss_bytes'] / MIB:.0f} MiB, at {shown(largest)}"
    return _sized(measured, over <= 64 * MIB, largest, 16 * GIB)


def _peaks(results: Results) -> dict[int, int]:
    records = results.get("scaling", {}).get("commands", ())
    return {record["size_bytes"]: record["peak_rss_bytes"] for record in records if record["group"] == "seal"}


def _small_verify(results: Results) -> Finding | None:
    if "small" not in results:
        return None
    record = results["small"]["verify"]
    measured = f"{record['wall_min_s']:.3f} s least, {record['wall_median_s']:.3f} s median of {record['runs_counted']}"
    return Finding(measured, record["wall_median_s"] <= 0.25)


def _unused_modules(results: Results) -> Finding | None:
    if "small" not in results:
        return None
    imports = results["small"]["imports"]
    unused = imports["unused_capseal"] + imports["unused_packages"]
    measured = f"{imports['count']} modules in {imports['total_ms']:.0f} ms; unused: {', '.join(unused) or 'none'}"
    return Finding(measured, not unused)


def _segments_touched(results: Results) -> Finding | None:
    reads = results.get("reads")
    if reads is None:
        return None
    most = reads["segments_touched_max"]
    measured = (
        f"at most {most}, on average {reads['segments_touched_mean']:.2f}; p50 {reads['p50_ms']:.2f} ms, "
        f"p99 {reads['p99_ms']:.2f} ms over {reads['reads']} reads; "
        f"in order {reads['sequential_bytes_per_s'] / 1e9:.2f} GB/s"
    )
    return _sized(measured, most <= 4, reads["bundle_bytes"], 4 * GIB)


def _sized(measured: str, reached: bool, size_bytes: int, wanted_bytes: int) -> Finding:
    if size_bytes != wanted_bytes:
        return Finding(f"{measured}, but measured at {shown(size_bytes)}", None)
    return Finding(measured, reached)


def _bundle(limit: float, place: str, group: str, versus: str) -> Target:
    return at_most(limit, part="bundles", place=place, group=group, versus=versus, size_bytes=GIB)


def _verify(limit: float, versus: str) -> Target:
    return at_most(limit, part="verify", place="tmpfs", group="verify", versus=versus, size_bytes=4 * GIB)


def _folder(limit: float, place: str, group: str, versus: str, *, cpu: bool) -> Target:
    """A folder takes at most `limit` times another's processor or wall time, the median over pairs."""
    other = versus + (" + sync" if place == "disk" and group != "install" else "")

    def find(results: Results) -> Finding | None:
        part = results.get("folders", {}).get(place, {})
        for ratio in part.get("cpu_ratios" if cpu else "ratios", ()):
            if ratio["group"] == group and ratio["versus"] == other:
                measured = f"{ratio['median']:.2f} × its time ({ratio['min']:.2f} to {ratio['max']:.2f})"
                return _sized(measured, ratio["median"] <= limit, results["size_bytes"], GIB)
        return None

    what = {"store": "seal", "deflate": "seal --deflate", "install": "install"}[group] + " of a folder"
    return Target(f"{what} on {place}: {'processor' if cpu else 'wall'} ≤ {limit:.2g} × {other}", find)


def _served(limit: float, name: str, *, versus: str = "nginx, sendfile off") -> Target:
    """A server takes at most `limit` times the processor seconds per GB of another, by default nginx that reads."""

    def find(results: Results) -> Finding | None:
        for ratio in results.get("server", {}).get("cpu_ratios", ()):
            if (ratio["name"], ratio["versus"]) == (name, versus):
                measured = f"{ratio['median']:.2f} × its processor time ({ratio['min']:.2f} to {ratio['max']:.2f})"
                reached = ratio["median"] <= limit if ratio["size_bytes"] >= 64 * MIB else None
                return Finding(f"{measured}, {ratio['size_bytes'] / MIB:.0f} MiB", reached)
        return None

    return Target(f"{name}: processor seconds per GB ≤ {limit:.2g} × {versus}", find)


def _starts(limit_s: float, name: str) -> Target:
    def find(results: Results) -> Finding | None:
        for one in results.get("server", {}).get("starts", ()):
            if one["name"] == name:
                seconds = f"{one['listens_s_median']:.2f} s ({one['listens_s_min']:.2f} to {one['listens_s_max']:.2f})"
                took = f"{one['listens_cpu_s_median']:.2f} s of them of its processor time"
                measured = f"{seconds}, {took}, {one['rss_MiB_median']:.0f} MiB"
                return Finding(measured, one["listens_s_median"] <= limit_s)
        return None

    return Target(f"capseal serve with {name}: listens within {limit_s:g} s", find)


def _of_load(text: str, measure: Callable[[Record], tuple[str, bool]]) -> Target:
    def find(results: Results) -> Finding | None:
        load = results.get("server", {}).get("load")
        return Finding(*measure(load)) if load else None

    return Target(f"64 readers, 4 publishers, lists and collections of 20,000 releases, 60 s: {text}", find)


def _errors(load: Record) -> tuple[str, bool]:
    return f"{len(load['errors'])} errors, {load['verified_read_MBps']} MB/s read", not load["errors"]


def _memory(load: Record) -> tuple[str, bool]:
    quarter, end = load["server_rss_MiB"]["after_a_quarter"], load["server_rss_MiB"]["end"]
    return f"{quarter} MiB after a quarter, {end} MiB at the end", end < 1.25 * quarter


def _callbacks(load: Record) -> tuple[str, bool]:
    most = {name: load["longest_stall"][f"{name}_ms"]["most"] for name in ("cpu", "held", "wall")}
    measured = (
        f"{most['cpu']} ms of its processor time, {most['held']} ms with its waits for other threads of the process, "
        f"{most['wall']} ms by the clock"
    )
    return measured, most["cpu"] <= 10


def _deflated_size(results: Results) -> Finding | None:
    packed = results.get("folders", {}).get("tmpfs", {}).get("packed_bytes", {})
    if not {"capseal", "zip -9"} <= packed.keys():
        return None
    ratio = packed["capseal"] / packed["zip -9"]
    return _sized(f"{ratio:.3f} × its size", ratio <= 1.03, results["size_bytes"], GIB)


def _of_deltas(group: str, text: str, limit_of: Callable[[Record, list[Record]], tuple[float, float]]) -> Target:
    """On every pair a figure of capseal's is at most its limit; `limit_of` returns both."""

    def find(results: Results) -> Finding | None:
        part = results.get("delta")
        if not part:
            return None
        worst: tuple[float, str] | None = None
        for one in [*part["commands"], *part["large"]]:
            if one["name"] != "capseal" or group not in ("", one["group"]):
                continue
            peers = [
                other for other in part["commands"] if (other["pair"], other["group"]) == (one["pair"], one["group"])
            ]
            value, limit = limit_of(one, peers)
            if limit:
                worst = max(worst or (0.0, ""), (value / limit, f"{one['pair']}, {one['group']}"))
        return None if worst is None else Finding(f"at most {worst[0]:.2f} × the limit ({worst[1]})", worst[0] <= 1)

    return Target(f"recipes: {text}", find)


def _smallest(peers: list[Record], *names: str) -> float:
    return min((float(one["bytes"]) for one in peers if one["name"] in names), default=0.0)


DELTAS = (
    _of_deltas(
        "update",
        "≤ 1.0 × the smaller of xdelta3 -9 and zstd -12 --patch-from on every pair",
        lambda one, peers: (one["bytes"], _smallest(peers, "xdelta3 -9", "zstd -12 --patch-from")),
    ),
    _of_deltas(
        "fresh",
        "≤ 1.05 × zstd -12 --long=23 on every pair, from nothing",
        lambda one, peers: (one["bytes"], 1.05 * _smallest(peers, "zstd -12 --long=23")),
    ),
    _of_deltas(
        "",
        "device ≤ 0.3 s of CPU + 1 s per 500 MB",
        lambda one, _: (one["apply_cpu_s"], 0.3 + one["new_bytes"] / 500e6),
    ),
    _of_deltas(
        "",
        "device ≤ 64 MiB + the reference + 2 frames of memory",
        lambda one, _: (one["apply_peak_bytes"], 64 * MIB + one["reference_bytes"] + 2 * one["frame_bytes"]),
    ),
    _of_deltas(
        "", "publisher ≤ 12 s of CPU per 100 MB", lambda one, _: (one["cpu_s"], 12 * max(1.0, one["new_bytes"] / 100e6))
    ),
    _of_deltas("", "publisher ≤ 1 GiB of memory, mapped files not counted", lambda one, _: (one["peak_bytes"], GIB)),
)

TARGETS = (
    _bundle(1.0, "tmpfs", "seal", "cp"),
    _bundle(1 / 2, "tmpfs", "seal", "age"),
    _bundle(1 / 4, "tmpfs", "seal", "openssl enc (CBC) + dgst"),
    _bundle(1 / 4, "tmpfs", "seal", "openssl enc (CTR) + dgst"),
    _bundle(1 / 5, "tmpfs", "seal", "gpg"),
    _bundle(1.1, "disk", "seal", "cp"),
    _folder(1.3, "tmpfs", "store", "7z -mx0", cpu=True),
    _folder(1.0, "tmpfs", "store", "7z -mx0", cpu=False),
    _folder(2.0, "disk", "install", "bsdtar -x + syncfs", cpu=False),
    _folder(0.5, "tmpfs", "deflate", "zip -9", cpu=True),
    Target("seal --deflate of a folder: ≤ 1.03 × the size of zip -9", _deflated_size),
    _verify(1.0, "blake3, all cores, mmap"),
    _verify(1 / 3.5, "fsverity digest"),
    _verify(1 / 3, "openssl dgst -verify"),
    _bundle(1.1, "tmpfs", "unseal", "cp"),
    _bundle(1.1, "disk", "unseal", "cp"),
    memory_ratio("in memory, 1 thread: seal ≥ 0.85 × 1/(1/AES + 1/hash)", "seal_over_harmonic_bound", 0.85),
    memory_ratio("in memory: seal with 2 threads ≥ 1.8 × with one", "seal_two_threads_over_one", 1.8),
    Target("peak RSS of seal, 16 GiB − 1 GiB: ≤ 4 MiB", _memory_growth),
    Target("peak RSS of seal, 16 GiB: ≤ 64 MiB over a Python with numpy and cryptography", _memory_over_interpreter),
    Target("verify 1 MiB: ≤ 0.25 s", _small_verify),
    Target("verify 1 MiB: imports no module that it does not use", _unused_modules),
    _served(1.0, "capseal serve"),
    _served(1.6, "capseal serve --verify-reads"),
    _served(1.6, "capseal serve --verify-reads, none kept"),
    _starts(2.0, "10000 releases of one channel"),
    _starts(2.0, "500 apps of 20 releases"),
    _of_load("no error", _errors),
    _of_load("memory grows by at most a quarter", _memory),
    _of_load("the longest callback takes ≤ 10 ms", _callbacks),
    Target("random read of 1 MiB from 4 GiB: touches ≤ 4 segments", _segments_touched),
    *DELTAS,
)


def judged(results: Results) -> Iterator[tuple[Target, str, Finding | None]]:
    """Yield every target with its verdict and what was found."""
    for target in TARGETS:
        finding = target.find(results)
        if finding is None:
            verdict = "not measured"
        elif finding.reached is None:
            verdict = "not judged"
        else:
            verdict = "reached" if finding.reached else "NOT REACHED"
        yield target, verdict, finding


def report(results: Results) -> int:
    """Print every target with its verdict; return 0 only where all are reached."""
    verdicts = []
    for target, verdict, finding in judged(results):
        verdicts.append(verdict)
        print(f"{verdict:12}  {target.text}")
        if finding is not None:
            print(f"{'':14}{finding.measured}")
    reached = verdicts.count("reached")
    print(f"{reached} of {len(verdicts)} reached; {verdicts.count('NOT REACHED')} not reached")
    return 0 if reached == len(verdicts) else 1
