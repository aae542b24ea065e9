"""beside_release(): all that a release has for Capgo's plugin, made from the content that is to be sealed."""

from collections.abc import Callable
from typing import Any

from ..archive.content import check_content
from ..bundle.pipeline import Progress
from ..constants import ZIP_MEDIA_TYPE
from ..format.statement import Companion
from ..io.sink import open_sink
from ..io.source import Source
from ._attaching import CUSTOM_MEMBER, FILES_MEMBER, attach, attach_files
from ._keys import CapgoPrivateKey
from ._offer import OFFER_MEMBER, CapgoOffer
from ._packing import encrypt_opened

NAMES = ("app.capgo", "app.capgo.pack", "app.capgo.files")
"""The companions': the zip, the pack of its files, and the list of them."""


def beside_release(
    content: Source,
    *,
    key: CapgoPrivateKey,
    offer: CapgoOffer | None = None,
    place: Callable[[str], str],
    jobs: int | None = None,
    progress: Progress | None = None,
) -> tuple[list[Companion], dict[str, Any]]:
    """Encrypt a zip, which stays open, and return what makes its seal vouch for that: companions, and `custom`.

    offer: to which devices, None: to all. place: says where a companion's file goes. progress: told of the bytes of
    each file that is done. Raises UsageError where the content is no zip that the plugin can take, SourceChangedError,
    OSError.
    """
    check_content(content, content.name, ZIP_MEDIA_TYPE, in_order=True)
    whole, pack, files = map(place, NAMES)
    with open_sink(whole) as output, open_sink(pack) as pack_output, open_sink(files) as files_output:
        bundle, _ = encrypt_opened(
            content, output, pack_output, files_output, key=key, quality=11, jobs=jobs, progress=progress
        )
        for one in (pack_output, files_output, output):
            one.commit()
    companion, member = attach(bundle, whole, name=NAMES[0])
    companions, files_member = attach_files(bundle, pack, files, names=(NAMES[1], NAMES[2]))
    custom = {CUSTOM_MEMBER: member, FILES_MEMBER: files_member}
    if offer is not None and (said := offer.to_json()):
        custom[OFFER_MEMBER] = said
    return [companion, *companions], custom
