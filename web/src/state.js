/**
 * What a device remembers, and every step from one state to the next: no I/O, no clock (docs/device.md).
 *
 * A bundle is staged, then pending, then confirmed; or it has failed, which is remembered. Each function returns a new
 * state and changes none.
 */

import { RejectedError, RollbackError } from "./errors.js";
import { withdrawnIn } from "./headmemory.js";
import { printable } from "./texts.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { HeadMemory } from "./headmemory.js" */
/** @import { Statement } from "./statement.js" */

/** It ran here, or should have, and was rolled back or not confirmed: it is never tried again. */
export const BY_TRIAL = "trial";
/** Its copy on this device was damaged, or did not fit any more: that says nothing of another copy. */
export const BY_COPY = "copy";
/** Its publisher took it back: it is never tried again. */
export const BY_RECALL = "recall";

/**
 * What was downloaded of a bundle, beside its seal; source: the recipe that gave most of it, or `payload`.
 * @typedef {{ bytes: number, of: number, source: string }} Download
 */

/**
 * A bundle on this device. Its members are those of the state's record.
 * @typedef {object} InstalledBundle
 * @property {string} digest its payload digest, hex
 * @property {number} sequence
 * @property {string} version
 * @property {string} created as the statement spells it
 * @property {string} manifest SHA-256 of the manifest of its unpacked content, hex
 * @property {string} folder where its content lies; no two copies have the same
 * @property {number} [permit] the statement's `allow_downgrade_to`
 * @property {Download} [download] what it took, where it came from a server
 */

/** @typedef {{ bundle: InstalledBundle, starts: number, started_ms: number }} Trial started_ms: the clock at the last start */

/**
 * A bundle that failed; by: what condemned it: a trial, a recall, its copy, or the name of the archive check.
 * @typedef {{ digest: string, sequence: number, version: string, reason: string, by: string }} Failure
 */

/** @typedef {{ sequence: number, created: string }} Restart */

/**
 * What is kept of the trust store: updates that were followed, as they were signed, and the last restart applied.
 * @typedef {{ updates: readonly Bytes[], restarted: Restart | null }} TrustMemory
 */

/**
 * @typedef {object} State
 * @property {string} app
 * @property {string} channel
 * @property {number} floor the sequence confirmed last, lowered only by a signed permit
 * @property {number} highest the highest sequence that was ever confirmed
 * @property {string} newest the latest `created` of a confirmed statement, empty before the first
 * @property {InstalledBundle | null} staged
 * @property {Trial | null} pending
 * @property {readonly InstalledBundle[]} confirmed what ran well, the latest first
 * @property {readonly Failure[]} failed
 * @property {HeadMemory | null} heads null before the first one was looked for
 * @property {TrustMemory | null} trust
 * @property {number} shipped sequence of the built-in bundle, which no permit goes below; this and what follows come
 *   with the app and are not saved
 * @property {string} check name of the archive check
 * @property {number} epoch of heads that count
 */

/**
 * Return the state of a device that has nothing yet.
 * @param {string} app
 * @param {string} channel
 * @returns {State}
 */
export function freshState(app, channel) {
  return {
    ...{ app, channel, floor: 0, highest: 0, newest: "", staged: null, pending: null, confirmed: [], failed: [] },
    ...{ heads: null, trust: null, shipped: 0, check: "", epoch: 1 },
  };
}

/**
 * Return what the last boot chose; null for the built-in bundle.
 * @param {State} state
 */
export function currentOf({ pending, confirmed }) {
  return pending && pending.starts > 0 ? pending.bundle : (confirmed[0] ?? null);
}

/**
 * Return every bundle whose folder is needed.
 * @param {State} state
 */
export function bundlesOf(state) {
  return [...unconfirmedOf(state), ...state.confirmed];
}

/**
 * Return the staged and the pending bundle.
 * @param {State} state
 */
export function unconfirmedOf({ staged, pending }) {
  return [...(staged ? [staged] : []), ...(pending ? [pending.bundle] : [])];
}

/**
 * Return the staged or pending bundle of a payload digest (hex), or null.
 * @param {State} state
 * @param {string} digest
 */
export function findBundle(state, digest) {
  return unconfirmedOf(state).find((bundle) => bundle.digest === digest) ?? null;
}

/**
 * Throw RejectedError or RollbackError unless a bundle with that statement may be installed.
 * @param {State} state
 * @param {Statement} statement
 */
export function checkStatement(state, { payload, sequence, created, policy }) {
  checkBundle(state, { digest: payload.digest["fsverity-sha256"], sequence, created, permit: policy?.allow_downgrade_to });
}

/**
 * Throw RejectedError or RollbackError unless that bundle may be activated.
 * @param {State} state
 * @param {{ digest: string, sequence: number, created: string, permit?: number | undefined }} bundle
 */
