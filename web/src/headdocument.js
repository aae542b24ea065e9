/** Heads and recalls as documents: the signed bytes, parsed strictly (docs/format.md, Heads and recalls). */

import { FormatError } from "./errors.js";
import { Members, asString, checkFingerprint, checkMoment, checkName, checkRole, checkText } from "./members.js";
import { checkRequires } from "./requires.js";
import { parse } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Requires } from "./requires.js" */
/** @import { Role } from "./trust.js" */

/** @typedef {{ sequence: number, digest: string, requires?: Requires }} NamedRelease digest: of its payload, hex */
/** @typedef {NamedRelease & { share: number, salt: string, paused: boolean }} Candidate share: in thousandths */

/**
 * What a head says, in the values of the document itself.
 * @typedef {object} Head
 * @property {string} app
 * @property {string} channel
 * @property {Role} role
 * @property {number} epoch of the trust store's keys for heads
 * @property {number} number counts an epoch's heads from 1
 * @property {string} [previous] digest of the head before
 * @property {string} issued UTC
 * @property {string} expires UTC
 * @property {{ version: number, digest: string }} trust the store that its signer knew
 * @property {NamedRelease[]} current by descending sequence; a device takes the first that fits it
 * @property {Candidate} [candidate]
 * @property {number[]} [withdrawn] sequences that are not installed any more, ascending
 * @property {string[]} [recalls] digests, ascending
 * @property {{ number: number, digest: string }} [log]
 */

/**
 * What a recall says; the payload's digest decides, the rest of a release is for people.
 * @typedef {object} Recall
 * @property {string} app
 * @property {string} channel
 * @property {Role} role
 * @property {string} created UTC
 * @property {{ sequence: number, digest: string, version: string }[]} releases
 */

const MAX_BYTES = 64 * 1024;
const MAX_CURRENT = 16;
const MAX_WITHDRAWN = 1024;
const MAX_RECALLS = 64;
const MAX_RECALLED = 64;
const MAX_SHARE = 1000; // thousandths
const SALT_BYTES = 16;

/**
 * Parse the signed bytes of a head strictly. Throws FormatError.
 * @param {Bytes} data
 * @returns {Head}
 */
export function parseHead(data) {
  const members = new Members(
    parse(capped(data, "head"), "head"),
    "head",
    ["app", "channel", "role", "epoch", "number", "issued", "expires", "trust", "current"],
    ["previous", "candidate", "withdrawn", "recalls", "log"],
  );
  checkReader(members);
  members.integer("epoch", 1);
  members.integer("number", 1);
  if (members.has("previous")) members.text("previous", checkFingerprint);
  members.text("issued", checkMoment);
  members.text("expires", checkMoment);
  checkReference(members.object("trust", ["version", "digest"]), "version");
  checkDescending(members.array("current", 1, MAX_CURRENT), ["sequence", "digest"], ["requires"], checkRelease);
  if (members.has("candidate")) {
    const names = ["sequence", "digest", "share", "salt", "paused"];
    checkCandidate(members.object("candidate", names, ["requires"]));
  }
  if (members.has("withdrawn")) checkAscending(members.array("withdrawn", 1, MAX_WITHDRAWN), checkSequence);
  if (members.has("recalls")) {
    checkAscending(members.array("recalls", 1, MAX_RECALLS), (one, place) => checkFingerprint(asString(one, place), place));
  }
  if (members.has("log")) checkReference(members.object("log", ["number", "digest"]), "number");
  const head = /** @type {Head} */ (members.value);
  checkAgreement(head);
  return head;
}

/**
 * Throw FormatError where members do not agree with one another.
 * @param {Head} head
 */
