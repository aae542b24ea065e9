"""The development server: a folder, sealed at every change and served to development builds (extra `dev-server`)."""

from ._app import LIMITS, LOGGER, create_app
from ._bundle import FolderBundle

__all__ = ["LIMITS", "LOGGER", "FolderBundle", "create_app"]
