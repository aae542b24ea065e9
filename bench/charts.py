"""Pictures of results, as SVG and PNG: bars against the peers, lines against size.

Every picture says on itself what it was measured on, with which versions and by which command.
"""

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .machine import GIB, MIB
from .plan import shown

Record = dict[str, Any]

OURS = "#0b6e4f"
THEIRS = "#9aa5b1"
CEILING = "#b3261e"
TEXT = "#3c4043"
CLIP = 14
"""Bars longer than so many times capseal's are cut off, with their figure at the cut."""

plt.switch_backend("svg")  # needs no display; PNG is made all the same
plt.rcParams.update(
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#c4c7cc",
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
        "svg.hashsalt": "capseal",
        "savefig.facecolor": "white",
    }
)


def draw(results: dict[str, Any], folder: str) -> list[str]:
    """Write every picture that the results have figures for; return their paths."""
    os.makedirs(folder, exist_ok=True)
    paths: list[str] = []
    for place in ("tmpfs", "disk"):
        records = results.get("bundles", {}).get(place, {}).get("commands", [])
        if records:
            paths += _save(_peers(results, records, place), folder, f"peers-{place}")
        if records and place == "tmpfs":
            paths += _save(_peers_memory(results, records), folder, "peers-memory")
    for place in ("tmpfs", "disk"):
        records = results.get("folders", {}).get(place, {}).get("commands", [])
        if records:
            paths += _save(_folders(results, records, place), folder, f"folders-{place}")
    records = results.get("verify", {}).get("tmpfs", {}).get("commands", [])
    if records:
        paths += _save(_verify(results, records), folder, "verify")
    records = results.get("server", {}).get("commands", [])
    if records:
        paths += _save(_server(results, records), folder, "server")
    records = results.get("delta", {}).get("commands", [])
    if records:
        paths += _save(_deltas(results, records), folder, "delta")
    records = results.get("scaling", {}).get("commands", [])
    if records:
        paths += _save(_scaling(results, records), folder, "scaling")
    print("\n".join(f"wrote {path}" for path in paths), file=sys.stderr)
    return paths


def _peers(results: dict[str, Any], records: Sequence[Record], place: str) -> Figure:
    where = "in RAM (tmpfs)" if place == "tmpfs" else "on disk, synced"
    sides = [[one for one in records if one["group"] == group] for group in ("seal", "unseal")]
    figure, axes = plt.subplots(1, 2, figsize=(12, 1.9 + 0.36 * max(map(len, sides))))
    size = shown(sides[0][0]["size_bytes"])
    titles = (f"Seal {size}: encrypt and sign", f"Unseal {size}: verify and decrypt")
    for axis, side, title in zip(axes, sides, titles, strict=True):
        _bars(axis, side, lambda one: one["wall_median_s"], lambda value: f"{value:.2f} s")
        axis.set_title(title, loc="left", fontweight="bold", fontsize=11)
        axis.set_xlabel(f"seconds of wall time, {where}; lower is better")
    return _captioned(figure, results, "Median of the rounds, whole process, start included.")


def _peers_memory(results: dict[str, Any], records: Sequence[Record]) -> Figure:
    sides = [
        [one for one in records if one["group"] == group and one["role"] != "ceiling"] for group in ("seal", "unseal")
    ]
    figure, axes = plt.subplots(1, 2, figsize=(12, 1.9 + 0.36 * max(map(len, sides))))
    size = shown(sides[0][0]["size_bytes"])
    for axis, side, title in zip(axes, sides, (f"Memory to seal {size}", f"Memory to unseal {size}"), strict=True):
        _bars(axis, side, lambda one: one["peak_rss_bytes"] / MIB, lambda value: f"{value:,.0f} MiB")
        axis.set_title(title, loc="left", fontweight="bold", fontsize=11)
        axis.set_xlabel("MiB of peak resident memory; lower is better")
    return _captioned(figure, results, "The largest of all rounds; what is below 10 MiB is shown as 10 MiB.")


def _folders(results: dict[str, Any], records: Sequence[Record], place: str) -> Figure:
    where = "in RAM (tmpfs)" if place == "tmpfs" else "on disk, synced"
    titles = {"store": "Seal a folder", "install": "Install it", "deflate": "Seal a folder deflated"}
    groups = [group for group in titles if any(one["group"] == group for one in records)]
    figure, axes = plt.subplots(len(groups), 2, figsize=(12, 3.2 * len(groups)), squeeze=False)
    for row, group in zip(axes, groups, strict=True):
        side = [one for one in records if one["group"] == group]
        size = f"{side[0]['size_bytes'] / MIB:.0f} MiB"
        title = f"{titles[group]}, {size}"
        for axis, key, label in (
            (row[0], "wall_median_s", f"seconds of wall time, {where}; lower is better"),
            (row[1], "cpu_min_s", "seconds of processor time; lower is better"),
        ):
            _bars(axis, side, lambda one, key=key: one[key], lambda value: f"{value:.2f} s")
            axis.set_title(title, loc="left", fontweight="bold", fontsize=11)
            axis.set_xlabel(label)
    return _captioned(
        figure,
        results,
        "Whole process, start included; wall: median of the rounds. The others neither encrypt nor sign.",
    )


