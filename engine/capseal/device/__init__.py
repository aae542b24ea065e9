"""What runs on the device: install, activate, confirm, roll back (docs/device.md)."""

from ..archive.check import ArchiveLimits as Limits
from ._state import Checked, Download, Failure, Running, Status, TakenHead, Uncertainty
from ._state import InstalledBundle as Bundle
from ._store import DeviceStore

__all__ = [
    "Bundle",
    "Checked",
    "DeviceStore",
    "Download",
    "Failure",
    "Limits",
    "Running",
    "Status",
    "TakenHead",
    "Uncertainty",
]
