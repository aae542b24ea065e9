/** Where a bundle's plaintext comes from: its payload. */

/** @import { Bytes } from "./bytes.js" */
/** @import { Identity } from "./keys.js" */
/** @import { Release } from "./releases.js" */
/** @import { Download, State } from "./state.js" */
/** @import { Storage } from "./storage.js" */

/** @typedef {Awaited<ReturnType<typeof import("./incoming.js").openIncoming>>} Incoming */

/**
 * Return the plaintext of a bundle, each piece checked before it is given, and what was downloaded once it has ended.
 * @param {Incoming} incoming
 * @param {Release | null} release
 * @param {{ identity: Identity, storage: Storage, state: State, signal: AbortSignal | undefined }} means
 * @returns {Promise<{ pieces: AsyncIterable<Bytes>, download: () => Download | null }>}
 */
export async function plaintextFrom(incoming, release, { identity }) {
  const { size } = incoming.verified.statement.payload;
  return {
    pieces: incoming.plaintext(identity),
    download: () => (release ? { bytes: size, of: size, source: "payload" } : null),
  };
}
