"""What runs on the device: install, activate, confirm, roll back (docs/device.md)."""

from ..archive.check import ArchiveLimits as Limits
from ._state import Failure
from ._state import InstalledBundle as Bundle
from ._store import Checked, DeviceStore, Running, Status

__all__ = ["Bundle", "Checked", "DeviceStore", "Failure", "Limits", "Running", "Status"]
