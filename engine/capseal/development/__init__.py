"""The development server: a folder, sealed at every change and served to development builds (extra `dev-server`)."""

from .app import create_app
from .bundle import FolderBundle

__all__ = ["FolderBundle", "create_app"]
