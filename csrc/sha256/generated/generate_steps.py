"""Writes the hot loops' bodies, shani_step.h and hybrid_step.h, as inline assembly in AT&T syntax.

Their instructions' order is what makes them fast, so it is decided here and not by a compiler.
Run it after a change and commit what it writes: `python csrc/sha256/generated/generate_steps.py`. docs/hashing.md
says why the order is as it is and what else was measured.
"""

import os
from dataclasses import dataclass

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

STREAMS = 16
LANES = 8  # 32-bit lanes of a ymm register: one batch
BATCH_WK_BYTES = LANES * 256
PASSES = (6, 5, 5)  # streams whose rounds run at a time, see hybrid_step()

# Of the schedule's instructions, the first one in program order among the next WINDOW which does
# not wait for a result goes next, where a result takes as many places as stands here.
WINDOW = 20
LATENCY = 3
LOAD_LATENCY = 12
SPARE_REGISTERS = 2  # kept for the oldest instruction, which must always be able to go on


def wk_offset(stream: int, pair: int) -> int:
    """Where the WK of rounds 2 * pair and 2 * pair + 1 of a stream lies; hybrid.c has the same formula."""
    batch, lane = divmod(stream, LANES)
    high, low = divmod(lane, 4)
    if pair < 8:  # straight from the message: a 16-byte lane is one stream's four words
        group, half = divmod(pair, 2)
        return batch * BATCH_WK_BYTES + (4 * group + low) * 32 + high * 16 + half * 8
    # interleaved from two registers of one word each: a 16-byte lane is two streams' two words
    return batch * BATCH_WK_BYTES + 512 + (pair - 8) * 64 + low // 2 * 32 + high * 16 + low % 2 * 8


@dataclass
class Value:
    """A vector that one instruction makes and others read."""

    reads_left: int = 0
    ready: int = 0  # place in the order from which on nobody waits for it
    register: int | None = None


@dataclass
class Instruction:
    """One vector instruction; text has {d} for the register it writes and {0}, {1} for those it reads."""

    text: str
    reads: tuple[Value, ...] = ()
    writes: Value | None = None
    latency: int = LATENCY
    in_order: bool = False  # nothing passes it: it changes an address


class Schedule:
    """Hands out the instructions of the message schedule one by one, in an order without waiting."""

    def __init__(self, instructions: list[Instruction], registers: list[int]) -> None:
        self.waiting = instructions
        self.free = registers
        self.place = 0

    def fits(self, instruction: Instruction, oldest: bool) -> bool:
        if any(value.register is None for value in instruction.reads):
            return False
        gives_one_back = any(value.reads_left == 1 for value in instruction.reads)
        if instruction.writes is None or gives_one_back:
            return True
        return len(self.free) > (0 if oldest else SPARE_REGISTERS)

    def next(self) -> str:
        candidates = []
        for i, instruction in enumerate(self.waiting[:WINDOW]):
            if instruction.in_order:
                if i == 0:
                    candidates = [(0, 0)]
                break
            if self.fits(instruction, oldest=i == 0):
                ready = max((value.ready for value in instruction.reads), default=0)
                candidates.append((max(0, ready - self.place), i))
        chosen = self.waiting.pop(min(candidates)[1])
        names = [value.register for value in chosen.reads]
        for value in chosen.reads:
            value.reads_left -= 1
        released = [value.register for value in chosen.reads if value.reads_left == 0]
        if chosen.writes:
            # Another register than those that were read, where there is one.
            register = self.free.pop(0) if self.free else released.pop(0)
            chosen.writes.register = register
            chosen.writes.ready = self.place + chosen.latency
            names.append(register)
        self.free += released
        self.place += 1
        return self.encode(chosen, names)

    @staticmethod
    def encode(chosen: Instruction, names: list[int]) -> str:
        """The shorter VEX form where it can name the registers, EVEX for those from 16 on."""
        evex = {
            "vmovdqa": "vmovdqa32",
            "vmovdqu": "vmovdqu32",
            "vpxor": "vpxord",
            "vinserti128": "vinserti32x4",
        }
        name, operands = chosen.text.split(" ", 1)
        if any(number >= 16 for number in names):
            name = evex.get(name, name)
        written = names[-1] if chosen.writes else None
        return name + " " + operands.format(*names, d=written)


