"""Each security check of the JavaScript reader, weakened in a copy of it: the test that is named must notice."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.places import VECTORS
from support.tools import require_tool
from support.web_reader import WEB, environment

TIMEOUT_S = 120
"""For one test, on a busy machine; a check whose loss makes it hang is not noticed."""


@dataclass(frozen=True, slots=True)
class Weakened:
    """A patch of web/src/FILE: a text that occurs there once, and what takes its place.

    test: a file of web/test without its ending, and how the name of the test begins.
    """

    file: str
    old: str
    new: str
    test: str

    @property
    def id(self) -> str:
        return f"{self.file}-{self.test.partition(': ')[2]}"


def _vector(file: str, old: str, new: str, name: str) -> Weakened:
    return Weakened(file, old, new, f"vectors: vector {name}")


def _head(file: str, old: str, new: str, name: str) -> Weakened:
    return Weakened(file, old, new, f"heads: head vector {name}")


def _update(file: str, old: str, new: str, name: str) -> Weakened:
    return Weakened(file, old, new, f"stores: update vector {name}")


def _recipe(file: str, old: str, new: str, name: str) -> Weakened:
    return Weakened(file, old, new, f"recipes: recipe vector {name}")


ALL = (
    _vector("strictjson", "if (name in members)", "if (false)", "statement-inner-member-twice"),
    _vector("strictjson", "level > MAX_NESTING", "level > MAX_NESTING + 1", "statement-nested-33"),
    Weakened("strictjson", 'spelled === "-0" || ', "", "strictjson: minus zero"),
    _vector("strictjson", "!Number.isSafeInteger(value)", "!Number.isInteger(value)", "statement-integer-2-53"),
    _vector("strictjson", "if (this.#at < this.text.length)", "if (false)", "statement-two"),
    _vector("strictjson", "ignoreBOM: true", "ignoreBOM: false", "statement-byte-order-mark"),
    _vector("strictjson", "fatal: true", "fatal: false", "statement-not-utf8"),
    Weakened("strictjson", "/\\p{Surrogate}/u.test(value)", "false", "strictjson: a lone surrogate is"),
    _vector("members", "btoa(binary) !== text", "btoa(binary).length !== text.length", "envelope-base64-stray-bits"),
    _vector("members", "!required.includes(name) && !opt", "required.includes(name) && !opt", "statement-member-extra"),
    _vector("members", "[^\\p{C}\\p{Z}]", "[^\\p{Cc}\\p{Z}]", "statement-version-right-to-left"),
    _vector("members", 'time.toISOString() !== value.replace("Z", ".000Z") || ', "", "statement-created-february-30"),
    _vector("dsse", "if (!equal(encode(members.value), data))", "if (false)", "envelope-inner-space"),
    _vector("dsse", "envelope.payloadType !== payloadType", "false", "payload-type-unknown"),
    _vector("statement", "payloadBytes !== payloadBytesOf", "payloadBytes < payloadBytesOf", "statement-payload-size"),
    _vector("statement", "permit >= sequence", "permit > sequence", "statement-permit-not-lower"),
    _vector("statement", "companions > MAX_COMPANIONS", "companions > MAX_COMPANIONS + 1", "statement-companion-65"),
    _vector("statement", "if (names.has(name))", "if (false)", "statement-attachment-twice"),
    _vector("requires", "compareVersions(native, below) >= 0", "compareVersions(native, below) > 0", "native-too-new"),
    _vector("expect", "if (sequence <= lowest)", "if (sequence < lowest)", "floor-equal"),
    _vector("expect", "wanted !== statement[name]", "!wanted.startsWith(statement[name])", "app-prefix"),
    _vector("expect", 'statement.role !== "production"', "false", "role-development"),
    _vector("trust", "production >= this.threshold ||", "production >= 1 ||", "signature-threshold"),
    _vector("trust", "signers.set(signature.keyid,", "signers.set(signature.sig,", "signature-one-key-twice"),
    Weakened("trust", "key.fingerprint !== keyid", "false", "trust: certificates for one key"),
    _vector("certificate", "bits[0] !== 0", "false", "signature-x5c-unused-bits"),
    _vector("chain", "subject) && by.key", "subject) || by.key", "signature-x5c-root-altered"),
    _vector("chain", "!== (issuer === undefined)", "=== (issuer && true)", "signature-x5c-incomplete"),
    _vector("keys", "const SALT_BYTES = 32", "const SALT_BYTES = 20", "valid-hello"),
    _vector("keys", "bits < MIN_BITS || ", "", "key-2048-bits"),
    _vector("keys", "toHex(exponent) !== EXPONENT", "false", "key-exponent-3"),
    _vector("keys", "sessionKey.byteLength === KEY_BYTES", "true", "wrapped-key-short"),
    _vector("tree", "if (!equal(found, fromHex(signedDigest)))", "if (false)", "statement-digest-wrong"),
    _vector("tree", "if (equal(found, signed))", "if (equal(found.subarray(1), signed))", "valid-hello"),
    _vector("tree", "index.size <= BLOCK_BYTES ?", "index.size < BLOCK_BYTES ?", "valid-one-block"),
    _vector("stored", "await checkSegment(this.index, segment, data);", "", "payload-altered"),
    _vector("stored", "null && size !== this.index", "null && size < this.index", "trailing-byte"),
    _vector("stored", "this.source.size === null && ", "this.source.size !== null && ", "segment-added"),
    _vector("payload", "payload[0] !== HEADER_BYTES", "false", "header-length"),
    _head("head", "head.role !== by", "false", "head-role-of-the-key"),
    _head("head", "trust.digest !== here.digest", "false", "head-trust-other"),
    _head("head", "now >= head.expires", "now > head.expires", "head-expired"),
    _head(
        "head",
        'await (await loadTrust(trust)).check(envelope, "production");',
        "await loadTrust(trust);",
        "recall-signature-none-trusted",
    ),
    _head("headdocument", "sequence >= before", "sequence > before", "head-current-twice"),
    _head("keyset", "signers.size < set.threshold", "signers.size < 1", "head-signature-threshold"),
    Weakened("store", "await this.#checkKept(staged);", "", "store: what the trust store in force does not"),
    Weakened("confirm", "await check?.(bundle);", "", "store: what the trust store in force does not"),
    Weakened("store", "await pickConfirmed(failed,", "await (async () => failed)(", "store: what the trust store"),
    Weakened("following", "error instanceof RejectedError && kept", "false && kept", "stores: an update that is"),
    Weakened("trustmemory", "asked === this.#updates", "asked.length > 0", "stores: updates that were replayed once"),
    _update("updates", "previous !== here", "false", "update-forked"),
    _update("updates", "await checkSigned(root, ", "await Promise.resolve(root, ", "update-new-root-missing"),
    Weakened("purposes", "if (other !== purpose)", "if (false)", "stores: store vector store-root-signs-heads"),
    Weakened("keys", "/^-----BEGIN", "/-----BEGIN", "trust: trust may not be a key behind"),
    _recipe("recipe", "baseDigest !== digest || ", "", "base-other"),
    _recipe("recipe", "found !== head.newDigest", "false", "new-digest-wrong"),
    _recipe("recipereader", "instructions.newBytes > whole - at", "false", "block-behind-the-end"),
    _recipe("recipereader", "await this.#end();", "", "trailing-byte"),
    _recipe("instructions", "at <= before.at + before.size", "at < before.at + before.size", "range-adjacent"),
    _recipe("instructions", "if (byte === 0 && place > 0) break;", "", "number-long-form"),
    _recipe("base", "at + size > this.size", "false", "copy-behind-the-base"),
    Weakened("zstd", "if (at !== data.length) throw refused();", "", "recipes: a decoder that is fed"),
    _recipe("recipe", "end.length !== directoryBytes", "false", "directory-other-size"),
    Weakened("zstd", "if (found !== WASM_SHA256)", "if (false)", "recipes: another decoder than ours"),
    _vector("payload", "segment === this.last ? 1 : 0", "0", "tag-not-last"),
    _vector("payload", "if (!equal(found, fromBase64(", "if (equal(found, fromBase64(", "valid-hello"),
    _vector("reading", "padding.some(", "padding.slice(1).some(", "padding-first-byte"),
    _vector("reader", "await checkSealEnd(detached, found.sealBytes);", "", "detached-seal-trailing-byte"),
    Weakened("reader", "await checkCommitment(sessionKey, header, statement);", "", "trust: a session key"),
    Weakened("companion", "[...pieces, await source.read(position, 1)]", "pieces", "sources: an index that goes on"),
    Weakened("source", "return concat([data]);", "return data;", "sources: what read() gives and changes afterwards"),
    Weakened("expect", '"floor", "role", "native", "platform"]', '"floor", "flor", "role", "native", "platform"]',
             "sources: a misspelled expectation"),
    Weakened("reader", "if (unknown !== undefined)", "if (false)", "sources: a misspelled option"),
    Weakened("reading", "deepFrozen({ statement", "({ statement", "sources: the verdict is returned"),
    Weakened("request", "etag !== this.#etag", "false", "http: another file in the place of the first"),
    Weakened("http", "chunk.length > length - filled", "false", "http: a server that sends more"),
    Weakened("request", "range.startsWith(`bytes ${asked}-`)", "true", "http: a range that was not asked for"),
    Weakened("trust", "this.keys.size !== keys.length", "false", "trust: trust may not be the same key twice"),
    Weakened("trust", "if (certified > 0)", "if (false)", "trust: where only a certificate would vouch"),
    Weakened("state", "if (sequence <= lowest)", "if (sequence < lowest)", "store: a newer built-in"),
    Weakened("state", "if (created <= state.newest)", "if (false)", "store: a permit leads"),
    Weakened("state", "[BY_TRIAL, BY_RECALL, ", "[BY_RECALL, ", "store: a bundle that does not"),
    Weakened("confirm", "folder !== pending.bundle.folder", "false", "store: a page confirms only"),
    Weakened("confirm", "elapsed > confirmWithinS", "elapsed > 2 * confirmWithinS", "store: a confirmation that comes"),
    Weakened("choosing", "verify: options.verify || starts === 0", "verify: options.verify", "store: a trial's first"),
    Weakened("choosing", "digest !== bundle.digest", "false", "store: a copy whose seal is another"),
    Weakened("choosing", "if (starts >= boots)", "if (starts > boots)", "store: a bundle that does not"),
    Weakened("manifest", "if (found !== digest)", "if (false)", "store: a manifest that was replaced"),
    Weakened("manifest", "if (added !== undefined)", "if (false)", "store: boot with verify"),
    Weakened("headmemory", "now.number < old.number", "now.number < old.number - 1", "heads: head-number-lower"),
    Weakened("headmemory", "before.digest !== after.digest", "false", "heads: head-number-same"),
    Weakened("headmemory", "now.previous !== before.digest", "false", "heads: head-previous-other"),
    Weakened("zip", "if (sum !== local.crc)", "if (false)", "zip: a content that is not that of its CRC"),
    Weakened("zip", "if (isLater) this.add(piece.length);", "if (isLater) this.add(0);", "zip: limits hold while"),
    Weakened("zip", "(bytes) => unpacked.add(bytes, archiveBytes)", "(bytes) => unpacked.add(bytes, Infinity)",
             "zip: limits hold while"),
    Weakened("zip", "flags & SHAPING_FLAGS & ~DESCRIPTOR", "flags & 1", "zip: what is encrypted"),
    Weakened("zipdescriptor", " !== came - bytes", " > came - bytes", "zip: data goes on behind"),
    Weakened("zipdescriptor", "first !== before + end", "first < 0", "zip: stored data with sizes behind"),
    Weakened("zipdescriptor", "isWide ? [8] : ", "", "zip: sizes of four bytes behind"),
    Weakened("zipdescriptor", "stated !== 0 && stated !== found", "false", "zip: what a header says in front"),
    Weakened("zipdescriptor", "LONGEST + SIGNATURE_BYTES - 1", "LONGEST + SIGNATURE_BYTES - 2", "zip: sizes behind"),
    Weakened("zipdirectory", "if (found > NEWEST_VERSION)", "if (false)", "zip: what is encrypted"),
    Weakened("zipdirectory", "String(told) !== String(found)) throw", "false) throw", "zip: a directory that says"),
    Weakened("zipdirectory", "system !== UNIX) {", "false) {", "zip: a name that is not marked"),
    Weakened("zipdirectory", "!(await input.ended())", "false", "zip: bytes behind"),
    Weakened("zipnames", '.replaceAll("\\u1e9e", "ss")', "", "zip: a dotless i is no i"),
    Weakened("zipnames", "    checkPath(bare);", "", "store: an archive that must"),
)  # fmt: skip
SAMPLE = ALL[:: len(ALL) // 5]


def _judged(weakened: Weakened, folder: Path) -> str:
    """Return what becomes of a weakened check: `noticed`, or why not."""
    source = WEB / "src" / f"{weakened.file}.js"
    text = source.read_text()
    assert text.count(weakened.old) == 1, f"{source.name}: {weakened.old!r} occurs {text.count(weakened.old)} times"
    shutil.copytree(WEB / "src", folder / "web" / "src")
    shutil.copytree(WEB / "test", folder / "web" / "test")
    shutil.copy(WEB / "package.json", folder / "web")
    (folder / "tests").mkdir()
    (folder / "tests" / "vectors").symlink_to(VECTORS)
    file, _, name = weakened.test.partition(": ")
    command = [require_tool("node"), "--test", f"--test-name-pattern=^{re.escape(name)}", f"test/{file}.test.js"]

    (folder / "web" / "src" / source.name).write_text(text.replace(weakened.old, weakened.new))
    try:
        done = subprocess.run(
            command, cwd=folder / "web", env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"no end in {TIMEOUT_S} s"
    counts = {what: int(count) for what, count in re.findall(r"^# (pass|fail) ([0-9]+)$", done.stdout, re.M)}
    if counts["fail"]:
        return "noticed"
    return "SURVIVED" if counts["pass"] else "its test is not there"


@pytest.mark.parametrize("weakened", SAMPLE, ids=lambda one: one.id)
def test_a_weakened_check_is_noticed(weakened: Weakened, tmp_path: Path) -> None:
    assert _judged(weakened, tmp_path) == "noticed"


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_weakened_check_is_noticed(tmp_path: Path) -> None:
    outcomes = {}
    for number, weakened in enumerate(ALL):
        outcomes[f"{number} {weakened.id}"] = _judged(weakened, tmp_path / str(number))
        shutil.rmtree(tmp_path / str(number))
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "noticed"} == {}
    assert len(outcomes) > 50


def test_every_weakened_check_is_there_once() -> None:
    for weakened in ALL:
        assert (WEB / "src" / f"{weakened.file}.js").read_text().count(weakened.old) == 1, weakened
    places = [(one.file, one.old) for one in ALL]
    assert len(set(places)) == len(places)