function checkAgreement({ number, previous, issued, expires, current, candidate, withdrawn = [] }) {
  if ((previous === undefined) !== (number === 1)) {
    const said = previous === undefined ? "none" : previous.slice(0, 16);
    throw new FormatError(`head.previous: ${said}, and number ${number}; the first alone has none before it`);
  }
  if (expires <= issued) throw new FormatError(`head.expires: ${expires} is not after ${issued}`);
  const releases = candidate ? [...current, candidate] : current;
  if (new Set(releases.map(({ digest }) => digest)).size !== releases.length) {
    throw new FormatError("head: names one payload twice");
  }
  const highest = current[0]?.sequence ?? 0;
  if (candidate && candidate.sequence <= highest) {
    throw new FormatError(`head.candidate.sequence: ${candidate.sequence} is not above ${highest}, which is current`);
  }
  const both = releases.find(({ sequence }) => withdrawn.includes(sequence));
  if (both) throw new FormatError(`head.withdrawn: holds ${both.sequence}, which the head names as well`);
}

/**
 * Parse the signed bytes of a recall strictly. Throws FormatError.
 * @param {Bytes} data
 * @returns {Recall}
 */
export function parseRecall(data) {
  const names = ["app", "channel", "role", "created", "releases"];
  const members = new Members(parse(capped(data, "recall"), "recall"), "recall", names);
  const releases = members.array("releases", 1, MAX_RECALLED);
  checkDescending(releases, ["sequence", "digest", "version"], [], (release) => release.text("version", checkText));
  checkReader(members);
  members.text("created", checkMoment);
  return /** @type {Recall} */ (members.value);
}

/**
 * Return a document's bytes, which are not looked at where there are too many.
 * @param {Bytes} data
 * @param {string} what
 */
function capped(data, what) {
  if (data.length > MAX_BYTES) throw new FormatError(`${what} of ${data.length} bytes, at most ${MAX_BYTES} are allowed`);
  return data;
}

/** @param {Members} members */
function checkReader(members) {
  members.text("app", checkName);
  members.text("channel", checkName);
  members.text("role", checkRole);
}

/**
 * @param {Members} members
 * @param {string} number its name
 */
function checkReference(members, number) {
  members.integer(number, 1);
  members.text("digest", checkFingerprint);
}

/** @param {Members} release */
function checkRelease(release) {
  if (release.has("requires")) checkRequires(release.object("requires", [], ["native", "platforms"]));
}

/** @param {Members} candidate */
function checkCandidate(candidate) {
  const salt = candidate.base64("salt");
  if (salt.length !== SALT_BYTES) {
    throw new FormatError(`${candidate.place("salt")}: ${salt.length} bytes, expected ${SALT_BYTES}`);
  }
  candidate.integer("share", 0, MAX_SHARE);
  checkReference(candidate, "sequence");
  checkRelease(candidate);
  if (typeof candidate.value["paused"] !== "boolean") {
    throw new FormatError(`${candidate.place("paused")}: expected true or false`);
  }
}

/**
 * Check releases, whose sequences descend.
 * @param {[unknown, string][]} items
 * @param {string[]} required
 * @param {string[]} optional
 * @param {(release: Members) => unknown} check
 */
function checkDescending(items, required, optional, check) {
  let before = Infinity;
  for (const [item, place] of items) {
    const release = new Members(item, place, required, optional);
    checkReference(release, "sequence");
    check(release);
    const sequence = release.integer("sequence", 1);
    if (sequence >= before) throw new FormatError(`${place}.sequence: ${sequence} is not below ${before} before it`);
    before = sequence;
  }
}

/**
 * @template {string | number} T
 * @param {[unknown, string][]} items
 * @param {(item: unknown, place: string) => T} read
 */
function checkAscending(items, read) {
  /** @type {T | undefined} */
  let before;
  for (const [item, place] of items) {
    const found = read(item, place);
    if (before !== undefined && before >= found) {
      throw new FormatError(`${place}: ${found} comes after ${before}, each has to be above the one before`);
    }
    before = found;
  }
}

/**
 * @param {unknown} item
 * @param {string} place
 */
function checkSequence(item, place) {
  if (typeof item !== "number" || !Number.isSafeInteger(item) || item < 1) {
    throw new FormatError(`${place}: expected a sequence, an integer from 1`);
  }
  return item;
}
