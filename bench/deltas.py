"""Recipes against other deltas: real pairs of front-end packages, by name and version, and a made-up game.

Each is given both versions as stored zips of capseal's own (what is shipped), and recipes are made from the folders.
Every rebuilt content is compared with the new one. CPU and memory are those of a whole program, start included.
"""

import hashlib
import importlib.util
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from . import updates
from .machine import MIB
from .plan import Plan

PAIRS = {
    "three": ("three@0.185.1", "three@0.186.0"),
    "pdfjs": ("pdfjs-dist@6.4.299", "pdfjs-dist@6.5.438"),
    "monaco": ("monaco-editor@0.56.0", "monaco-editor@0.57.0"),
    "phaser": ("phaser@4.2.0", "phaser@4.2.1"),
    "babylon": ("@babylonjs/core@9.34.0", "@babylonjs/core@9.35.0"),
}
OTHERS = {
    "onnx": ("onnxruntime-web@1.29.0", "onnxruntime-web@1.30.0"),  # WebAssembly
    "canvaskit": ("canvaskit-wasm@0.41.1", "canvaskit-wasm@0.42.0"),
    "fontawesome": ("@fortawesome/fontawesome-free@7.2.0", "@fortawesome/fontawesome-free@7.3.0"),  # fonts, images
    "noto": ("@fontsource/noto-sans-jp@5.2.9", "@fontsource/noto-sans-jp@5.3.0"),
    "flags": ("flag-icons@7.3.2", "flag-icons@7.5.0"),
    "mui": ("@mui/icons-material@9.4.0", "@mui/icons-material@9.5.0"),  # 43,010 files
    "directus": ("@directus/app@17.1.1", "@directus/app@18.0.0"),  # minified, hashes in the files' names
    "n8n": ("n8n-editor-ui@2.40.3", "n8n-editor-ui@2.41.0"),
    "excalidraw": ("@excalidraw/excalidraw@0.18.0", "@excalidraw/excalidraw@0.18.1"),
    "tiny": ("is-odd@3.0.0", "is-odd@3.0.1"),
}
"""Pairs of other kinds, which the long form has besides."""
END_TO_END = ("three", "pdfjs", "phaser")
GAME = "game"
TIME_OUT_S = 300
_BSDIFF_BYTES = 200 * MIB
"""bsdiff takes 17 bytes of memory for each of the old content: it is not asked for more than that."""
_LEAST_KB = 32 * MIB // 1024

Record = dict[str, Any]


def run(plan: Plan, where: str) -> dict[str, Any]:
    """Measure every pair that can be had; the long form has bsdiff, other pairs, the game and 4 GiB besides."""
    kept = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "capseal-bench", "pairs")
    os.makedirs(kept, exist_ok=True)
    commands: list[Record] = []
    installed: list[Record] = []
    with TemporaryDirectory(prefix="capseal-bench-", dir=where) as folder:
        for name, packages in (PAIRS | (OTHERS if plan.full else {})).items():
            if (pair := _fetched(kept, name, packages, plan.say)) is None:
                continue
            commands += _pair(name, *pair, folder, plan)
            if name in END_TO_END:
                installed.append(updates.run(name, *pair, os.path.join(folder, f"{name}-installed")))
                shutil.rmtree(os.path.join(folder, f"{name}-installed"))
                plan.say(f"  {name}: {json.dumps(installed[-1])}")
        game = _made_up(kept, os.path.join(kept, "three-a")) if plan.full else None
        if game is not None:
            commands += _pair(GAME, *game, folder, plan)
        large = _large(folder, plan) if plan.full else []
    return {"commands": commands, "large": large, "installed": installed}


def _fetched(kept: str, name: str, packages: Sequence[str], say: Callable[[str], None]) -> tuple[str, str] | None:
    """Return both folders of a pair, None where npm or the package is not to be had."""
    folders = [os.path.join(kept, f"{name}-{which}") for which in "ab"]
    for package, folder in zip(packages, folders, strict=True):
        if os.path.isdir(folder):
            continue
        if shutil.which("npm") is None:
            say(f"{name}: npm is not installed")
            return None
        with TemporaryDirectory(dir=kept) as scratch:
            argv = ["npm", "pack", "--silent", package, "--pack-destination", scratch]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                say(f"{name}: {package} could not be fetched: {done.stderr.strip()[-200:]}")
                return None
            with tarfile.open(os.path.join(scratch, done.stdout.split()[-1])) as archive:
                archive.extractall(scratch, filter="data")
            os.rename(os.path.join(scratch, "package"), folder)
    return folders[0], folders[1]