def _verify(results: dict[str, Any], records: Sequence[Record]) -> Figure:
    figure, axis = plt.subplots(figsize=(9, 1.9 + 0.36 * len(records)))
    _bars(axis, records, lambda one: one["wall_median_s"], lambda value: f"{value:.2f} s")
    axis.set_title(f"Verify {shown(records[0]['size_bytes'])}", loc="left", fontweight="bold", fontsize=11)
    axis.set_xlabel("seconds of wall time, file in RAM (tmpfs); lower is better")
    return _captioned(figure, results, "Median of the rounds, whole process, start included.")


def _server(results: dict[str, Any], records: Sequence[Record]) -> Figure:
    figure, axis = plt.subplots(figsize=(9, 1.9 + 0.36 * len(records)))
    _bars(axis, records, lambda one: one["cpu_s_per_gb_median"], lambda value: f"{value:.2f} s")
    axis.set_title("Serve a bundle to 8 clients", loc="left", fontweight="bold", fontsize=11)
    axis.set_xlabel("processor seconds per GB sent, from RAM (tmpfs); lower is better")
    return _captioned(figure, results, "Median of the rounds; a fresh server each, ranges of 8 MiB, loopback.")


def _deltas(results: dict[str, Any], records: Sequence[Record]) -> Figure:
    pairs = list(dict.fromkeys(one["pair"] for one in records))
    figure, axes = plt.subplots(len(pairs), 2, figsize=(12, 2.0 * len(pairs)), squeeze=False)
    for row, pair in zip(axes, pairs, strict=True):
        for axis, group, title in ((row[0], "update", "from the version before"), (row[1], "fresh", "from nothing")):
            side = [one for one in records if (one["pair"], one["group"]) == (pair, group)]
            bars = [one | {"role": "capseal" if one["name"] == "capseal" else "peer"} for one in side]
            _bars(axis, bars, lambda one: one["bytes"] / 1000, lambda value: f"{value:,.1f} KB")
            axis.set_title(f"{pair}, {side[0]['new_bytes'] / 1e6:.1f} MB, {title}", loc="left", fontsize=11)
    return _captioned(figure, results, "Download in KB of 1000 bytes; lower is better.")


def _bars(axis: Axes, records: Sequence[Record], value_of: Any, text_of: Any) -> None:
    """Draw one bar each, the shortest on top; ceilings become dashed lines."""
    bars = sorted((one for one in records if one["role"] != "ceiling"), key=value_of, reverse=True)
    ours = min((value_of(one) for one in bars if one["role"] == "capseal"), default=None)
    longest = max(value_of(one) for one in records)
    limit = longest if ours is None else min(longest, max(CLIP * ours, max(value_of(one) for one in bars) / CLIP))
    for row, one in enumerate(bars):
        value = value_of(one)
        mine = one["role"] == "capseal"
        axis.barh(row, min(value, limit), height=0.66, color=OURS if mine else THEIRS)
        text = text_of(value) if value <= limit else f"{text_of(value)}  (bar cut off)"
        axis.annotate(
            text,
            (min(value, limit), row),
            xytext=(4 if value <= limit else -4, 0),
            textcoords="offset points",
            va="center",
            ha="left" if value <= limit else "right",
            fontweight="bold" if mine else "normal",
            color="white" if value > limit else TEXT,
            fontsize=9,
        )
    axis.set_yticks(range(len(bars)), [one["name"].removesuffix(" + sync") for one in bars])
    for label, one in zip(axis.get_yticklabels(), bars, strict=True):
        label.set_fontweight("bold" if one["role"] == "capseal" else "normal")
    axis.set_xlim(0, limit * 1.16)
    axis.tick_params(left=False)
    for one in (one for one in records if one["role"] == "ceiling"):
        value = value_of(one)
        axis.axvline(value, color=CEILING, linestyle="--", linewidth=1.2)
        axis.annotate(
            f"{one['name']}: {text_of(value)}",
            (value, len(bars) - 0.5),
            xytext=(4, 2),
            textcoords="offset points",
            color=CEILING,
            fontsize=9,
            va="bottom",
        )
    axis.set_ylim(-0.6, len(bars) + 0.1)


