"""Writes the hot loops' bodies, shani_step.h and hybrid_step.h, as inline assembly in AT&T syntax.

Their instructions' order is what makes them fast, so it is decided here and not by a compiler.
Run it after a change and commit what it writes: `python csrc/generate_steps.py`. docs/hashing.md
says why the order is as it is and what else was measured.
"""

import os
from collections.abc import Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
GROUPS = 16  # of four words each: the message schedule of one chunk
ROUND_PAIRS = 32  # sha256rnds2 does two rounds


def stream_address(base: str, base4: str, i: int, offset: int = 0) -> str:
    """Address of a byte in stream i of eight: no stream costs an instruction of its own."""
    form = ["({})", "({},%[stride])", "({},%[stride],2)", "({},%[stride3])"][i % 4]
    return (str(offset) if offset else "") + form.format(base if i < 4 else base4)


# The four-stream SHA-NI step


def shani_step() -> list[str]:
    """One chunk of four streams; streams follow each other at a distance of one group of words.

    xmm0 holds WK, xmm1 to 8 the states, four of xmm9 to 15 each stream's newest words and the other
    three are scratch; older words come back from memory as operands, which costs no instruction.
    """
    streams = range(4)
    code = []
    newest = [9, 10, 11, 12]
    scratch = [13, 14, 15]

    def words(i: int, group: int) -> str:
        return f"{16 * (GROUPS * i + group)}(%[w])"

    for i in streams:
        code += [f"movdqa {32 * i + 16 * half}(%[state]), %%xmm{2 * i + 1 + half}" for half in (0, 1)]
    for group in range(GROUPS):
        for i in streams:
            last = newest[i]
            if group < 4:
                code += [
                    f"movdqu {stream_address('%[in]', '', i, 16 * group)}, %%xmm{last}",
                    f"pshufb (%[order]), %%xmm{last}",
                    f"movdqa %%xmm{last}, {words(i, group)}",
                ]
            else:
                new, shifted = scratch[:2]
                code += [
                    f"movdqa {words(i, group - 4)}, %%xmm{new}",
                    f"sha256msg1 {words(i, group - 3)}, %%xmm{new}",
                    f"movdqa %%xmm{last}, %%xmm{shifted}",
                    f"palignr $4, {words(i, group - 2)}, %%xmm{shifted}",
                    f"paddd %%xmm{shifted}, %%xmm{new}",
                    f"sha256msg2 %%xmm{last}, %%xmm{new}",
                ]
                if group + 2 < GROUPS:  # nobody reads the last two from memory
                    code.append(f"movdqa %%xmm{new}, {words(i, group)}")
                newest[i] = new
                scratch = [*scratch[1:], last]
            abef, cdgh = 2 * i + 1, 2 * i + 2
            code += [
                f"movdqa %%xmm{newest[i]}, %%xmm0",
                f"paddd {16 * group}(%[k]), %%xmm0",
                f"sha256rnds2 %%xmm{abef}, %%xmm{cdgh}",
                "punpckhqdq %%xmm0, %%xmm0",
                f"sha256rnds2 %%xmm{cdgh}, %%xmm{abef}",
            ]
            if group == GROUPS // 2:
                code.append(f"prefetcht1 {stream_address('%[ahead]', '', i)}")
    for i in streams:
        for half in (0, 1):
            place, register = f"{32 * i + 16 * half}(%[state])", f"%%xmm{2 * i + 1 + half}"
            code += [f"paddd {place}, {register}", f"movdqa {register}, {place}"]
    return code


# The hybrid step: the rounds of 16 streams in SHA-NI, the next chunk's schedule of all 16 in AVX-512VL

LANES = 8  # 32-bit lanes of a ymm register: one batch
BATCH_WK_BYTES = LANES * 256


