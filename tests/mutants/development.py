"""The development server: for development builds only, and no nonce is used twice."""

from .mutant import Mutant

SERVER = "tests/development/test_server.py::"

MUTANTS = (
    Mutant(
        "development/_releases.py",
        "        async for chunk in read_verified_async(self._index, self._read, start, stop):\n",
        "        for chunk in [await self._read(start, stop - start)]:\n",
        SERVER + "test_the_server_never_shows_a_segment_of_a_file_that_changed_under_its_old_time",
    ),
    Mutant(
        "development/_releases.py",
        "        if release != self._releases[0]:\n",
        "        if not self._releases:\n",
        SERVER + "test_only_the_last_bundle_of_a_folder_can_be_read",
    ),
    Mutant(
        "development/_releases.py",
        "before = [one if one.withdrawn else replace(one, withdrawn=shown_time(now)) for one in self._releases]",
        "before = list(self._releases)",
        SERVER + "test_only_the_last_bundle_of_a_folder_can_be_read",
    ),
    Mutant(
        "development/_app.py",
        'Mount("/", server)]',
        'Mount("/", CORSMiddleware(server, allow_origins=["*"], allow_methods=["*"]))]',
        SERVER + "test_a_web_view_of_another_origin_may_read_and_nothing_else",
    ),
    Mutant(
        "development/_bundle.py",
        "role=Role.DEVELOPMENT,",
        "role=Role.PRODUCTION,",
        SERVER + "test_what_the_development_server_seals_is_meant_for_development",
    ),
)
