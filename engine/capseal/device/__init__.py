"""What runs on the device: install, activate, confirm, roll back (docs/device.md)."""

from ..archive.check import ArchiveLimits as Limits
from ._download import Download
from ._state import Failure
from ._state import InstalledBundle as Bundle
from ._store import DeviceStore
from ._told import Checked, Running, Status

__all__ = ["Bundle", "Checked", "DeviceStore", "Download", "Failure", "Limits", "Running", "Status"]
