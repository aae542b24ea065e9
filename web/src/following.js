/** What a device follows of a server before it installs: updates of the trust store, then the channel's head. */

import { RejectedError, StaleError, UsageError } from "./errors.js";
import { followed } from "./trustmemory.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Heads, RecallOf } from "./headrules.js" */
/** @import { Kept } from "./kept.js" */
/** @import { Releases } from "./releases.js" */

/**
 * Return which release of a server is to be installed, or null where no head says so: its latest.
 *
 * Updates and head are asked for first. What is wrong with them is thrown only where no fresh head is here.
 * @param {Kept} kept
 * @param {Releases} server
 */
export async function sequenceAt(kept, server) {
  let problem = null;
  try {
    await followUpdates(kept, server);
    if (!kept.heads) return null;
    await takeHeadOf(kept, server);
  } catch (error) {
    if (!(error instanceof RejectedError) || !kept.heads) throw error;
    problem = error;
  }
  const heads = /** @type {Heads} */ (kept.heads);
  try {
    return await heads.chosen(await kept.load());
  } catch (error) {
    if (!(error instanceof StaleError)) throw error;
    throw problem ?? error;
  }
}

/**
 * Take a server's head in place of the last one. Throws as takeHead().
 * @param {Kept} kept
 * @param {Releases} server
 */
export async function takeHeadOf(kept, server) {
  await takeHead(kept, await server.head(), (digest) => server.recall(digest));
}

/**
 * Accept a channel's head in place of the last one, with the recalls that it names, all in one write.
 *
 * head: null where none could be had, which is remembered. Throws RejectedError, remembered too, where it does not count.
 * @param {Kept} kept
 * @param {Bytes | null} head
 * @param {RecallOf} recallOf
 */
export async function takeHead(kept, head, recallOf) {
  const problem = await kept.changing(async (state) => {
    if (!kept.heads) throw new UsageError("heads are ignored here, or the app's trust store has no keys for them");
    const after = await kept.heads.after(state, head, recallOf);
    if (after.state !== state) await kept.save(after.state);
    return after.problem;
  });
  if (problem) throw problem;
}

/**
 * Follow updates of the trust store one after the other until there is none, and keep them.
 * @param {Kept} kept
 * @param {Releases} server
 */
export async function followUpdates(kept, server) {
  await kept.load();
  for (;;) {
    const { trust } = await kept.keys();
    if (!trust.purposes.root) return;
    const version = trust.version + 1;
    const update = await server.update(version); // without the lock, since it may take its time
    if (update === null) return;
    await kept.changing(async (state) => {
      const { trust: now } = await kept.keys();
      if (now.version + 1 !== version) return; // another page followed it meanwhile
      try {
        const after = await followed(state, now, update);
        await kept.save(after.state);
        kept.goBy(after.trust);
      } catch (error) {
        // As with a head that is refused: what is current is not certain any more.
        const doubted = error instanceof RejectedError && kept.heads?.doubted(state, error);
        if (doubted && doubted !== state) await kept.save(doubted);
        throw error;
      }
    });
  }
}
