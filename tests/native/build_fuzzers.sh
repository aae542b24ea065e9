#!/usr/bin/env bash
# Builds FOLDER/fuzz_hash, fuzz_blocks, fuzz_file and fuzz_match, with sanitizers, for long runs (docs/assurance.md).
# What the kernels branch on steers no fuzzer, and to count it takes most of the time: only the rest is counted.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "${1:?where to}")
flags=(-g -O2 -fsanitize=address,undefined -fno-sanitize-recover=all -Icsrc)
objects=()
for source in $(find csrc -name "*.c" ! -name "_native.c"); do
    object="$folder/$(basename "$source" .c).o"
    case $source in
        csrc/sha256/scalar.c | csrc/sha256/x86/* | csrc/sha256/arm/*) clang "${flags[@]}" -c "$source" -o "$object" ;;
        *) clang "${flags[@]}" -fsanitize=fuzzer-no-link -c "$source" -o "$object" ;;
    esac
    objects+=("$object")
done
link() {
    clang "${flags[@]}" -fsanitize=fuzzer "${objects[@]}" "${@:2}" -o "$folder/$1"
}
link fuzz_hash tests/native/fuzz_hash.c
link fuzz_blocks tests/native/fuzz_hash.c -DONLY_BLOCKS
link fuzz_file tests/native/fuzz_file.c
link fuzz_match tests/native/fuzz_match.c