def _pair(name: str, old: str, new: str, folder: str, plan: Plan) -> list[Record]:
    plan.say(f"  {name}")
    zips = [_zipped(path, os.path.join(folder, f"{name}-{which}.zip")) for path, which in ((old, "a"), (new, "b"))]
    sizes = [os.path.getsize(path) for path in zips]
    nothing = os.path.join(folder, "nothing")
    os.makedirs(nothing, exist_ok=True)
    records = [
        *_recipe(name, "update", old, new, zips[1], folder),
        *_recipe(name, "fresh", nothing, new, zips[1], folder),
    ]
    for peer, group, argv in _peers(*zips, os.path.join(folder, "delta"), plan.full):
        if os.path.exists(os.path.join(folder, "delta")):
            os.unlink(os.path.join(folder, "delta"))
        cost = _cost(argv)
        if cost is not None:
            records.append(
                {"pair": name, "group": group, "name": peer, "bytes": os.path.getsize(os.path.join(folder, "delta"))}
                | cost
            )
        else:
            plan.say(f"  {name}: {peer} did not end in {TIME_OUT_S} s")
    records.append({"pair": name, "group": "update", "name": "files by hash", "bytes": _by_hash(old, new)})
    if shutil.which("casync"):
        records.append({"pair": name, "group": "update", "name": "casync", "bytes": _chunked(*zips, folder)})
    for path in zips:
        os.unlink(path)
    return [record | {"old_bytes": sizes[0], "new_bytes": sizes[1]} for record in records]


def _recipe(name: str, group: str, old: str, new: str, right: str, folder: str) -> list[Record]:
    recipe, out = os.path.join(folder, "recipe"), os.path.join(folder, "rebuilt")
    capseal = [sys.executable, "-m", "capseal", "delta"]
    made = _cost([*capseal, "make", old, new, "-o", recipe, "-f"], time_out_s=math.inf)
    applied = _cost([sys.executable, "-c", _APPLY, old, recipe], time_out_s=math.inf)
    subprocess.run([*capseal, "apply", old, recipe, "-o", out, "-f"], check=True, stdout=subprocess.DEVNULL)
    if _digest(out) != _digest(right):
        raise SystemExit(f"{name}: what the recipe made is not the new content")
    shown = json.loads(subprocess.check_output([*capseal, "show", recipe, "--json"]))
    os.unlink(out)
    return [
        {
            "pair": name, "group": group, "name": "capseal", "bytes": os.path.getsize(recipe),
            "frame_bytes": shown["frame_bytes"], "reference_bytes": shown["reference_bytes"],
            "apply_cpu_s": (applied or {}).get("cpu_s"), "apply_peak_bytes": (applied or {}).get("peak_bytes"),
        }
        | (made or {})
    ]  # fmt: skip


_APPLY = "import sys; from capseal import delta; delta.apply_recipe(*sys.argv[1:], '/dev/null')"


def _peers(old: str, new: str, delta: str, full: bool) -> list[tuple[str, str, list[str]]]:
    """Name, group and command of each that is there. Levels as good as a publisher would take them."""
    log = max(23, (os.path.getsize(old) + os.path.getsize(new)).bit_length())
    zstd = ["zstd", "-q", "-f", "-12"]
    known = [
        (
            "xdelta3 -9",
            "update",
            ["xdelta3", "-9", "-e", "-f", "-S", "lzma", "-B", "1073741824", "-s", old, new, delta],
        ),
        ("zstd -12 --patch-from", "update", [*zstd, f"--long={min(31, log)}", f"--patch-from={old}", new, "-o", delta]),
        ("zstd -12 --long=23", "fresh", [*zstd, "--long=23", new, "-o", delta]),
    ]
    if full and os.path.getsize(old) <= _BSDIFF_BYTES:
        known.append(("bsdiff", "update", ["bsdiff", old, new, delta]))
    found = [one for one in known if shutil.which(one[2][0])]
    if importlib.util.find_spec("hdiffpatch"):
        found.append(("hdiffpatch", "update", [sys.executable, "-c", _HDIFF, old, new, delta]))
    return found


