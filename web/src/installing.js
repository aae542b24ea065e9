/** An install: everything checked, unpacked beside what is there, and only then named by the state. */

import { toHex } from "./bytes.js";
import { checkSeal } from "./choosing.js";
import { RejectedError } from "./errors.js";
import { checkedExpect } from "./expect.js";
import { checkNamed } from "./headrules.js";
import { openIncoming } from "./incoming.js";
import { plaintextFrom } from "./plaintext.js";
import { BY_COPY, bundlesOf, checkBundle, checkStatement, currentOf, fail, findBundle, remember, stage } from "./state.js";
import { stateOf } from "./staterecord.js";
import { ArchiveRefused, fill } from "./unpack.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Kept } from "./kept.js" */
/** @import { Release } from "./releases.js" */
/** @import { SourceInput } from "./source.js" */
/** @import { InstalledBundle, State } from "./state.js" */

/**
 * @typedef {object} InstallOptions
 * @property {SourceInput} [seal] a detached seal; the first argument is a payload then, and else a server's URL
 * @property {(bytes: number) => void} [progress] told of bytes of plaintext as they are checked
 * @property {(bytes: number) => void} [expecting] told once how many these will be
 * @property {AbortSignal} [signal]
 */

/**
 * Check a bundle completely, unpack it, and stage it in place of what was staged; return it.
 * @param {Kept} kept
 * @param {SourceInput} payload
 * @param {SourceInput | undefined} seal
 * @param {Release | null} release
 * @param {InstallOptions} options
 */
export function install(kept, payload, seal, release, { progress, expecting, signal }) {
  const { storage, told, rules } = kept;
  return storage.locked("install", async () => {
    const state = await swept(kept);
    const { trust, identity } = await kept.keys();
    const head = kept.heads ? await kept.heads.current(state) : null;
    const expect = checkedExpect({ ...told, floor: state.floor });
    const incoming = await openIncoming(payload, { ...(seal !== undefined && { seal }), trust, expect, signal });
    try {
      const { statement } = incoming.verified;
      if (head) checkNamed(head, statement);
      const digest = statement.payload.digest["fsverity-sha256"];
      const known = findBundle(state, digest);
      if (known && (await stays(kept, state, known))) return known;
      checkStatement(state, statement);
      expecting?.(statement.content.size);
      const { recipeMemoryBytes } = rules;
      const means = { identity, storage, state, recipeMemoryBytes, signal };
      const arriving = await plaintextFrom(incoming, release, means);
      const random = toHex(crypto.getRandomValues(new Uint8Array(8)));
      const folder = `${statement.sequence}-${digest.slice(0, 16)}-${random}`;
      try {
        const counted = counting(arriving.pieces, progress);
        const of = { statement, seal: incoming.seal, limits: rules.limits };
        const manifest = await fill(storage, folder, counted, of);
        const bundle = bundleOf(statement, { manifest, folder, download: arriving.download() });
        await kept.changing(async (now) => {
          checkBundle(now, bundle); // the floor may have risen meanwhile
          const later = kept.heads ? await kept.heads.current(now) : null;
          if (later) checkNamed(later, statement); // and the head that was may have expired
          const keys = await kept.keys();
          if (keys.trust !== trust) await checkSeal(storage, bundle, keys.trust, checkedExpect(told));
          await kept.save(stage(now, bundle));
        });
        return bundle;
      } catch (error) {
        await gaveUp(kept, error, folder, statement);
        throw error;
      }
    } finally {
      await incoming.close();
    }
  });
}

/**
 * Say whether a staged or pending bundle is left as it is: else the trust store in force accepts its new seal only.
 *
 * That which runs is left as well, until its trial is over.
 * @param {Kept} kept
 * @param {State} state
 * @param {InstalledBundle} known
 */
async function stays(kept, state, known) {
  if (known.folder === currentOf(state)?.folder) return true;
  try {
    await checkSeal(kept.storage, known, (await kept.keys()).trust, checkedExpect(kept.told));
    return true;
  } catch (error) {
    if (!(error instanceof RejectedError)) throw error;
    const { message } = error;
    await kept.changing((now) => kept.save(fail(now, known, message, BY_COPY)));
    await kept.storage.remove(known.folder); // no state names it any more
    return false;
  }
}

/**
 * Remove what no state names, and return the state.
 * @param {Kept} kept
 */
export async function swept(kept) {
  const { storage, told } = kept;
  return kept.changing(async (state) => {
    const named = new Set(bundlesOf(stateOf(await storage.load(), told.app, told.channel)).map(({ folder }) => folder));
    for (const folder of await storage.folders()) if (!named.has(folder)) await storage.remove(folder);
    return state;
  });
}

/**
 * @param {Kept} kept
 * @param {unknown} error
 * @param {string} folder
 * @param {import("./statement.js").Statement} statement
 */
async function gaveUp(kept, error, folder, { payload, sequence, version }) {
  if (error instanceof ArchiveRefused) {
    // Proven from authenticated bytes, and from nothing else: this check will never find otherwise.
    const digest = payload.digest["fsverity-sha256"];
    const failure = { digest, sequence, version, reason: error.message, by: kept.rules.check };
    await kept.changing((state) => kept.save(remember(state, failure)));
  }
  try {
    const named = bundlesOf(await kept.load()).some((bundle) => bundle.folder === folder);
    if (!named) await kept.storage.remove(folder);
  } catch {
    // it is removed by the next install: what failed first is what has to be told
  }
}

/**
 * @param {import("./statement.js").Statement} statement
 * @param {{ manifest: string, folder: string, download: import("./state.js").Download | null }} copy
 * @returns {InstalledBundle}
 */
function bundleOf({ payload, sequence, version, created, policy }, { manifest, folder, download }) {
  return {
    ...{ digest: payload.digest["fsverity-sha256"], sequence, version, created, manifest, folder },
    ...(policy && { permit: policy.allow_downgrade_to }),
    ...(download && { download }),
  };
}

/**
 * @param {AsyncIterable<Bytes>} pieces
 * @param {((bytes: number) => void) | undefined} progress
 */
async function* counting(pieces, progress) {
  for await (const piece of pieces) {
    progress?.(piece.length);
    yield piece;
  }
}
