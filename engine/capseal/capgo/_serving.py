"""CapgoUpdates: Capgo's update endpoint as an extension of the server (docs/capgo.md, Serving the plugin)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import FormatError, UsageError
from ..format.strictjson import check_name

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.routing import Route

    from ._channels import CapgoChannels
    from ._endpoint import UpdateRequest
    from ._update_routes import _SignedReleases


@dataclass(frozen=True, slots=True, kw_only=True)
class CapgoUpdates:
    """How Capgo's plugin is answered.

    default_channel: for apps that name none. public_url: what URLs of files begin with, where the server
    is not reached under the name that requests carry: behind a proxy or a CDN. statistics: a file to count in what
    devices report, None: they are not asked to; statistics_days: for how long. channels: which devices may choose,
    None: they are not answered. Raises UsageError.
    """

    default_channel: str = "production"
    public_url: str | None = None
    statistics: str | None = None
    statistics_days: int = 90
    channels: "CapgoChannels | None" = None

    def __post_init__(self) -> None:
        try:
            check_name(self.default_channel, "default channel")
        except FormatError as error:
            raise UsageError(str(error)) from None
        if self.public_url is not None and not _is_base(self.public_url):
            raise UsageError(f"{self.public_url[:200]!r} is not an http:// or https:// URL that paths can be added to")
        if self.statistics_days < 1:
            raise UsageError(f"statistics are kept for {self.statistics_days} days, at least 1 is needed")

    def routes(self, releases: "_SignedReleases", registry: "CollectorRegistry") -> "Sequence[Route]":
        """Return the endpoint."""
        from ._update_routes import update_routes  # here: few servers have it

        return update_routes(self, releases, registry)

    def default_of(self, asked: "UpdateRequest") -> str:
        """Return the channel of a device that names none."""
        return self.default_channel if self.channels is None else self.channels.default(asked, self.default_channel)


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
