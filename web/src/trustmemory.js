/** What a device remembers of its trust store: updates that it followed, replayed from the built-in one at every start. */

import { toBase64 } from "./bytes.js";
import { RejectedError } from "./errors.js";
import { BY_COPY, currentOf, fail, unconfirmedOf } from "./state.js";
import { acceptUpdate, readUpdate, sameHeadKeys } from "./updates.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { InstalledBundle, Restart, State } from "./state.js" */
/** @import { TrustStore } from "./trust.js" */

/** @typedef {{ store: TrustStore, fitting: number }} Replayed the store that updates make, and how many of them fit: the first ones */

/** Kept updates, replayed from a built-in trust store; the same ones are not checked again. */
export class Replay {
  /** @type {Replayed | null} */
  #found = null;
  #updates = "";

  /** @param {TrustStore} builtin */
  constructor(builtin) {
    this.builtin = builtin;
  }

  /**
   * @param {readonly Bytes[]} updates
   * @returns {Promise<Replayed>}
   */
  async of(updates) {
    const asked = updates.map(toBase64).join();
    if (this.#found && asked === this.#updates) return this.#found;
    const found = await replayed(this.builtin, updates);
    [this.#found, this.#updates] = [found, asked];
    return found;
  }
}

/**
 * Return the state as an app sees it whose built-in trust store that is, and the store to go by.
 *
 * Where the kept updates do not fit it, it wins: those from the first that does not on are dropped. Where none is left,
 * what was remembered of heads counts on only if the same keys sign heads, in the same epoch.
 * @param {State} state
 * @param {Replay} replay
 * @returns {Promise<{ state: State, trust: TrustStore }>}
 */
export async function byTrust(state, replay) {
  const updates = state.trust?.updates ?? [];
  const { store, fitting } = await replay.of(updates);
  if (fitting === updates.length) return { state: inForce(state, store), trust: store };
  const memory = { updates: updates.slice(0, fitting), restarted: state.trust?.restarted ?? null };
  const last = updates[updates.length - 1];
  const keeps = fitting > 0 || (last !== undefined && (await keepsHeads(last, store)));
  const heads = keeps ? state.heads : null;
  return { state: inForce({ ...state, trust: memory, heads }, store), trust: store };
}

/**
 * Return the state after one more update of the store, which is kept, and the store that it brings. Throws RejectedError.
 * @param {State} state
 * @param {TrustStore} trust
 * @param {Bytes} update
 */
export async function followed(state, trust, update) {
  const brought = await acceptUpdate(trust, update);
  const memory = { updates: [...(state.trust?.updates ?? []), update], restarted: state.trust?.restarted ?? null };
  return { state: inForce({ ...state, trust: memory }, brought), trust: brought };
}

/**
 * @param {State} state
 * @param {TrustStore} trust
 */
function inForce(state, { purposes }) {
  return { ...restartedBy(state, purposes.restart ?? null), epoch: purposes.epoch };
}

/**
 * Return the state with floor, highest and newest lowered to what a trust store says, once and never raised.
 *
 * What waits, or is in its trial, and is above that, is dropped: confirmed, it would raise them again.
 * @param {State} before
 * @param {Restart | null} restart of the store
 * @returns {State}
 */
function restartedBy(before, restart) {
  const last = before.trust?.restarted;
  if (!restart || (last && last.sequence === restart.sequence && last.created === restart.created)) return before;
  const { sequence, created } = restart;
  let state = before;
  for (const bundle of unconfirmedOf(before)) {
    if (bundle.sequence <= sequence && bundle.created <= created) continue;
    const above = `sequence ${bundle.sequence}, made at ${bundle.created}, is above ${sequence}, ${created}`;
    state = drop(state, bundle, `${above}, where the trust store restarted after it was installed`);
  }
  return {
    ...state,
    floor: Math.max(state.shipped, Math.min(state.floor, sequence)),
    highest: Math.max(state.shipped, Math.min(state.highest, sequence)),
    newest: state.newest < created ? state.newest : created,
    trust: { updates: state.trust?.updates ?? [], restarted: { sequence, created } },
  };
}

/**
 * Return the state without a staged or pending bundle, which failed as a copy.
 *
 * One that was started runs on until its trial ends: checkNotDropped() says how.
 * @param {State} state
 * @param {InstalledBundle} bundle
 * @param {string} reason
 * @returns {State}
 */
function drop(state, bundle, reason) {
  const dropped = fail(state, bundle, reason, BY_COPY);
  return bundle.folder === currentOf(state)?.folder ? { ...dropped, pending: state.pending } : dropped;
}

/**
 * @param {TrustStore} builtin
 * @param {readonly Bytes[]} updates
 * @returns {Promise<Replayed>}
 */
async function replayed(builtin, updates) {
  let [store, last, fitting] = [builtin, builtin, 0];
  try {
    for (const update of updates) {
      const { store: brought } = await readUpdate(update);
      if (brought.version > builtin.version) store = await acceptUpdate(store, update);
      else if (brought.version === builtin.version && brought.purposes.digest !== builtin.purposes.digest) {
        return { store: builtin, fitting: 0 };
      }
      last = brought;
      fitting += 1;
    }
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
  }
  if (last.version < builtin.version && rootOf(last) !== rootOf(builtin)) return { store: builtin, fitting: 0 };
  return { store, fitting };
}

/**
 * Tell whether the same keys sign heads, in the same epoch, in an update's store and in another.
 * @param {Bytes} update
 * @param {TrustStore} store
 */
async function keepsHeads(update, store) {
  try {
    const { purposes } = (await readUpdate(update)).store;
    const { heads, epoch } = purposes;
    return heads !== undefined && epoch === store.purposes.epoch && sameHeadKeys(purposes, store.purposes);
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    return false;
  }
}

/** @param {TrustStore} store */
function rootOf({ version, purposes: { root } }) {
  if (!root) return version; // no two such stores have one root
  return `${root.threshold} of ${root.keys.map(({ fingerprint }) => fingerprint).sort()}`;
}