def wk_offset(stream: int, pair: int) -> int:
    """Where the WK of rounds 2 * pair and 2 * pair + 1 of a stream lies; hybrid.c has the same formula."""
    batch, lane = divmod(stream, LANES)
    high, low = divmod(lane, 4)
    if pair < 8:  # straight from the message: a 16-byte lane is one stream's four words
        group, half = divmod(pair, 2)
        return batch * BATCH_WK_BYTES + (4 * group + low) * 32 + high * 16 + half * 8
    # interleaved from two registers of one word each: a 16-byte lane is two streams' two words
    return batch * BATCH_WK_BYTES + 512 + (pair - 8) * 64 + low // 2 * 32 + high * 16 + low % 2 * 8


def hybrid_rounds() -> Iterator[list[str]]:
    """Yields all 512 sha256rnds2, each with what must stand around it.

    Six, five and five streams at a time: one stream can start a sha256rnds2 every four cycles, so
    four would do if nothing ever got in the way, and vector instructions do. WK comes from memory
    into xmm0 by a load alone.
    """
    first = 0
    for count in (6, 5, 5):
        streams = range(first, first + count)
        first += count
        registers = {s: (2 * i + 1, 2 * i + 2) for i, s in enumerate(streams)}
        before = [
            f"vmovdqa {32 * s + 16 * half}(%[state]), %%xmm{registers[s][half]}" for s in streams for half in (0, 1)
        ]
        for pair in range(ROUND_PAIRS):
            for s in streams:
                source, destination = registers[s] if pair % 2 == 0 else registers[s][::-1]
                code = [
                    *before,
                    f"vmovq {wk_offset(s, pair)}(%[wk_now]), %%xmm0",
                    f"sha256rnds2 %%xmm{source}, %%xmm{destination}",
                ]
                before = []
                if pair == ROUND_PAIRS - 1:
                    for half in (0, 1):
                        place, register = f"{32 * s + 16 * half}(%[state])", f"%%xmm{registers[s][half]}"
                        code += [f"vpaddd {place}, {register}, {register}", f"vmovdqa {register}, {place}"]
                yield code


class Registers:
    """Names of free vector registers, given out in rotation."""

    def __init__(self, numbers: list[int]) -> None:
        self.free = numbers

    def take(self) -> int:
        return self.free.pop(0)

    def give(self, *numbers: int) -> None:
        self.free.extend(numbers)


def y(number: int) -> str:
    return f"%%ymm{number}"


def evex(name: str, wide_name: str, *numbers: int) -> str:
    """The shorter VEX encoding where all registers have numbers below 16."""
    return wide_name if any(n >= 16 for n in numbers) else name