export function checkBundle(state, { digest, sequence, created, permit }) {
  const name = `bundle ${digest.slice(0, 16)} with sequence ${sequence}`;
  const failure = state.failed.find(
    (one) => one.digest === digest && [BY_TRIAL, BY_RECALL, state.check].includes(one.by),
  );
  if (failure) throw new RejectedError(`${name} failed on this device before: ${failure.reason}`);
  if (withdrawnIn(state.heads, state.epoch).includes(sequence)) {
    throw new RejectedError(`${name} was withdrawn by its publisher`);
  }
  if (sequence > state.highest) return;
  const lowest = permit === undefined ? state.floor : Math.max(state.shipped, Math.min(state.floor, permit));
  if (sequence <= lowest) {
    throw new RollbackError(`sequence ${sequence} is not above ${lowest}, which was trusted before`, lowest, sequence);
  }
  // Below what once was taken, a permit opened the way. Only a statement younger than all that were taken may go it,
  // so that neither an old permit nor what it withdrew can be replayed. All have one length: text compares as time does.
  if (created <= state.newest) {
    throw new RollbackError(
      `sequence ${sequence} is not above ${state.highest}, which was trusted before, and its statement of ${created} ` +
        `is not younger than ${state.newest}, which was trusted, too`,
      state.floor,
      sequence,
    );
  }
}

/**
 * Return the state as an app sees it whose built-in bundle has that sequence: nothing older is left.
 * @param {State} state
 * @param {number} sequence
 * @param {{ check: string, epoch?: number }} app name of its archive check, and epoch of its trust store
 * @returns {State}
 */
export function builtInState(state, sequence, { check, epoch = 1 }) {
  const { staged, pending } = state;
  return {
    ...state,
    ...{ shipped: sequence, check, epoch },
    floor: Math.max(state.floor, sequence),
    highest: Math.max(state.highest, sequence),
    staged: staged && staged.sequence > sequence ? staged : null,
    pending: pending && pending.bundle.sequence > sequence ? pending : null,
    confirmed: state.confirmed.filter((bundle) => bundle.sequence > sequence),
  };
}

/**
 * Return the state with that bundle staged, in place of what was.
 * @param {State} state
 * @param {InstalledBundle} bundle
 * @returns {State}
 */
export function stage(state, bundle) {
  return { ...state, staged: bundle, failed: failedBut(state, bundle.digest) };
}

/**
 * Return the state with the staged bundle pending, in place of what was.
 * @param {State & { staged: InstalledBundle }} state
 * @returns {State}
 */
export function activate(state) {
  return { ...state, staged: null, pending: { bundle: state.staged, starts: 0, started_ms: 0 } };
}

/**
 * Return the state with one more start of the pending bundle.
 * @param {State & { pending: Trial }} state
 * @param {number} now_ms
 * @returns {State}
 */
export function start(state, now_ms) {
  const { bundle, starts } = state.pending;
  return { ...state, pending: { bundle, starts: starts + 1, started_ms: now_ms } };
}

/**
 * Return the state with the pending bundle confirmed, and the floor where it puts it.
 * @param {State & { pending: Trial }} state
 * @returns {State}
 */
export function confirm(state) {
  const { bundle } = state.pending;
  return {
    ...state,
    pending: null,
    // What a downgrade withdrew must not come back by a rollback.
    confirmed: [bundle, ...state.confirmed.filter((old) => old.sequence < bundle.sequence)],
    floor: bundle.sequence, // it passed checkBundle(), so going down here took a permit
    highest: Math.max(state.highest, bundle.sequence),
    newest: state.newest > bundle.created ? state.newest : bundle.created,
  };
}

/**
 * Return the state with that bundle failed.
 * @param {State} state
 * @param {InstalledBundle} bundle
 * @param {string} reason
 * @param {string} by
 * @returns {State}
 */
export function fail(state, bundle, reason, by) {
  const { digest, sequence, version, folder } = bundle;
  const { staged, pending, confirmed } = state;
  return {
    ...remember(state, { digest, sequence, version, reason, by }),
    staged: staged?.folder === folder ? null : staged,
    pending: pending?.bundle.folder === folder ? null : pending,
    confirmed: confirmed.filter((other) => other.folder !== folder),
  };
}

/**
 * Throw RejectedError where a bundle was dropped while its trial went on.
 * @param {State} state
 * @param {InstalledBundle} bundle
 */
export function checkNotDropped({ failed }, { digest }) {
  const failure = failed.find((one) => one.digest === digest);
  if (failure) throw new RejectedError(failure.reason);
}

/**
 * Return the state with a failure more, in place of what was said of that bundle before.
 * @param {State} state
 * @param {Failure} failure
 * @returns {State}
 */
export function remember(state, failure) {
  const reason = printable(failure.reason, 255);
  return { ...state, failed: [...failedBut(state, failure.digest), { ...failure, reason }] };
}

/**
 * @param {State} state
 * @param {string} digest
 */
function failedBut({ failed }, digest) {
  return failed.filter((failure) => failure.digest !== digest);
}

/**
 * Return the state with the latest confirmed bundle and so many older ones.
 * @param {State} state
 * @param {number} older
 * @returns {State}
 */
export function keep(state, older) {
  return { ...state, confirmed: state.confirmed.slice(0, 1 + older) };
}
