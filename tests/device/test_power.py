"""When the power goes at any moment, a device on ext4 runs the old bundle or the new one, whole."""

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.device_course import CASES, Course, survives
from support.device_tracing import Injector
from support.device_world import World, sequence_of
from support.tools import require_tool

_EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), fs/ext4/ext4.h
_LOG_FLUSH, _NO_LOG_FLUSH = _MODES = (1, 2)
_IMAGE_BYTES = 24 * 1024 * 1024


class Drive:
    """An ext4 file system on a loop device, whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self._image = folder / "drive.img"
        self.mount_point = folder / "drive"
        self.mount_point.mkdir(exist_ok=True)

    def format(self) -> None:
        """Make a new file system, all of whose room is there, and in which nothing is left for later."""
        with open(self._image, "wb") as image:
            os.posix_fallocate(image.fileno(), 0, _IMAGE_BYTES)
        at_once = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
        subprocess.run([require_tool("mkfs.ext4"), "-q", "-F", "-E", at_once, self._image], check=True, timeout=60)

    def mount(self) -> None:
        """Mount it so that nothing which was not synced is saved by a kindness of ext4."""
        subprocess.run(
            ["mount", "-o", "loop,noauto_da_alloc", self._image, self.mount_point],
            check=True,
            timeout=60,
            capture_output=True,
        )

    def unmount(self) -> None:
        """Unmount it, and have nothing of it left in the kernel: the next mount reads from the image."""
        subprocess.run(["umount", self.mount_point], check=True, timeout=60)
        deadline_s = time.monotonic() + 60
        while self._is_bound():
            assert time.monotonic() < deadline_s, f"{self._image}: its loop device is still there"
            time.sleep(0.01)

    def _is_bound(self) -> bool:
        """Say whether a loop device has the image still, as while another process looks at that device."""
        for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
            with contextlib.suppress(OSError):
                if backing.read_text().removesuffix("\n") == str(self._image):
                    return True
        return False

    def sync(self) -> None:
        """Have all that was written on the disk; an error of that is raised, which os.sync() would not tell."""
        subprocess.run([require_tool("sync"), "-f", self.mount_point], check=True, timeout=600)

    def cut_power(self, mode: int) -> None:
        """Lose what is not on the disk, and come back as after a restart. mode: with or without a last log flush."""
        fd = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", mode))
        finally:
            os.close(fd)
        self.unmount()
        self.mount()


@pytest.fixture
def drive(quick: Path) -> Iterator[Drive]:
    if os.geteuid():
        pytest.skip("power cuts need root, for loop devices")
    require_tool("mkfs.ext4")
    require_tool("losetup")
    drive = Drive(quick)
    drive.format()
    try:
        drive.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device can be mounted here: {error.stderr.decode(errors='replace').strip()}")
    try:
        yield drive
    finally:
        drive.unmount()


def test_a_power_cut_loses_what_was_not_synced(drive: Drive) -> None:
    (drive.mount_point / "synced").write_bytes(b"x" * 5000)
    drive.sync()
    (drive.mount_point / "not synced").write_bytes(b"x" * 5000)
    drive.cut_power(_NO_LOG_FLUSH)
    assert (drive.mount_point / "synced").read_bytes() == b"x" * 5000
    assert not (drive.mount_point / "not synced").exists()


def test_what_was_done_stays_done_when_the_power_goes(saved_world: World, drive: Drive) -> None:
    root = drive.mount_point / "store"
    store = saved_world.store(root)
    drive.sync()
    store.install(saved_world.sealed(1))
    drive.cut_power(_NO_LOG_FLUSH)
    store.activate()
    drive.cut_power(_NO_LOG_FLUSH)
    assert sequence_of(store.boot(verify=True)) == 1
    drive.cut_power(_NO_LOG_FLUSH)
    store.confirm()
    drive.cut_power(_NO_LOG_FLUSH)
    assert store.status().floor == 1
    store.rollback()
    drive.cut_power(_NO_LOG_FLUSH)
    assert sequence_of(store.boot(verify=True)) == 0
    assert store.status().floor == 1


def _kernel_log() -> str:
    """Return the end of what the kernel says of the drive, where it lets us read that."""
    if shutil.which("dmesg") is None:
        return ""
    lines = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", timeout=60).stdout.splitlines()
    return "\n".join(lines[-20:])


@pytest.mark.parametrize(("part", "modes"), [(8, 1), pytest.param(1, 2, marks=pytest.mark.soak)])
def test_after_a_power_cut_at_any_change_of_the_disk_the_old_or_the_new_bundle_runs(
    saved_world: World,
    course: Course,
    drive: Drive,
    capsys: pytest.CaptureFixture[str],
    part: int,
    modes: int,
) -> None:
    points = course.points[part // 2 :: part]
    cuts: Counter[str] = Counter()
    with Injector(saved_world.folder, "signal=KILL") as injector:
        for number, point in enumerate(points):
            for mode in (_MODES * 2)[number % 2 :][:modes]:
                case, root = CASES[point.name], drive.mount_point / "store"
                shutil.rmtree(root, ignore_errors=True)
                if (course.folder / point.name).exists():
                    shutil.copytree(course.folder / point.name, root)
                drive.sync()
                code = injector.do_with_fault(point.call, point.number, root, *case.steps)
                assert code == -signal.SIGKILL, point
                drive.cut_power(mode)
                try:
                    survives(saved_world, root, case.runs, course.floors[point.name])
                except AssertionError as error:
                    raise AssertionError(f"{point}, mode {mode}: {error}\n{_kernel_log()}") from error
                cuts[point.name] += 1
    with capsys.disabled():
        print(f"\n{cuts.total()} power cuts, all survived: {dict(cuts)}")
    assert cuts.total() == len(points) * modes
