"""The C library on its own: sanitizers, guard pages, fuzzing, other compilers, ARM, and no compiler."""

import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from capseal.native import hashing
from support.places import ROOT

SOURCES = sorted(map(str, (ROOT / "csrc").rglob("*.c")))
INCLUDE = f"-I{ROOT / 'csrc'}"
PROGRAM = str(ROOT / "tests" / "native" / "test_hash.c")
HARNESS = str(ROOT / "tests" / "native" / "fuzz_hash.c")
FILE_HARNESS = str(ROOT / "tests" / "native" / "fuzz_file.c")
MATCH_HARNESS = str(ROOT / "tests" / "native" / "fuzz_match.c")
# The generated steps are longer string literals than ISO C promises to take; every compiler does.
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wno-overlength-strings", "-Werror"]
# Lines are what a report needs: to keep track of variables takes gcc most of its time.
SANITIZERS = ["-g1", "-O1", "-fno-sanitize-recover=all"]
FUZZING = [*SANITIZERS, "-fsanitize=fuzzer,address,undefined"]
IN_CI = bool(os.environ.get("CI"))


def need(*tools: str) -> None:
    """Skip the test where a tool is absent, naming it; in CI that is a failure."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        absent(", ".join(missing))


def absent(what: str) -> None:
    message = f"not installed: {what}"
    if IN_CI:
        pytest.fail(message)
    pytest.skip(message)


def run(*command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def usable_here() -> set[str]:
    return set(hashing.kernels()) - {hashing.FALLBACK}


def kernels_in(output: str) -> set[str]:
    return {line.removesuffix(": ok") for line in output.splitlines() if line.endswith(": ok")}


def compiled(folder: Path, *command: str) -> dict[str, str]:
    """Compile each source with that command; return the objects, by the sources' names."""
    objects = {}
    for source in SOURCES:
        objects[Path(source).name] = str(folder / Path(source).with_suffix(".o").name)
        run(*command, INCLUDE, "-c", source, "-o", objects[Path(source).name])
    return objects


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    need("gcc")
    return compiled(tmp_path_factory.mktemp("objects"), "gcc", "-O2", "-fPIC", *WARNINGS)


@pytest.fixture(scope="module")
def fuzzing_objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    need("clang")
    return compiled(tmp_path_factory.mktemp("fuzzing"), "clang", *FUZZING)


def broken(objects: dict[str, str], source: str, right: str, wrong: str, folder: Path) -> dict[str, str]:
    """Return the objects for fuzzing, one of them compiled from a source with a mistake."""
    path = ROOT / "csrc" / source
    text = path.read_text()
    assert text.count(right) == 1
    (folder / path.name).write_text(text.replace(right, wrong))
    here, made = f"-I{path.parent}", str(folder / f"{path.stem}.o")
    run("clang", *FUZZING, INCLUDE, here, "-c", str(folder / path.name), "-o", made)
    return objects | {path.name: made}


def fuzzer(objects: dict[str, str], harness: str, folder: Path) -> str:
    """Link a harness with the objects; return the program."""
    path = str(folder / Path(harness).stem)
    run("clang", *FUZZING, INCLUDE, *objects.values(), harness, "-o", path)
    return path


@pytest.fixture(scope="module")
def program(objects: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("native") / "test_hash")
    run("gcc", "-O2", *WARNINGS, INCLUDE, *objects.values(), PROGRAM, "-o", path)
    return path


def test_the_compiled_module_is_built_where_all_tools_are_expected() -> None:
    if not usable_here():
        absent("capseal._native")


def test_every_kernel_stays_between_guard_pages(program: str) -> None:
    assert kernels_in(run(program).stdout) >= usable_here()


