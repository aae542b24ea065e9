/** What a device does with heads: which it accepts, what they let it install, when it is uncertain (docs/device.md). */

import { NotForUsError, RejectedError, StaleError, TamperedError } from "./errors.js";
import { checkFresh, checkHead, checkRecall } from "./head.js";
import { NO_HEADS, checkFollows, uncertain } from "./headmemory.js";
import { misfit } from "./requires.js";
import { inShare } from "./rollout.js";
import { BY_RECALL, bundlesOf, fail, remember } from "./state.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Head, NamedRelease } from "./head.js" */
/** @import { State } from "./state.js" */
/** @import { Statement } from "./statement.js" */
/** @import { Role, TrustStore } from "./trust.js" */

/**
 * How a device uses heads: `required` installs nothing but what a fresh head names; `used` the same from the first
 * head on; `ignored` asks for none.
 * @typedef {"required" | "used" | "ignored"} HeadUse
 */

/** @typedef {(digest: string) => Promise<Bytes | null>} RecallOf returns the recall of a digest, where it can be had */

/** @typedef {{ number: number, releases: NamedRelease[] }} Current the releases that a fresh head names for one device */

/** The rules of one device. */
export class Heads {
  /**
   * @param {HeadUse} use
   * @param {object} told
   * @param {TrustStore} told.trust by which heads count
   * @param {string} told.app
   * @param {string} told.channel
   * @param {Role} told.role
   * @param {string | undefined} told.native
   * @param {string | undefined} told.platform
   * @param {() => Date} told.clock gives the time, which may be wrong
   */
  constructor(use, { trust, app, channel, role, native, platform, clock }) {
    this.use = use;
    this.trust = trust;
    this.names = { app, channel, role };
    this.native = native;
    this.platform = platform;
    this.clock = clock;
  }

  /**
   * Return the time, which is never before the epoch's last head was issued, nor before the trust store.
   * @param {State} state
   */
  time({ heads }) {
    const head = heads?.last?.head;
    const { created, epoch } = this.trust.purposes;
    const now = `${this.clock().toISOString().slice(0, 19)}Z`;
    const bounds = [now, created ?? now, head && head.epoch === epoch ? head.issued : now];
    return bounds.reduce((latest, bound) => (bound > latest ? bound : latest)); // all of one length
  }

  /**
   * Return what may be installed, or null where heads have no say. Throws StaleError where none is fresh.
   * @param {State} state
   * @returns {Promise<Current | null>}
   */
  async current(state) {
    const memory = state.heads ?? NO_HEADS;
    if (!memory.last) {
      if (this.use === "used") return null;
      throw new StaleError("no head was accepted yet, so nothing says what is current; nothing is installed");
    }
    const { head } = memory.last;
    this.#checkUsable(head, state);
    const { candidate } = head;
    const inside =
      candidate && !candidate.paused && (await inShare({ salt: candidate.salt, share: candidate.share, secret: memory.secret }));
    const named = [...(candidate && inside ? [candidate] : []), ...head.current];
    const fits = (/** @type {NamedRelease} */ { requires }) =>
      !requires || misfit(requires, this.native, this.platform) === null;
    return { number: head.number, releases: named.filter(fits) };
  }

