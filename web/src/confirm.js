/**
 * What a bundle says of itself: that it has started well. It needs neither keys nor trust, so that what a bundle brings
 * has no say in what is trusted.
 */

import { RejectedError } from "./errors.js";
import { BY_COPY, BY_TRIAL, checkNotDropped, confirm, currentOf, fail } from "./state.js";
import { encodeState, stateOf } from "./staterecord.js";

/** @import { InstalledBundle, State } from "./state.js" */
/** @import { Storage } from "./storage.js" */

/** How long a start may take to be confirmed, in seconds. */
export const CONFIRM_WITHIN_S = 10;

/**
 * @typedef {object} Confirming
 * @property {Storage} storage
 * @property {string} app
 * @property {string} [channel]
 * @property {string | null} [folder] that the page runs from: then no other page's bundle is confirmed by it
 * @property {number} [confirmWithinS]
 * @property {() => number} [clock] milliseconds
 */

/**
 * Make the started pending bundle the confirmed one; where nothing is pending, or another bundle is, change nothing.
 *
 * Return what runs. Throws RejectedError where it comes too late and the bundle has failed, and what the storage throws.
 * @param {Confirming} options
 */
export async function confirmRunning({ storage, app, channel = "production", ...options }) {
  return storage.locked("state", async () => {
    const state = stateOf(await storage.load(), app, channel);
    return currentOf(await confirmed(state, storage, options));
  });
}

/**
 * @param {State} state
 * @param {Storage} storage
 * @param {Omit<Confirming, "storage" | "app" | "channel">} options
 * @param {(bundle: InstalledBundle) => Promise<void>} [check] throws RejectedError where it is not trusted any more
 */
export async function confirmed(state, storage, { folder, confirmWithinS = CONFIRM_WITHIN_S, clock = Date.now }, check) {
  const { pending } = state;
  if (!pending || pending.starts === 0) return state;
  if (folder !== undefined && folder !== pending.bundle.folder) return state;
  const { bundle } = pending;
  const failed = async (/** @type {string} */ reason, /** @type {string} */ by) => {
    await storage.save(encodeState(fail(state, bundle, reason, by)));
    return new RejectedError(`bundle ${bundle.folder}: ${reason}; it has failed`);
  };
  const elapsed = (clock() - pending.started_ms) / 1000;
  // A clock that was set back gives less than 0: then only the count of starts limits the trial.
  if (elapsed > confirmWithinS) {
    throw await failed(`confirmed ${elapsed.toFixed(1)} s after its start, ${confirmWithinS} s are allowed`, BY_TRIAL);
  }
  try {
    checkNotDropped(state, bundle);
    await check?.(bundle);
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    throw await failed(error.message, BY_COPY);
  }
  const after = confirm({ ...state, pending });
  await storage.save(encodeState(after));
  return after;
}