_HDIFF = """
import sys, hdiffpatch
old, new = (open(path, "rb").read() for path in sys.argv[1:3])
open(sys.argv[3], "wb").write(hdiffpatch.diff(old, new, compression="zstd"))
"""


def _cost(argv: Sequence[str], *, time_out_s: float = TIME_OUT_S) -> Record | None:
    """Run a command; return its CPU seconds and peak memory (files that it maps not counted), None out of time."""
    started = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    peak_kb = 0
    while (done := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        peak_kb = max(peak_kb, _anonymous_kb(process.pid))
        if time.monotonic() - started > time_out_s:
            process.kill()
            os.wait4(process.pid, 0)
            return None
        time.sleep(0.005)
    process.returncode = os.waitstatus_to_exitcode(done[1])
    if process.returncode:
        raise SystemExit(f"{argv[0]}: exit code {process.returncode}: {' '.join(argv)[:300]}")
    usage = done[2]
    return {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - started,
        "peak_bytes": peak_kb * 1024,
        "peak_with_maps_bytes": usage.ru_maxrss * 1024,
    }


def _anonymous_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(("RssAnon", "RssShmem")))
    except OSError:
        return 0


def _zipped(folder: str, path: str) -> str:
    from capseal.archive.folder_zip import FolderZip

    source = FolderZip(folder)
    with open(path, "wb") as file:
        for at in range(0, source.size or 0, 8 * MIB):
            file.write(source.peek(at, 8 * MIB))
    return path


def _by_hash(old: str, new: str) -> int:
    """What a device downloads that has files by their hash, as Capgo's manifests do: changed ones, by Brotli."""
    there = {_digest(path) for path in _files(old)}
    total = 0
    for path in _files(new):
        if _digest(path) not in there:
            with open(path, "rb") as file:
                data = file.read()
            total += min(len(data), len(_brotli(data)))
    return total


def _chunked(old: str, new: str, folder: str) -> int:
    """What a device downloads that has the old chunks: the new index, and the chunks that are only there (casync)."""
    stores = [os.path.join(folder, f"chunks-{which}") for which in "ab"]
    index = os.path.join(folder, "chunks.caibx")
    for path, store in zip((old, new), stores, strict=True):
        subprocess.run(["casync", "make", f"--store={store}", index, path], check=True, stdout=subprocess.DEVNULL)
    there = {os.path.basename(path) for path in _files(stores[0])}
    total = os.path.getsize(index)
    total += sum(os.path.getsize(path) for path in _files(stores[1]) if os.path.basename(path) not in there)
    for store in stores:
        shutil.rmtree(store)
    return total


def _brotli(data: bytes) -> bytes:
    import brotli

    packed: bytes = brotli.compress(data, quality=9) if len(data) < 64 * MIB else data
    return packed


