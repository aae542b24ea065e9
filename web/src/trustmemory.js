/** What a device remembers of its trust store: updates that it followed, replayed from the built-in one at every start. */

import { toBase64 } from "./bytes.js";
import { RejectedError } from "./errors.js";
import { restartedBy } from "./state.js";
import { acceptUpdate, readUpdate, sameHeadKeys } from "./updates.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { State } from "./state.js" */
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
