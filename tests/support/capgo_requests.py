"""What Capgo's plugin posts when it asks for an update, or for channels."""

from typing import Any

from support.serving import APP, CHANNEL

NEEDED: dict[str, Any] = {
    "platform": "android",
    "device_id": "00009999-0000-4000-8000-000000000000",
    "app_id": APP,
    "version_build": "1.0.0",
    "version_name": "builtin",
    "plugin_version": "8.51.23",
    "defaultChannel": CHANNEL,
}
"""What is looked at."""

WHOLE = NEEDED | {
    "plugin_version": "7.30.0",
    "custom_id": "",
    "version_code": "17",
    "version_os": "14",
    "is_emulator": False,
    "is_prod": True,
    "install_source": "com.android.vending",
}
"""What an older one sends, all of it."""