def hybrid_schedule(batch: int) -> list[Instruction]:
    """WK of the next chunk of eight streams: load, byte order, transpose, 48 words, interleave, store."""
    code: list[Instruction] = []
    wk = batch * BATCH_WK_BYTES

    def make(text: str, *reads: Value, latency: int = LATENCY) -> Value:
        value = Value()
        for read in reads:
            read.reads_left += 1
        code.append(Instruction(text, reads, value, latency))
        return value

    def vector(name: str, *reads: Value, immediate: str = "") -> Value:
        sources = ", ".join(f"%%ymm{{{i}}}" for i in reversed(range(len(reads))))
        return make(f"{name} {immediate}{sources}, %%ymm{{d}}", *reads)

    def store(value: Value, offset: int) -> None:
        value.reads_left += 1
        code.append(Instruction(f"vmovdqa %%ymm{{0}}, {wk + offset}(%[wk_next])", (value,)))

    def in_order(text: str) -> None:
        code.append(Instruction(text, in_order=True))

    def prefetch(i: int) -> None:
        # Half a step ahead, into the first cache: blocks of 4096 bytes put the lines of all 16
        # streams into one set of it, which holds eight.
        if i == 0:
            in_order("lea (%[in],%[stride],8), %[ahead]" if batch == 0 else "lea 64(%[first]), %[ahead]")
        if i == 4:
            in_order("lea (%[ahead],%[stride],4), %[ahead]")
        in_order(f"prefetcht0 {stream_address('%[ahead]', '', i % 4)}")

    if batch:
        in_order("lea (%[in],%[stride],8), %[in]")
    in_order("lea (%[in],%[stride],4), %[in4]")

    # Streams i and i + 4 share a register, one 16-byte lane each. All of a line at once, for the
    # cache's sake.
    rows = {}
    for i in range(4):
        for group in range(4):
            low, high = (stream_address("%[in]", "%[in4]", s, 16 * group) for s in (i, i + 4))
            row = make(f"vmovdqu {low}, %%xmm{{d}}", latency=LOAD_LATENCY)
            rows[i, group] = make(f"vinserti128 $1, {high}, %%ymm{{0}}, %%ymm{{d}}", row)

    words: list[Value] = []
    for group in range(4):
        for i in range(4):
            rows[i, group] = make("vpshufb (%[table]), %%ymm{0}, %%ymm{d}", rows[i, group])
            k = 32 + 32 * group
            store(make(f"vpaddd {k}(%[table]), %%ymm{{0}}, %%ymm{{d}}", rows[i, group]), (4 * group + i) * 32)
        a, b, c, d = (rows[i, group] for i in range(4))
        low_ab, high_ab = vector("vpunpckldq", a, b), vector("vpunpckhdq", a, b)
        low_cd, high_cd = vector("vpunpckldq", c, d), vector("vpunpckhdq", c, d)
        words += [vector("vpunpcklqdq", low_ab, low_cd), vector("vpunpckhqdq", low_ab, low_cd)]
        words += [vector("vpunpcklqdq", high_ab, high_cd), vector("vpunpckhqdq", high_ab, high_cd)]

    def sigma(word: Value, rotate: int, rotate_more: int, shift: int) -> Value:
        # Two exclusive ors and not one vpternlogd: an instruction with three sources gets in the
        # way of sha256rnds2, which has three as well (docs/hashing.md).
        some = vector("vprord", word, immediate=f"${rotate}, ")
        some = vector("vpxor", some, vector("vprord", word, immediate=f"${rotate_more}, "))
        return vector("vpxor", some, vector("vpsrld", word, immediate=f"${shift}, "))

    for first in range(16, 64, 2):
        for t in (first, first + 1):
            word = vector("vpaddd", words[t - 16], words[t - 7])
            words.append(vector("vpaddd", word, sigma(words[t - 15], 7, 18, 3)))
        for t in (first, first + 1):
            words[t] = vector("vpaddd", words[t], sigma(words[t - 2], 17, 19, 10))
        even, odd = (
            make(f"vpaddd {4 * t}(%[k])%{{{{1to8%}}}}, %%ymm{{0}}, %%ymm{{d}}", words[t]) for t in (first, first + 1)
        )
        offset = 512 + (first // 2 - 8) * 64
        store(vector("vpunpckldq", even, odd), offset)
        store(vector("vpunpckhdq", even, odd), offset + 32)
        if 20 <= first < 36:
            prefetch((first - 20) // 2)
    return code


def hybrid_step() -> list[str]:
    """The rounds of 16 streams with the schedule spread evenly between them.

    Six, five and five streams at a time: one stream can start a sha256rnds2 every four cycles, so
    four would do if nothing ever got in the way, and vector instructions do. xmm0 holds WK, which
    comes from memory by a load alone; the states are in xmm1 to 12; the schedule has the rest.
    """
    instructions = hybrid_schedule(0) + hybrid_schedule(1)
    total = len(instructions)
    schedule = Schedule(instructions, [*range(16, 32), 13, 14, 15])
    code = ["mov %[in], %[first]"]
    first = rnds2 = scheduled = 0
    for count in PASSES:
        streams = range(first, first + count)
        registers = {s: (2 * i + 1, 2 * i + 2) for i, s in enumerate(streams)}
        places = [(s, half) for s in streams for half in (0, 1)]
        if first == PASSES[0]:
            schedule.free += [11, 12]  # the sixth stream's
        for s, half in places:
            code.append(f"vmovdqa {32 * s + 16 * half}(%[state]), %%xmm{registers[s][half]}")
        for pair in range(ROUND_PAIRS):
            for s in streams:
                source, destination = registers[s] if pair % 2 == 0 else registers[s][::-1]
                code.append(f"vmovq {wk_offset(s, pair)}(%[wk_now]), %%xmm0")
                code.append(f"sha256rnds2 %%xmm{source}, %%xmm{destination}")
                rnds2 += 1
                while scheduled * STREAMS * ROUND_PAIRS < total * rnds2:
                    code.append(schedule.next())
                    scheduled += 1
        for s, half in places:
            place, register = f"{32 * s + 16 * half}(%[state])", f"%%xmm{registers[s][half]}"
            code += [f"vpaddd {place}, {register}, {register}", f"vmovdqa {register}, {place}"]
        first += count
    return [*code, "vzeroupper"]


def write(name: str, macro: str, code: list[str]) -> None:
    lines = [
        "/*",
        f" * @generated by csrc/sha256/generated/generate_steps.py, {len(code)} instructions. Do not edit: change the",
        " * generator and run it. Which kernel uses it and why its order is as it is: csrc/README.md, docs/hashing.md.",
        " */",
    ]
    lines.append(f"#define {macro} \\")
    lines += [f'    "{instruction}\\n" \\' for instruction in code]
    lines[-1] = lines[-1][: -len(" \\")]
    with open(os.path.join(HERE, name), "w", encoding="ascii") as header:
        header.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    write("shani_step.h", "CAPSEAL_SHANI_STEP", shani_step())
    write("hybrid_step.h", "CAPSEAL_HYBRID_STEP", hybrid_step())