def _files(folder: str) -> list[str]:
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made_up(kept: str, words_from: str) -> tuple[str, str] | None:
    """Make a game of 500 MB, and its next version: edits, insertions, a block moved, files added, removed, renamed."""
    old, new = os.path.join(kept, "game-a"), os.path.join(kept, "game-b")
    if not os.path.isdir(words_from):
        return None
    if os.path.isdir(new):
        return old, new
    drawn, few = np.random.default_rng(7), random.Random(7)
    with open(os.path.join(words_from, "build", "three.module.js"), errors="replace") as file:
        lines = [line.strip() for line in file if len(line) > 20]
    contents: dict[str, bytes] = {}
    for number in range(4000):
        where = f"{('js', 'data', 'img', 'levels')[number % 4]}/{number // 200:02d}"
        if number % 4 == 0:
            contents[f"{where}/m{number}.js"] = "\n".join(few.choices(lines, k=few.randint(20, 400))).encode()
        elif number % 4 == 1:
            rows = [{"id": k, "x": few.random(), "name": few.choice(lines)[:30]} for k in range(few.randint(10, 200))]
            contents[f"{where}/d{number}.json"] = json.dumps(rows).encode()
        elif number % 4 == 2:
            contents[f"{where}/t{number}.png"] = b"\x89PNG\r\n\x1a\n" + drawn.bytes(few.randint(1000, 40000))
        else:
            levels = [few.randint(0, 64) for _ in range(few.randint(100, 3000))]
            contents[f"{where}/l{number}.json"] = json.dumps({"t": levels}).encode()
    for name, size in (("world.pak", 300), ("audio.bank", 90), ("textures.ktx", 50)):
        contents[f"assets/{name}"] = drawn.bytes(size * MIB)
    _write(old, contents)
    small = [name for name in contents if not name.startswith("assets/")]
    for name in few.sample(small, 80):
        data = bytearray(contents[name])
        at = few.randrange(len(data))
        data[at : at + few.randint(0, 20)] = b"/*v2*/"
        contents[name] = bytes(data)
    for name in few.sample(small, 20):
        del contents[name]
    for name in few.sample([name for name in small if name in contents], 15):
        contents[f"{name}.moved"] = contents.pop(name)
    for number in range(40):
        contents[f"data/00/new{number}.json"] = json.dumps([few.random() for _ in range(300)]).encode()
    contents["assets/world.pak"] = _next_pack(contents["assets/world.pak"], drawn, few)
    audio = contents["assets/audio.bank"]
    contents["assets/audio.bank"] = audio[: 40 * MIB] + drawn.bytes(700_000) + audio[40 * MIB :]
    _write(new, contents)
    return old, new


def _next_pack(pack: bytes, drawn: np.random.Generator, few: random.Random) -> bytes:
    cuts = [0, *sorted(few.sample(range(len(pack)), 12)), len(pack)]
    pieces = [pack[start:stop] for start, stop in pairwise(cuts)]
    data = bytearray(b"".join(piece + drawn.bytes(few.randint(1000, 200_000)) for piece in pieces))
    for _ in range(60):
        at = few.randrange(len(data) - 100)
        data[at : at + few.choice((4, 16, 64))] = drawn.bytes(16)
    data[100 * MIB : 103 * MIB] = drawn.bytes(3 * MIB)
    del data[200 * MIB : 202 * MIB]
    moved = data[50 * MIB : 70 * MIB]
    del data[50 * MIB : 70 * MIB]
    return bytes(data + moved)


def _write(folder: str, contents: dict[str, bytes]) -> None:
    with TemporaryDirectory(dir=os.path.dirname(folder)) as scratch:
        for name, data in contents.items():
            path = os.path.join(scratch, "made", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        os.rename(os.path.join(scratch, "made"), folder)


def _large(folder: str, plan: Plan) -> list[Record]:
    """4 GiB of which 2 % changed, and 4 GiB from nothing: what memory it takes at both ends."""
    plan.say("  4 GiB")
    old, new, nothing = (os.path.join(folder, name) for name in ("large-a", "large-b", "nothing"))
    drawn = np.random.default_rng(11)
    lines = [f"const value_{number} = {int(drawn.integers(1 << 40))};\n".encode() for number in range(20_000)]
    for path in (old, new, nothing):
        os.makedirs(path, exist_ok=True)
    for part in range(16):
        packed = drawn.bytes(192 * MIB)
        order = drawn.integers(len(lines), size=64 * MIB // 32)
        data = packed + b"".join(lines[i] for i in order)[: 64 * MIB]
        edited = bytearray(data)
        for at in drawn.integers(len(data) - 100, size=200).tolist():
            edited[at : at + 20] = drawn.bytes(37)
        edited[MIB : 5 * MIB] = drawn.bytes(4 * MIB)
        for path, content in ((old, data), (new, edited)):
            with open(os.path.join(path, f"{part}.pak"), "wb") as file:
                file.write(content)
    right = _zipped(new, os.path.join(folder, "large.zip"))
    size = os.path.getsize(right)
    records = [
        *_recipe("4 GiB", "update", old, new, right, folder),
        *_recipe("4 GiB", "fresh", nothing, new, right, folder),
    ]
    return [record | {"old_bytes": size, "new_bytes": size} for record in records]
