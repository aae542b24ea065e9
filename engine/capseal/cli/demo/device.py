"""The device's part of capseal demo: four updates, one of them tampered with, one that crashes, one replayed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...errors import RejectedError, RollbackError, TamperedError
from .scene import APP, DemoFailedError, Done, Scene

if TYPE_CHECKING:
    from ...device import DeviceStore, Running

_BUILT_IN = 0


@dataclass(frozen=True, slots=True)
class _Device:
    """A device, and the publisher of its updates."""

    scene: Scene

    def store(self) -> "DeviceStore":
        """Open the store anew, as a started app does."""
        from ...device import DeviceStore

        return DeviceStore(
            os.path.join(self.scene.folder, "device"),
            trust=self.scene.trust,
            identity=self.scene.device,
            app=APP,
            builtin=self.source(_BUILT_IN),
        )

    def source(self, version: int) -> str:
        """Return the folder of a version's content, which is made where it is missing."""
        folder = os.path.join(self.scene.folder, "app", str(version))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "index.html"), "w", encoding="ascii") as file:
            file.write(f"<h1>version {version}</h1>\n")
        return folder

    def sealed(self, version: int) -> str:
        """Return the path of a version's sealed bundle, which is made where it is missing."""
        import capseal

        path = os.path.join(self.scene.folder, f"v{version}.sealed")
        if not os.path.exists(path):
            capseal.seal(
                self.source(version),
                path,
                signer=self.scene.signer,
                recipients=[self.scene.device.public_key],
                app=APP,
                version=str(version),
                sequence=version,
            )
        return path

    def update(self, version: int) -> None:
        """Install and start a version; it is not confirmed yet."""
        store = self.store()
        store.install(self.sealed(version))
        store.activate()
        self.expect(version, store.boot(verify=True))

    def refused(self, path: str, expected: type[RejectedError], runs: int) -> str:
        """Try to install what must be refused; return what the device said, when it still runs what it ran."""
        try:
            self.store().install(path)
        except expected as error:
            self.expect(runs, self.store().boot(verify=True))
            return str(error)
        raise DemoFailedError(f"{path}: was installed")

    def expect(self, version: int, running: "Running") -> None:
        """Raise unless that version is what runs."""
        with open(os.path.join(running.path, "index.html"), encoding="ascii") as file:
            found = file.read().strip()
        if found != f"<h1>version {version}</h1>":
            raise DemoFailedError(f"version {version} should run, {found} does")


def _first(device: _Device) -> Done:
    device.update(1)
    device.store().confirm()
    return Done("v1 installed, started and confirmed")


def _tampered(device: _Device) -> Done:
    path = device.sealed(2)
    altered = path + ".altered"
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[-1] ^= 1
    with open(altered, "wb") as file:
        file.write(data)
    return Done("v2 altered on the way: REFUSED, v1 runs", note=device.refused(altered, TamperedError, 1))


def _crash(device: _Device) -> Done:
    device.update(2)  # and it never confirms
    running = device.store().boot()
    device.expect(1, running)
    return Done("v2 started but never confirmed: v1 runs again", note=str(running.problem))


def _next(device: _Device) -> Done:
    device.update(3)
    device.store().confirm()
    return Done("v3 installed, started and confirmed")


def _replay(device: _Device) -> Done:
    return Done("v2 replayed: REFUSED, v3 runs", note=device.refused(device.sealed(2), RollbackError, 3))


_STORY: tuple[tuple[str, Callable[[_Device], Done]], ...] = (
    ("device: v1", _first),
    ("tampered v2", _tampered),
    ("crashing v2", _crash),
    ("device: v3", _next),
    ("replay of v2", _replay),
)


def steps() -> list[tuple[str, Callable[[Scene], Done]]]:
    """Return the steps of the story, which use the keys of the scene."""
    return [(name, partial(_tell, step)) for name, step in _STORY]


def _tell(step: Callable[[_Device], Done], scene: Scene) -> Done:
    return step(_Device(scene))
