/** What a device remembers of its channel's heads, and which head may follow which: no I/O, no clock. */

import { toBase64 } from "./bytes.js";
import { FormatError, NotForUsError, RollbackError, TamperedError } from "./errors.js";
import { parseHead } from "./head.js";
import { Members, checkFingerprint, checkMoment } from "./members.js";
import { printable } from "./texts.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Head } from "./head.js" */

const SECRET_BYTES = 32;
const MAX_PROBLEM_CHARS = 255;

/**
 * A head that was accepted; document: the bytes that were signed; digest: theirs, hex, by which the next one names it.
 * @typedef {{ head: Head, digest: string, document: Bytes }} TakenHead
 */

/**
 * What is remembered of heads.
 * @typedef {object} HeadMemory
 * @property {Bytes} secret 32 bytes, drawn with the first head, which never leave the device; empty before
 * @property {TakenHead | null} last the last head that was accepted
 * @property {string} problem why it is uncertain what is current, or empty
 * @property {string} since from when on, or empty
 */

/** @type {HeadMemory} */
export const NO_HEADS = { secret: new Uint8Array(), last: null, problem: "", since: "" };

/**
 * Return the sequences that are withdrawn; what a past epoch's head said has ended.
 * @param {HeadMemory | null} memory
 * @param {number} epoch
 * @returns {readonly number[]}
 */
export function withdrawnIn(memory, epoch) {
  const head = memory?.last?.head;
  return head?.epoch === epoch ? (head.withdrawn ?? []) : [];
}

/**
 * Return the memory with a problem; where there was one already, it began when that did.
 * @param {HeadMemory} memory
 * @param {string} problem
 * @param {string} since
 * @returns {HeadMemory}
 */
export function uncertain(memory, problem, since) {
  return { ...memory, problem: printable(problem, MAX_PROBLEM_CHARS), since: memory.since || since };
}

/**
 * Throw unless a device that took one head may take another in its place; heads in between may have been missed.
 *
 * RollbackError where it goes back, TamperedError where there are two of one number, NotForUsError where the role
 * changed. An older epoch's head is followed by any of the next.
 * @param {TakenHead | null} before
 * @param {{ head: Head, digest: string }} after
 */
export function checkFollows(before, after) {
  if (before === null || before.head.epoch < after.head.epoch) return;
  const [old, now] = [before.head, after.head];
  const back = (/** @type {string} */ found, /** @type {string} */ known) =>
    new RollbackError(`${found} comes after ${known}`, old.number, now.number);
  if (old.epoch > now.epoch || now.number < old.number) {
    throw back(`head ${now.number} of epoch ${now.epoch}`, `head ${old.number} of epoch ${old.epoch}`);
  }
  if (now.number === old.number && before.digest !== after.digest) {
    const both = `${before.digest.slice(0, 16)} and ${after.digest.slice(0, 16)}`;
    throw new TamperedError(`head ${now.number}: there are two, ${both}: its keys signed twice, for different readers`);
  }
  if (now.number === old.number + 1 && now.previous !== before.digest) {
    const said = (now.previous ?? "").slice(0, 16);
    throw new TamperedError(`head ${now.number}: is the next after ${said}, here is ${before.digest.slice(0, 16)}`);
  }
  if (now.role !== old.role) {
    throw new NotForUsError(`head ${now.number} is for ${now.role}, head ${old.number} is for ${old.role}`);
  }
  if (now.issued < old.issued) throw back(`head issued at ${now.issued}`, `one of ${old.issued}`);
  const lost = (old.recalls ?? []).find((digest) => !now.recalls?.includes(digest));
  if (lost !== undefined) throw back(`head without recall ${lost.slice(0, 16)}`, "one that has it");
  checkLog(old, now, back);
  const [one, other] = [old.candidate, now.candidate];
  if (one && other && one.digest === other.digest && one.salt !== other.salt) {
    // That would draw its devices anew.
    throw new TamperedError(`candidate ${other.sequence} has another salt than before`);
  }
}

/**
 * @param {Head} old
 * @param {Head} now
 * @param {(found: string, known: string) => RollbackError} back
 */
function checkLog(old, now, back) {
  if (!old.log) return;
  if (!now.log || now.log.number < old.log.number) {
    const end = now.log ? `log of ${now.log.number} entries` : "no log";
    throw back(`head with ${end}`, `one of ${old.log.number} entries`);
  }
  if (now.log.number === old.log.number && now.log.digest !== old.log.digest) {
    const [found, known] = [now.log.digest.slice(0, 16), old.log.digest.slice(0, 16)];
    throw new TamperedError(`log of ${now.log.number} entries ends with ${found}, and with ${known} before`);
  }
}

/**
 * Return the memory as it stands in the state's record.
 * @param {HeadMemory} memory
 */
export function headsJson({ secret, last, problem, since }) {
  return {
    ...(last ? { secret: toBase64(secret), document: toBase64(last.document), digest: last.digest } : {}),
    ...(since ? { problem, since } : {}),
  };
}

/**
 * Parse what stands there. Throws FormatError.
 * @param {unknown} value
 * @param {string} place
 * @returns {HeadMemory}
 */
export function parseHeads(value, place) {
  const members = new Members(value, place, [], ["secret", "document", "digest", "problem", "since"]);
  const together = [
    ["secret", "document", "digest"],
    ["problem", "since"],
  ];
  for (const names of together) {
    const there = names.filter((name) => members.has(name));
    if (there.length > 0 && there.length < names.length) {
      throw new FormatError(`${place}: ${names.join(" and ")} belong together`);
    }
  }
  let memory = NO_HEADS;
  if (members.has("document")) {
    const [secret, document] = [members.base64("secret"), members.base64("document")];
    if (secret.length !== SECRET_BYTES) {
      throw new FormatError(`${members.place("secret")}: ${secret.length} bytes, expected ${SECRET_BYTES}`);
    }
    memory = { ...memory, secret, last: { head: parseHead(document), digest: members.text("digest", checkFingerprint), document } };
  }
  if (members.has("since")) {
    memory = { ...memory, problem: members.text("problem", (text) => text), since: members.text("since", checkMoment) };
  }
  return memory;
}