  /**
   * @param {Head} head
   * @param {State} state
   */
  #checkUsable(head, state) {
    const { version } = this.trust;
    const { digest, epoch } = this.trust.purposes;
    if (head.trust.version !== version || head.trust.digest !== digest || head.epoch !== epoch) {
      throw new StaleError(
        `head ${head.number} is none of the present trust store: it names version ${head.trust.version}, ` +
          `epoch ${head.epoch}, here is version ${version}, epoch ${epoch}`,
      );
    }
    checkFresh(head, this.time(state));
  }

  /**
   * Return the sequence of the release to install, or null where heads have no say.
   *
   * Throws StaleError where no head is fresh, NotForUsError where it names nothing that fits here.
   * @param {State} state
   */
  async chosen(state) {
    const current = await this.current(state);
    if (current === null) return null;
    const [first] = current.releases;
    if (!first) throw new NotForUsError(`head ${current.number} names no release that fits here`);
    return first.sequence;
  }

  /**
   * Return the state with a head in place of the last one, and with what its recalls say. Throws RejectedError.
   *
   * One that has expired is accepted where it follows: it installs nothing, but what it withdraws is withdrawn.
   * @param {State} state
   * @param {Bytes} data
   * @param {RecallOf} recallOf
   * @returns {Promise<State>}
   */
  async #accept(state, data, recallOf) {
    const taken = await checkHead(data, { ...this.names, trust: this.trust });
    const memory = state.heads ?? NO_HEADS;
    const { last } = memory;
    checkFollows(last, taken);
    const known = last && last.head.epoch === taken.head.epoch ? (last.head.recalls ?? []) : [];
    let after = state;
    for (const digest of taken.head.recalls ?? []) {
      if (!known.includes(digest)) after = await this.#recalled(after, digest, await recallOf(digest));
    }
    const secret = memory.secret.length > 0 ? memory.secret : crypto.getRandomValues(new Uint8Array(32));
    const heads = { ...memory, secret, last: taken };
    after = { ...after, heads };
    try {
      this.#checkUsable(taken.head, after);
    } catch (error) {
      if (!(error instanceof StaleError)) throw error;
      return { ...after, heads: uncertain(heads, error.message, taken.head.expires) };
    }
    return { ...after, heads: { ...heads, problem: "", since: "" } };
  }

  /**
   * Return the state in which all that a recall names has failed, for good. Throws RejectedError.
   * @param {State} state
   * @param {string} digest
   * @param {Bytes | null} data
   */
  async #recalled(state, digest, data) {
    if (data === null) {
      throw new TamperedError(`head names recall ${digest.slice(0, 16)}, which is not to be had: it is withheld`);
    }
    const found = await checkRecall(data, { ...this.names, trust: this.trust });
    if (found.digest !== digest) {
      throw new TamperedError(`recall ${digest.slice(0, 16)} was asked for, ${found.digest.slice(0, 16)} came`);
    }
    let after = state;
    for (const release of found.recall.releases) {
      const { sequence, version } = release;
      for (const bundle of bundlesOf(after).filter((one) => one.digest === release.digest)) {
        after = fail(after, bundle, "recalled", BY_RECALL);
      }
      after = remember(after, { digest: release.digest, sequence, version, reason: "recalled", by: BY_RECALL });
    }
    return after;
  }

  /**
   * Return the state after a head was looked for, and why it does not count, if it does not.
   * @param {State} state
   * @param {Bytes | null} data null where none could be had
   * @param {RecallOf} recallOf
   * @returns {Promise<{ state: State, problem: RejectedError | null }>}
   */
  async after(state, data, recallOf) {
    try {
      if (data === null) throw new StaleError("no head was given");
      return { state: await this.#accept(state, data, recallOf), problem: null };
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      return { state: this.doubted(state, error), problem: error };
    }
  }

  /**
   * Return the state that remembers why it is uncertain what is current, where heads have a say.
   * @param {State} state
   * @param {RejectedError} problem
   * @returns {State}
   */
  doubted(state, problem) {
    if (this.use === "used" && !state.heads?.last) return state;
    return { ...state, heads: uncertain(state.heads ?? NO_HEADS, problem.message, this.time(state)) };
  }

  /**
   * Return since when, and why, it is not certain what is current, or null; since: null where it never was.
   * @param {State} state
   * @returns {Promise<{ since: string | null, why: string } | null>}
   */
  async uncertainty(state) {
    const memory = state.heads ?? NO_HEADS;
    if (memory.since) return { since: memory.since, why: memory.problem };
    try {
      await this.current(state);
      return null;
    } catch (error) {
      if (!(error instanceof StaleError)) throw error;
      return { since: memory.last?.head.expires ?? null, why: error.message };
    }
  }
}

/**
 * Throw NotForUsError unless a statement is that of a release that is named.
 * @param {Current} current
 * @param {Statement} statement
 */
export function checkNamed({ number, releases }, { payload, sequence }) {
  const digest = payload.digest["fsverity-sha256"];
  if (releases.some((release) => release.digest === digest && release.sequence === sequence)) return;
  const named = releases.map((release) => release.sequence).join(", ") || "none";
  throw new NotForUsError(`head ${number} does not name sequence ${sequence}; it names ${named} here`);
}
