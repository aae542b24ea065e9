/** What a device store works with: its state under its lock, and the trust store and heads in force with it. */

import { Heads } from "./headrules.js";
import { Identity } from "./keys.js";
import { builtInState } from "./state.js";
import { encodeState, stateOf } from "./staterecord.js";
import { Replay, byTrust } from "./trustmemory.js";
import { loadTrust } from "./trust.js";

/** @import { HeadUse } from "./headrules.js" */
/** @import { IdentityInput } from "./keys.js" */
/** @import { State } from "./state.js" */
/** @import { Shell, Storage } from "./storage.js" */
/** @import { Role, TrustInput, TrustStore } from "./trust.js" */
/** @import { ArchiveLimits } from "./zip.js" */

/** @typedef {{ app: string, channel: string, role: Role, native: string | undefined, platform: string | undefined }} Told */

/**
 * @typedef {object} Rules
 * @property {number} builtinSequence
 * @property {number} boots
 * @property {number} confirmWithinS
 * @property {ArchiveLimits} limits
 * @property {number} recipeMemoryBytes
 * @property {string} check name of the archive check
 * @property {HeadUse} head
 * @property {() => number} clock milliseconds
 * @property {() => Date} wallClock
 */

/** The state of one app and channel, as this app sees it. */
export class Kept {
  /** @type {Heads | null} the rules of heads, where they are used */
  heads = null;

  /**
   * @param {Storage} storage
   * @param {Shell} shell
   * @param {{ trust: TrustInput, identity: IdentityInput }} given
   * @param {Told} told
   * @param {Rules} rules
   */
  constructor(storage, shell, given, told, rules) {
    this.storage = storage;
    this.shell = shell;
    this.given = given;
    this.told = told;
    this.rules = rules;
  }

  /** @type {Promise<{ trust: TrustStore, replay: Replay, identity: Identity }> | null} */
  #loaded = null;

  /** Return the keys in force, loaded once. */
  keys() {
    this.#loaded ??= (async () => {
      const trust = await loadTrust(this.given.trust);
      return { trust, replay: new Replay(trust), identity: await Identity.of(this.given.identity) };
    })();
    return this.#loaded;
  }

  /**
   * Go by a trust store from now on.
   * @param {TrustStore} trust
   */
  goBy(trust) {
    const keys = this.keys();
    this.#loaded = keys.then((loaded) => ({ ...loaded, trust }));
    const { head, wallClock } = this.rules;
    const used = head === "required" || (head === "used" && trust.purposes.heads);
    this.heads = used ? new Heads(head, { ...this.told, trust, clock: wallClock }) : null;
  }

  /**
   * Do something with the state while nobody else changes it.
   * @template T
   * @param {(state: State) => Promise<T>} change
   * @returns {Promise<T>}
   */
  changing(change) {
    return this.storage.locked("state", async () => change(await this.load()));
  }

  /** Return the state as this app sees it: without what is older than its built-in bundle. */
  async load() {
    const { app, channel } = this.told;
    const { builtinSequence, check } = this.rules;
    const { replay } = await this.keys();
    const state = builtInState(stateOf(await this.storage.load(), app, channel), builtinSequence, { check });
    const found = await byTrust(state, replay);
    this.goBy(found.trust);
    return found.state;
  }

  /**
   * Replace the state.
   * @param {State} state
   */
  save(state) {
    return this.storage.save(encodeState(state));
  }
}
