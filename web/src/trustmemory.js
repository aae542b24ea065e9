/** What a device remembers of its trust store: updates that it followed, replayed from the built-in one at every start. */

import { parseEnvelope, payloadOf } from "./dsse.js";
import { RejectedError } from "./errors.js";
import { Members } from "./members.js";
import { restartedBy } from "./state.js";
import { parse } from "./strictjson.js";
import { parseStore } from "./trust.js";
import { acceptUpdate } from "./updates.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { State } from "./state.js" */
/** @import { TrustStore } from "./trust.js" */

const UPDATE_TYPE = "application/vnd.capseal.trust-update.v1+json";

/**
 * Return the state as an app sees it whose built-in trust store that is, and the store to go by.
 *
 * Where the kept updates do not fit it, it wins: they are dropped, and what was remembered of heads with them.
 * @param {State} state
 * @param {TrustStore} builtin
 * @returns {Promise<{ state: State, trust: TrustStore }>}
 */
export async function byTrust(state, builtin) {
  const updates = state.trust?.updates ?? [];
  const trust = updates.length > 0 ? await replayed(builtin, updates) : builtin;
  if (trust) return { state: inForce(state, trust), trust };
  const restarted = state.trust?.restarted ?? null;
  return { state: inForce({ ...state, trust: { updates: [], restarted }, heads: null }, builtin), trust: builtin };
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
 * Return the store that the kept updates make of the built-in one, or null where they do not fit it.
 * @param {TrustStore} builtin
 * @param {readonly Bytes[]} updates
 */
async function replayed(builtin, updates) {
  let [store, brought] = [builtin, builtin];
  try {
    for (const update of updates) {
      brought = await broughtBy(update);
      if (brought.version > builtin.version) store = await acceptUpdate(store, update);
      else if (brought.version === builtin.version && brought.purposes.digest !== builtin.purposes.digest) return null;
    }
    if (brought.version < builtin.version && rootOf(brought) !== rootOf(builtin)) return null;
    return store;
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    return null;
  }
}

/**
 * Return the store that an update speaks of; nobody is asked whether it counts.
 * @param {Bytes} update
 */
function broughtBy(update) {
  const content = parse(payloadOf(parseEnvelope(update), UPDATE_TYPE), "trust update");
  return parseStore(new Members(content, "trust update", ["previous", "store"]).value["store"]);
}

/** @param {TrustStore} store */
function rootOf({ version, purposes: { root } }) {
  if (!root) return version; // no two such stores have one root
  return `${root.threshold} of ${root.keys.map(({ fingerprint }) => fingerprint).sort()}`;
}
