"""What of a rebuilt payload is kept, and whose recipes are used."""

from .mutant import Mutant

SEALED = "tests/recipes/test_sealed.py::"

MUTANTS = (
    Mutant(
        "recipes/rebuilding.py",
        "            self._verified.check_run(segment, data)\n",
        "            _ = segment or self._verified.check_run(segment, data)\n",
        SEALED + "test_a_damaged_base_keeps_only_segments_as_signed",
    ),
    Mutant(
        "recipes/rebuilding.py",
        "            out[:] = bytes(len(out))\n",
        "",
        SEALED + "test_what_differs_never_leaves_the_buffer_it_was_encrypted_in",
    ),
    Mutant(
        "recipes/rebuilding.py",
        "        check_commitment(self._session_key, header, statement.app, statement.encryption.commitment)\n",
        "",
        SEALED + "test_the_session_keys_commitment_is_checked_before_anything_is_encrypted",
    ),
    Mutant(
        "recipes/rebuilding.py",
        "                check_head(head, base, limits)\n",
        "                check_head(head, base, RecipeLimits())\n",
        SEALED + "test_a_reader_declines_what_takes_more_memory_than_it_has_before_it_begins",
    ),
    Mutant(
        "recipes/rebuilding.py",
        "        if segment not in self._missing:\n",
        "        if segment not in self._missing and segment:\n",
        SEALED + "test_only_segments_that_are_missing_are_kept",
    ),
    Mutant(
        "recipes/_names.py",
        "if one.sealed and one.media_type == RECIPE_TYPE",
        "if one.media_type == RECIPE_TYPE",
        SEALED + "test_what_is_called_a_recipe_and_is_not_sealed_is_none",
    ),
)
