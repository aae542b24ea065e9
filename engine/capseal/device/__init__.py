"""What runs on the device: install, activate, confirm, roll back (docs/device.md)."""

from .state import Bundle, Failure
from .store import Checked, DeviceStore, Running, Status
from .unpacking import Limits

__all__ = ["Bundle", "Checked", "DeviceStore", "Failure", "Limits", "Running", "Status"]