def _scaling(results: dict[str, Any], records: Sequence[Record]) -> Figure:
    figure, (times, memory) = plt.subplots(1, 2, figsize=(12, 4.6))
    styles = {"seal": (OURS, "o"), "verify": ("#1f6fb2", "s"), "unseal": ("#c77700", "^")}
    for group, (color, marker) in styles.items():
        points = sorted((one for one in records if one["group"] == group), key=lambda one: one["size_bytes"])
        sizes = [one["size_bytes"] / GIB for one in points]
        for axis, values in (
            (times, [one["wall_min_s"] for one in points]),
            (memory, [one["peak_rss_bytes"] / MIB for one in points]),
        ):
            axis.plot(sizes, values, color=color, marker=marker, label=group, linewidth=1.8)
            for one, x, y in zip(points, sizes, values, strict=True):
                if one["place"] == "disk":
                    axis.annotate("disk", (x, y), xytext=(0, 8), textcoords="offset points", fontsize=8, ha="center")
    ticks = sorted({one["size_bytes"] for one in records})
    for axis in (times, memory):
        axis.set_xscale("log", base=2)
        axis.set_xticks([size / GIB for size in ticks], [shown(size) for size in ticks])
        axis.minorticks_off()
        axis.grid(axis="y", color="#e8eaed")
        axis.set_xlabel("size of the bundle")
    times.set_yscale("log", base=2)
    low, high = times.get_ylim()
    labels = [value for value in (2.0**n for n in range(-6, 10)) if low <= value <= high]
    times.set_yticks(labels, [f"{value:g}" for value in labels])
    times.set_ylabel("seconds of wall time; lower is better")
    times.set_title("Time grows with the size", loc="left", fontweight="bold", fontsize=11)
    times.legend(frameon=False)
    memory.set_ylabel("MiB of peak resident memory; lower is better")
    memory.set_title("Memory does not", loc="left", fontweight="bold", fontsize=11)
    memory.set_ylim(0, 1.35 * max(one["peak_rss_bytes"] / MIB for one in records))
    baseline = results.get("memory", {}).get("baseline")
    if baseline is not None:
        value = baseline["peak_rss_bytes"] / MIB
        memory.axhline(value, color=CEILING, linestyle="--", linewidth=1.2)
        memory.annotate(
            f"a Python that only imports numpy and cryptography: {value:.0f} MiB",
            (0.02, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, -4),
            textcoords="offset points",
            color=CEILING,
            fontsize=9,
            va="top",
        )
    return _captioned(
        figure, results, "Least of the rounds. What is sealed is a sparse file; what is unsealed goes to /dev/null."
    )


def _captioned(figure: Figure, results: dict[str, Any], text: str) -> Figure:
    machine, versions = results["machine"], results["versions"]
    peers = ", ".join(f"{name} {peer['found']}" for name, peer in results["peers"].items() if peer["found"])
    virtual = ", virtual" if machine["virtual"] else ""
    lines = [
        f"{text} {results['rounds']} interleaved rounds, {results['started'][:10]}. "
        f"{machine['cpu']}, {machine['cores']} cores{virtual} ({', '.join(machine['cpu_flags'])}), "
        f"{machine['memory_bytes'] / GIB:.0f} GiB, {machine['system']} {machine['kernel']}.",
        f"capseal {versions['capseal']} ({versions['commit']}, hash kernel {versions['hash_kernel']}), "
        f"Python {versions['python']}, cryptography {versions['cryptography']} "
        f"({versions['openssl_in_cryptography']}), numpy {versions['numpy']}. Peers: {peers}.",
        f"Command: {results['command']}",
    ]
    width = int(figure.get_size_inches()[0] * 17)
    wrapped = "\n".join(piece for line in lines for piece in textwrap.wrap(line, width))
    # In inches, so that the caption takes the same room under every picture.
    height = figure.get_size_inches()[1] + 0.15 * (wrapped.count("\n") + 1)
    figure.set_size_inches(figure.get_size_inches()[0], height)
    figure.text(0.01, 0.008, wrapped, fontsize=7.5, color="#6b7280", va="bottom", linespacing=1.3)
    figure.tight_layout(rect=(0, (0.15 * (wrapped.count("\n") + 1) + 0.12) / height, 1, 1))
    return figure


def _save(figure: Figure, folder: str, name: str) -> list[str]:
    paths = []
    for end, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130})):
        path = os.path.join(folder, f"{name}.{end}")
        figure.savefig(path, **options)
        paths.append(path)
    plt.close(figure)
    return paths