def hybrid_schedule(batch: int) -> list[str]:
    """WK of the next chunk of eight streams: load, byte order, transpose, 48 words, interleave, store."""
    registers = Registers([*range(16, 32), 13, 14, 15])
    code = ["lea (%[in],%[stride],8), %[in]"] if batch else []
    code.append("lea (%[in],%[stride],4), %[in4]")
    wk = batch * BATCH_WK_BYTES

    def store(register: int, offset: int) -> None:
        code.append(f"{evex('vmovdqa', 'vmovdqa32', register)} {y(register)}, {wk + offset}(%[wk_next])")

    # Streams i and i + 4 share a register, one 16-byte lane each. All of a line at once: blocks of
    # 4096 bytes put the lines of all streams into one set of the cache.
    rows = {}
    for i in range(4):
        for group in range(4):
            r = rows[i, group] = registers.take()
            low, high = (stream_address("%[in]", "%[in4]", s, 16 * group) for s in (i, i + 4))
            code.append(f"{evex('vmovdqu', 'vmovdqu32', r)} {low}, %%xmm{r}")
            code.append(f"{evex('vinserti128', 'vinserti32x4', r)} $1, {high}, {y(r)}, {y(r)}")

    words = {}
    for group in range(4):
        for i in range(4):
            r, t = rows[i, group], registers.take()
            code.append(f"vpshufb (%[table]), {y(r)}, {y(r)}")
            code.append(f"vpaddd {32 + 32 * group}(%[table]), {y(r)}, {y(t)}")
            store(t, (4 * group + i) * 32)
            registers.give(t)
        a, b, c, d = (rows[i, group] for i in range(4))
        t, u = registers.take(), registers.take()
        code += [
            f"vpunpckldq {y(b)}, {y(a)}, {y(t)}",
            f"vpunpckhdq {y(b)}, {y(a)}, {y(b)}",
            f"vpunpckldq {y(d)}, {y(c)}, {y(u)}",
            f"vpunpckhdq {y(d)}, {y(c)}, {y(d)}",
            f"vpunpcklqdq {y(u)}, {y(t)}, {y(a)}",
            f"vpunpckhqdq {y(u)}, {y(t)}, {y(c)}",
            f"vpunpcklqdq {y(d)}, {y(b)}, {y(t)}",
            f"vpunpckhqdq {y(d)}, {y(b)}, {y(d)}",
        ]
        words.update(zip(range(4 * group, 4 * group + 4), (a, c, t, d), strict=True))
        registers.give(u, b)

    def sigma(source: int, rotate: int, rotate_more: int, shift: int) -> int:
        # Two exclusive ors and not one vpternlogd: an instruction with three sources gets in the
        # way of sha256rnds2, which has three as well (docs/hashing.md).
        result, t = registers.take(), registers.take()
        xor = evex("vpxor", "vpxord", result, t)
        code.extend(
            [
                f"vprord ${rotate}, {y(source)}, {y(result)}",
                f"vprord ${rotate_more}, {y(source)}, {y(t)}",
                f"{xor} {y(t)}, {y(result)}, {y(result)}",
                f"vpsrld ${shift}, {y(source)}, {y(t)}",
                f"{xor} {y(t)}, {y(result)}, {y(result)}",
            ]
        )
        registers.give(t, result)
        return result

    for first in range(16, 64, 2):
        pair = (first, first + 1)
        for t in pair:
            w = y(words[t % 16])
            s0 = sigma(words[(t - 15) % 16], 7, 18, 3)
            code += [f"vpaddd {y(words[(t - 7) % 16])}, {w}, {w}", f"vpaddd {y(s0)}, {w}, {w}"]
        for t in pair:
            w = y(words[t % 16])
            s1 = sigma(words[(t - 2) % 16], 17, 19, 10)
            code.append(f"vpaddd {y(s1)}, {w}, {w}")
        even, odd, low = registers.take(), registers.take(), registers.take()
        code += [
            f"vpaddd {4 * first}(%[k])%{{1to8%}}, {y(words[first % 16])}, {y(even)}",
            f"vpaddd {4 * first + 4}(%[k])%{{1to8%}}, {y(words[(first + 1) % 16])}, {y(odd)}",
            f"vpunpckldq {y(odd)}, {y(even)}, {y(low)}",
            f"vpunpckhdq {y(odd)}, {y(even)}, {y(even)}",
        ]
        store(low, 512 + (first // 2 - 8) * 64)
        store(even, 512 + (first // 2 - 8) * 64 + 32)
        registers.give(even, odd, low)
    return code


def hybrid_step() -> list[str]:
    """Both instruction streams, the schedule spread evenly over the rounds."""
    schedule = hybrid_schedule(0) + hybrid_schedule(1)
    rounds = list(hybrid_rounds())
    code = []
    done = 0
    for i, around_one_rnds2 in enumerate(rounds, 1):
        code += around_one_rnds2
        until = len(schedule) * i // len(rounds)
        code += schedule[done:until]
        done = until
    return [*code, "vzeroupper"]


def write(name: str, macro: str, code: list[str]) -> None:
    lines = [f"/* Written by generate_steps.py, {len(code)} instructions. Do not edit. */"]
    lines.append(f"#define {macro} \\")
    lines += [f'    "{instruction}\\n" \\' for instruction in code]
    lines[-1] = lines[-1][: -len(" \\")]
    with open(os.path.join(HERE, name), "w", encoding="ascii") as header:
        header.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    write("shani_step.h", "CAPSEAL_SHANI_STEP", shani_step())
    write("hybrid_step.h", "CAPSEAL_HYBRID_STEP", hybrid_step())
