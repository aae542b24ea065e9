"""What a recipe may make a device do, and that what comes out is the new content."""

from .mutant import Mutant

VECTOR = "tests/delta/test_vectors.py::test_vector"
DAMAGE = "tests/delta/test_damage.py::"

MUTANTS = (
    Mutant(
        "delta/_rebuild.py",
        "if sha256.digest() != head.new_digest:",
        "if sha256.digest()[1:] != head.new_digest[1:] and sha256.digest()[:31] != head.new_digest[:31]:",
        DAMAGE + "test_what_came_out_wrong_leaves_no_file",
    ),
    Mutant(
        "delta/_rebuild.py",
        "if head.frame_bytes > limits.frame_bytes or head.reference_bytes > limits.reference_bytes:",
        "if head.frame_bytes > limits.frame_bytes:",
        DAMAGE + "test_a_reader_declines_what_takes_more_memory_than_it_has",
    ),
    Mutant(
        "delta/_rebuild.py",
        "    if needed > limits.memory_bytes:",
        "    if needed - head.frame_bytes > limits.memory_bytes:",
        DAMAGE + "test_a_reader_declines_what_takes_more_memory_than_it_has",
    ),
    Mutant(
        "delta/_rebuild.py",
        "if head.base_digest != base.digest or (head",
        "if (head",
        VECTOR,
    ),
    Mutant(
        "delta/_recipe.py",
        "if value > most:",
        "if value > most + 1:",
        VECTOR,
    ),
    Mutant(
        "delta/_recipe.py",
        "if any(size < LEAST_RANGE_BYTES for size in sizes):",
        "if any(size < LEAST_RANGE_BYTES - 1 for size in sizes):",
        VECTOR,
    ),
    Mutant(
        "delta/_recipe.py",
        "if at <= before + size:",
        "if at < before + size:",
        VECTOR,
    ),
    Mutant(
        "delta/_layout.py",
        "if not start <= at < stop or at + size > self.size:",
        "if not start <= at < stop or at + size > self.size + 1:",
        VECTOR,
    ),
    Mutant(
        "delta/_varints.py",
        "if byte == 0 or byte >= 0x80:",
        "if byte >= 0x80:",
        VECTOR,
    ),
    Mutant(
        "delta/_reading.py",
        "if references > MAX_REFERENCE_BYTES + WORK_FACTOR * at:",
        "if references > 2 * MAX_REFERENCE_BYTES + WORK_FACTOR * at:",
        DAMAGE + "test_references_that_cost_far_more_than_what_they_make_are_refused",
    ),
    Mutant(
        "delta/_reading.py",
        "if parsed.new_bytes > whole - at:",
        "if parsed.new_bytes > whole - at + 1:",
        VECTOR,
    ),
    Mutant(
        "delta/_reading.py",
        "if extra := self._source.peek(self._at, 1):",
        "if extra := self._source.peek(self._at, 1)[1:]:",
        VECTOR,
    ),
    Mutant(
        "delta/_codec.py",
        "or declared.content_size != size or",
        "or declared.content_size < size or",
        VECTOR,
    ),
)