def test_guard_pages_catch_one_byte_too_many(program: str) -> None:
    done = subprocess.run([program, "overrun"], capture_output=True, timeout=60)
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_sanitizers_find_nothing(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    path = str(tmp_path / "test_hash")
    sanitizers = [*SANITIZERS, "-fsanitize=address,undefined"]
    run(compiler, *sanitizers, *WARNINGS, INCLUDE, *SOURCES, PROGRAM, "-o", path)
    assert kernels_in(run(path).stdout) >= usable_here()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_highest_optimization_gives_the_same_digests(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    path = str(tmp_path / "test_hash")
    run(compiler, "-O3", *WARNINGS, INCLUDE, *SOURCES, PROGRAM, "-o", path)
    assert kernels_in(run(path).stdout) >= usable_here()


def test_a_short_fuzzing_run_finds_nothing(fuzzing_objects: dict[str, str], tmp_path: Path) -> None:
    path, corpus = fuzzer(fuzzing_objects, HARNESS, tmp_path), tmp_path / "corpus"
    corpus.mkdir()
    for kernel in range(6):
        for block_bytes, n in ((0, 20), (1, 40), (64, 37), (119, 21), (120, 21), (4096, 21)):
            seed = bytes([kernel, block_bytes % 256, block_bytes // 256, 3 * kernel])
            (corpus / f"{kernel}-{block_bytes}").write_bytes(seed + os.urandom(max(1, block_bytes) * n))
    done = run(path, "-runs=3000", "-max_total_time=4", "-max_len=90000", "-seed=1", str(corpus))
    assert "Done" in done.stderr


def test_a_short_fuzzing_run_of_files_finds_nothing(fuzzing_objects: dict[str, str], tmp_path: Path) -> None:
    path, corpus = fuzzer(fuzzing_objects, FILE_HARNESS, tmp_path), tmp_path / "corpus"
    corpus.mkdir()
    for what in range(8):  # what to do, of which units its numbers are, file size, offset, range, kernel, content
        for offset, size in ((0, 3), (1, 2), (2, 2)):
            numbers = bytes([4, 0, offset, 0, size, 0, what % 3])
            (corpus / f"{what}-{offset}").write_bytes(bytes([what, 44]) + numbers + os.urandom(40))
    done = run(path, "-runs=3000", "-max_total_time=4", "-max_len=64", "-seed=1", str(corpus))
    assert "Done" in done.stderr


# Step, bits of the table, least match, rows, size of the base; stretches of the base or, with the high bit, new bytes.
_MATCHES = bytes([16, 13, 32, 4, 0, 4]) + bytes([0, 0, 200, 0x90, 7, 9, 3, 1, 250, 0x81, 3, 40, 20, 60, 255])


def test_a_short_fuzzing_run_of_matching_finds_nothing(fuzzing_objects: dict[str, str], tmp_path: Path) -> None:
    path, corpus = fuzzer(fuzzing_objects, MATCH_HARNESS, tmp_path), tmp_path / "corpus"
    corpus.mkdir()
    for least in (0, 1, 32, 64):
        for kinds in (1, 2, 13):
            seed = bytes([*_MATCHES[:1], kinds, least]) + _MATCHES[3:]
            (corpus / f"{least}-{kinds}").write_bytes(seed)
    done = run(path, "-runs=3000", "-max_total_time=4", "-timeout=20", "-max_len=120", "-seed=1", str(corpus))
    assert "Done" in done.stderr


def test_a_fuzzer_of_matching_notices_a_match_that_is_a_byte_too_long(
    fuzzing_objects: dict[str, str], tmp_path: Path
) -> None:
    """Without this, a harness that compares nothing would pass as well."""
    right = "place->at = place->done = match[0] + bytes;"
    objects = broken(fuzzing_objects, "match/match.c", right, f"match[2]++, {right}", tmp_path)
    path = fuzzer(objects, MATCH_HARNESS, tmp_path)
    (tmp_path / "seed").write_bytes(_MATCHES)
    assert subprocess.run([path, str(tmp_path / "seed")], capture_output=True, timeout=60).returncode != 0


def test_a_fuzzer_of_files_notices_one_byte_too_many(fuzzing_objects: dict[str, str], tmp_path: Path) -> None:
    """Without this, a harness that gives more room than it says would pass as well."""
    right, wrong = "if (size > names_bytes ||", "if (size > names_bytes + 1 ||"
    path = fuzzer(broken(fuzzing_objects, "file/listing.c", right, wrong, tmp_path), FILE_HARNESS, tmp_path)
    seeds = [tmp_path / str(room) for room in range(10)]
    for room, seed in enumerate(seeds):
        seed.write_bytes(bytes([5, 0, room, 4]) + bytes(20))
    assert subprocess.run([path, *map(str, seeds)], capture_output=True, timeout=60).returncode != 0


def test_a_fuzzer_s_harness_notices_a_wrong_digest(fuzzing_objects: dict[str, str], tmp_path: Path) -> None:
    """Without this, a harness that compares nothing would pass as well."""
    objects = broken(fuzzing_objects, "sha256/scalar.c", "rotr(e, 25)", "rotr(e, 24)", tmp_path)
    path = fuzzer(objects, HARNESS, tmp_path)
    if not usable_here() - {"scalar"}:
        pytest.skip("this machine has no second kernel to compare with")
    seed = tmp_path / "seed"
    seed.write_bytes(bytes([0, 64, 0, 0]) + bytes(64 * 21))
    assert subprocess.run([path, str(seed)], capture_output=True, timeout=60).returncode != 0


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_arm_kernels_under_an_emulator(compiler: str, tmp_path: Path) -> None:
    need("aarch64-linux-gnu-gcc", "qemu-aarch64")
    path = str(tmp_path / "test_hash")
    if compiler == "gcc":
        run("aarch64-linux-gnu-gcc", "-O2", "-static", *WARNINGS, INCLUDE, *SOURCES, PROGRAM, "-o", path)
    else:
        need("clang")
        headers = "/usr/aarch64-linux-gnu/include"
        if not os.path.isdir(headers):
            absent("the ARM C library's headers (libc6-dev-arm64-cross)")
        objects = []
        for source in [*SOURCES, PROGRAM]:
            objects.append(str(tmp_path / Path(source).with_suffix(".o").name))
            run("clang", "--target=aarch64-linux-gnu", "-O2", *WARNINGS, "-isystem", headers, INCLUDE,
                "-c", source, "-o", objects[-1])  # fmt: skip
        run("aarch64-linux-gnu-gcc", "-static", *objects, "-o", path)
    assert kernels_in(run("qemu-aarch64", path).stdout) == {"armv8", "scalar"}


def test_generated_steps_are_what_the_generator_writes(tmp_path: Path) -> None:
    generated = ROOT / "csrc" / "sha256" / "generated"
    shutil.copy(generated / "generate_steps.py", tmp_path)
    run(sys.executable, str(tmp_path / "generate_steps.py"))
    for name in ("shani_step.h", "hybrid_step.h"):
        assert (tmp_path / name).read_bytes() == (generated / name).read_bytes(), name


@pytest.fixture(scope="module")
def library(objects: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    need("nm")
    path = str(tmp_path_factory.mktemp("native") / "libhash.so")
    run("gcc", "-shared", *objects.values(), "-o", path)
    return path


def test_every_exported_symbol_has_the_prefix_and_stands_in_a_public_header(library: str) -> None:
    defined = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).stdout.splitlines()}
    headers = "".join(path.read_text() for path in (ROOT / "csrc").rglob("capseal_*.h"))
    assert defined == set(re.findall(r"^\w.*?\b(capseal_\w+)\(", headers, re.MULTILINE))


def test_the_kernels_and_their_entry_points_allocate_nothing(objects: dict[str, str], tmp_path: Path) -> None:
    need("nm")
    library = str(tmp_path / "libhash.so")
    kept = [path for name, path in objects.items() if name not in ("mapped.c", "pagecache.c")]
    run("gcc", "-shared", *kept, "-o", library)
    lines = run("nm", "-D", "--undefined-only", library).stdout.splitlines()
    wanted = {line.split()[-1].split("@")[0] for line in lines}
    assert "memset" in wanted  # nm has listed something
    assert not wanted & {"malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "mmap"}


def test_an_old_openssl_mask_does_not_reach_the_kernels() -> None:
    """OPENSSL_ia32cap slows hashlib down for an honest comparison; the kernels ask the processor itself."""
    code = "from capseal.native import hashing; print(hashing.kernel())"
    masked = run(sys.executable, "-c", code, OPENSSL_ia32cap=":~0x20000000")
    assert masked.stdout.strip() == hashing.KERNELS[0]


@pytest.fixture(scope="module")
def without_compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """capseal installed by pip on a machine whose C compiler always fails."""
    version = importlib.metadata.version("setuptools")
    if int(version.split(".")[0]) < 80:
        absent(f"setuptools >= 80, which pyproject.toml asks for; this environment has {version}")
    if platform.python_implementation() != "CPython":
        pytest.skip("the limited API is CPython's")
    project = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    built = shutil.ignore_patterns("_native*", "__pycache__", "*.egg-info")
    for name in ("engine", "csrc"):
        shutil.copytree(ROOT / name, project / name, ignore=built)
    target = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index",
        "--disable-pip-version-check", "--root-user-action=ignore",
        "--target", str(target), str(project), CC="/bin/false", LDSHARED="/bin/false")  # fmt: skip
    return target


def test_without_a_compiler_results_are_the_same(without_compiler: Path) -> None:
    code = """if True:
        import hashlib, sys, numpy as np
        from capseal.native import hashing
        assert hashing._lib is None and hashing.kernels() == ("hashlib",), hashing.kernels()
        assert hashing.cpu_features() == ()
        assert hashing.__file__.startswith(sys.argv[1]), hashing.__file__
        all_digests = hashlib.sha256()
        pool = np.random.default_rng(7).integers(0, 256, 1_200_000, np.uint8)
        for size in (0, 1, 4095, 4096, 4097, 524288, 524289, 1_200_000):
            all_digests.update(hashing.segment_digests(pool[:size]))
            all_digests.update(hashing.leaf_digests(pool[:size]))
        out = np.empty((37, 32), np.uint8)
        hashing.digest_blocks(pool[: 37 * 1000], 1000, out)
        all_digests.update(out)
        print(all_digests.hexdigest())
    """
    there = run(sys.executable, "-c", code, str(without_compiler), PYTHONPATH=str(without_compiler))

    here = hashlib.sha256()
    pool = np.random.default_rng(7).integers(0, 256, 1_200_000, np.uint8)
    for size in (0, 1, 4095, 4096, 4097, 524288, 524289, 1_200_000):
        here.update(hashing.segment_digests(pool[:size]))
        here.update(hashing.leaf_digests(pool[:size]))
    out = np.empty((37, 32), np.uint8)
    hashing.digest_blocks(pool[: 37 * 1000], 1000, out)
    here.update(out)
    assert there.stdout.strip() == here.hexdigest()
