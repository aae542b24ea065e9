/** A sealed bundle on its way in: its seal is authenticated, and kept, before a byte of its payload is asked for. */

import { concat } from "./bytes.js";
import { free } from "./memory.js";
import { openCipher } from "./reader.js";
import { acceptSeal, checkSealEnd } from "./reading.js";
import { deadline } from "./request.js";
import { openSource, rebased } from "./source.js";
import { Stored } from "./stored.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Expect } from "./expect.js" */
/** @import { Identity } from "./keys.js" */
/** @import { Source, SourceInput } from "./source.js" */
/** @import { Role, TrustStore } from "./trust.js" */

/**
 * Open a bundle. Throws RejectedError, TransferError, and what its sources throw.
 * @param {SourceInput} payload or, without a seal beside it, the attached bundle
 * @param {object} options
 * @param {SourceInput} [options.seal]
 * @param {TrustStore} options.trust
 * @param {Expect & { role: Role }} options.expect
 * @param {AbortSignal | undefined} options.signal
 * @param {number} [options.sealMs] how long a seal of its own may take
 */
export async function openIncoming(payload, { seal, trust, expect, signal, sealMs }) {
  const within = seal === undefined ? null : deadline("seal", signal, sealMs);
  const opened = openSource(seal ?? payload, { seeking: false, signal: within?.signal ?? signal });
  const recorded = recording(opened);
  let source = opened;
  try {
    const found = await acceptSeal(recorded, trust, expect);
    if (seal !== undefined) {
      await checkSealEnd(opened, found.sealBytes);
      await opened.close();
      source = openSource(payload, { seeking: false, signal });
    }
    const stored = new Stored(seal === undefined ? rebased(source, found.sealBytes) : source, found.index, signal);
    return {
      verified: found.verified,
      index: found.index,
      seal: concat(recorded.taken),
      /** @param {Identity} identity */
      plaintext: (identity) => passing(stored.plaintext((first) => openCipher(found.verified, identity, first))),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  } finally {
    within?.end();
  }
}

/**
 * Yield pieces, each good until the next one is asked for.
 * @param {AsyncIterable<Bytes>} pieces
 */
async function* passing(pieces) {
  for await (const piece of pieces) {
    yield piece;
    free(piece);
  }
}

/**
 * Return a source that keeps what was read of it, which is read in order.
 * @param {Source} source
 */
function recording(source) {
  /** @type {Bytes[]} */
  const taken = [];
  return {
    taken,
    size: source.size,
    seekable: false,
    close: source.close,
    async read(/** @type {number} */ offset, /** @type {number} */ length) {
      const data = await source.read(offset, length);
      taken.push(data);
      return data;
    },
  };
}
