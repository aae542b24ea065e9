"""What runs on the device: install, activate, confirm, roll back (docs/device.md)."""

from ._state import Bundle, Failure
from ._store import Checked, DeviceStore, Running, Status
from ._unpack import Limits

__all__ = ["Bundle", "Checked", "DeviceStore", "Failure", "Limits", "Running", "Status"]
