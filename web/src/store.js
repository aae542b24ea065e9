/**
 * DeviceStore: takes updates in, and chooses at every start what to run (docs/device.md).
 *
 * Whatever fails, the device runs what it ran before, or an older confirmed bundle, or at last the built-in one. A bundle
 * is complete before a state names it, and is removed only after a durable state no longer does.
 */

import { checkSeal, choose, pickConfirmed } from "./choosing.js";
import { CONFIRM_WITHIN_S, confirmed } from "./confirm.js";
import { UsageError } from "./errors.js";
import { checkedExpect } from "./expect.js";
import { followUpdates, sequenceAt, takeHead, takeHeadOf } from "./following.js";
import { install, swept } from "./installing.js";
import { Kept } from "./kept.js";
import { checkContent, readManifest } from "./manifest.js";
import { Releases } from "./releases.js";
import { BY_TRIAL, activate, bundlesOf, checkBundle, currentOf, fail, keep } from "./state.js";
import { nameOfCheck } from "./unpack.js";
import { DEFAULT_LIMITS } from "./zip.js";

export { CapsealError, RejectedError, RollbackError, StaleError, TransferError, UsageError } from "./errors.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { HeadUse, RecallOf } from "./headrules.js" */
/** @import { IdentityInput } from "./keys.js" */
/** @import { SourceInput } from "./source.js" */
/** @import { InstalledBundle, State } from "./state.js" */
/** @import { Shell, Storage } from "./storage.js" */
/** @import { Role, TrustInput } from "./trust.js" */
/** @import { ArchiveLimits } from "./zip.js" */

/**
 * What to run; bundle: null for the built-in one; problem: why it is not what it would have been, for the log.
 * @typedef {{ address: string, bundle: InstalledBundle | null, problem: Error | null }} Running
 */

/**
 * What a store is told.
 * @typedef {object} DeviceOptions
 * @property {Storage} storage
 * @property {Shell} shell
 * @property {TrustInput} trust a constant of the boot page
 * @property {IdentityInput} identity the recipient's key
 * @property {string} app
 * @property {string} [channel] `production` by default
 * @property {string} builtin address of what the app was shipped with, which runs where nothing else does
 * @property {number} [builtinSequence] nothing at or below it is installed or run: a constant of the boot page
 * @property {Role} [role]
 * @property {string} [native] the native app's version
 * @property {string} [platform] on which it runs
 * @property {number} [boots] starts in which a pending bundle must be confirmed, 1 by default
 * @property {number} [confirmWithinS] seconds after a start in which it must be
 * @property {ArchiveLimits} [limits]
 * @property {number} [recipeMemoryBytes] what a recipe may take to be applied, 112 MiB by default; 0 declines all
 * @property {HeadUse} [head] `used` by default
 * @property {() => number} [clock] milliseconds; by default the device's, which its user may set
 * @property {() => Date} [wallClock] by which heads expire
 */

/** @typedef {import("./installing.js").InstallOptions} InstallOptions */

const OPTIONS =
  "storage shell trust identity app channel builtin builtinSequence role native platform boots confirmWithinS limits recipeMemoryBytes head clock wallClock".split(" ");
const RECIPE_MEMORY_BYTES = 112 * 1024 * 1024; // what the largest recipe takes
const HEAD_USES = ["required", "used", "ignored"];

/** The bundles of one app and channel on one device. Safe to use from several pages. */
export class DeviceStore {
  #kept;
  #builtin;

  /** @param {DeviceOptions} options */
  constructor(options) {
    const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
    if (unknown !== undefined) throw new UsageError(`unknown option ${JSON.stringify(unknown)}`);
    for (const name of /** @type {const} */ (["storage", "shell", "trust", "identity", "app", "builtin"])) {
      if (!options[name]) throw new UsageError(`option ${name} is missing`);
    }
    const { channel = "production", boots = 1, confirmWithinS = CONFIRM_WITHIN_S, head = "used" } = options;
    if (!(boots >= 1 && confirmWithinS > 0)) throw new UsageError(`${boots} boots of ${confirmWithinS} s: too few`);
    if (!HEAD_USES.includes(head)) throw new UsageError(`head ${JSON.stringify(head)}: not one of ${HEAD_USES}`);
    const { storage, shell, app, builtin, builtinSequence = 0, role = "production", native, platform } = options;
    const { limits = DEFAULT_LIMITS, recipeMemoryBytes = RECIPE_MEMORY_BYTES, clock = Date.now, wallClock = () => new Date() } = options;
    this.#builtin = builtin;
    const told = { app, channel, role, native, platform };
    checkedExpect(told);
    const trials = { builtinSequence, boots, confirmWithinS, clock };
    const rules = { ...trials, limits, recipeMemoryBytes, head, wallClock, check: nameOfCheck(limits) };
    this.#kept = new Kept(storage, shell, { trust: options.trust, identity: options.identity }, told, rules);
  }

  /**
   * Install a release, completely checked, in place of what was staged; return it. One that is staged or pending already
   * is returned as it is.
   *
   * source: URL of a capseal server, for the release that its head names, or its latest; or a payload with its `seal`;
   * or an attached bundle that is no URL. Throws RejectedError, TransferError, UsageError, and what the storage throws.
   * @param {SourceInput} source
   * @param {InstallOptions} [options]
   * @returns {Promise<InstalledBundle>}
   */
  async install(source, options = {}) {
    const isServer = options.seal === undefined && (typeof source === "string" || source instanceof URL);
    if (!isServer) return install(this.#kept, source, options.seal, null, options);
    const server = new Releases(source, { ...this.#kept.told, signal: options.signal });
    const release = await server.release(await sequenceAt(this.#kept, server));
    return install(this.#kept, release.payload, release.seal, release, options);
  }

  /**
   * Make the staged bundle pending: the next boot() starts it. Throws RejectedError where it may not follow any more, or
   * its seal is none of the trust store in force; UsageError.
   */
  activate() {
    return this.#kept.changing(async (state) => {
      const { staged } = state;
      if (!staged) throw new UsageError("no bundle is staged; install one first");
      checkBundle(state, staged);
      await this.#checkKept(staged);
      await this.#kept.save(activate({ ...state, staged }));
      return staged;
    });
  }

  /**
   * Choose what to run, at every start of the app, and count the start of a pending bundle before; never rejects.
   *
   * What the trust store in force does not accept fails, and the next best is taken. verify: check every byte of what is
   * chosen, too. A pending bundle's first start checks every byte in any case, since storage of browsers does not say when bytes are on the
   * disk. Where the choice cannot be recorded, no pending bundle is started.
   * @param {{ verify?: boolean }} [options]
   * @returns {Promise<Running>}
   */
  async boot({ verify = false } = {}) {
    /** @param {State} state @param {boolean} record @param {Error | null} problem */
    const chosen = async (state, record, problem) => {
      const found = await choose(state, {
        ...{ record, problem, verify, boots: this.#kept.rules.boots, confirmWithinS: this.#kept.rules.confirmWithinS },
        ...{ storage: this.#kept.storage, shell: this.#kept.shell, now: this.#now() },
        save: (after) => this.#kept.save(after),
        ...(await this.#demands()),
      });
      return this.#running(found.bundle, found.problem);
    };
    let problem;
    try {
      return await this.#kept.changing((state) => chosen(state, true, null));
    } catch (error) {
      problem = /** @type {Error} */ (error);
    }
    try {
      return await chosen(await this.#kept.load(), false, problem);
    } catch (error) {
      return { address: this.#builtin, bundle: null, problem: /** @type {Error} */ (error) };
    }
  }

  /**
   * Say that what runs has started well; to be called after every start. Throws RejectedError where it comes too late, or
   * the trust store in force does not accept the bundle any more, which has failed then.
   * @param {{ folder?: string | null }} [options] that the page runs from
   */
  confirm(options = {}) {
    return this.#kept.changing(async (state) => {
      const { clock, confirmWithinS } = this.#kept.rules;
      const check = (/** @type {InstalledBundle} */ bundle) => this.#checkKept(bundle);
      const after = await confirmed(state, this.#kept.storage, { ...options, clock, confirmWithinS }, check);
      return this.#running(currentOf(after), null);
    });
  }

  /** Fail the pending bundle or, where none is, the confirmed one that runs; return what runs now. Throws UsageError. */
  rollback() {
    return this.#kept.changing(async (state) => {
      const bundle = state.pending?.bundle ?? currentOf(state);
      if (!bundle) throw new UsageError("the built-in bundle runs; there is nothing to roll back");
      const failed = { state: fail(state, bundle, "rolled back", BY_TRIAL), bundle: null, problem: null };
      const { storage } = this.#kept;
      const chosen = await pickConfirmed(failed, { storage, verify: false, ...(await this.#demands()) });
      await this.#kept.save(chosen.state);
      return this.#running(chosen.bundle, chosen.problem);
    });
  }

  /**
   * Remove what is not needed but `older` confirmed bundles.
   * @param {{ older?: number }} [options]
   */
  async prune({ older = 1 } = {}) {
    await this.#kept.changing((state) => this.#kept.save(keep(state, older))); // before anything is removed that it names
    await this.#kept.storage.locked("install", () => swept(this.#kept));
  }

  /**
   * Check every installed bundle, byte by byte; changes nothing.
   * @param {{ progress?: (bytes: number) => void }} [options]
   * @returns {Promise<{ bundle: InstalledBundle, problem: Error | null }[]>}
   */
  async verify({ progress } = {}) {
    const checked = [];
    for (const bundle of bundlesOf(await this.#kept.load())) {
      const problem = await checkContent(this.#kept.storage, bundle, progress).then(
        () => null,
        (error) => error,
      );
      checked.push({ bundle, problem });
    }
    return checked;
  }

  /** Return what the device has. Throws FormatError, UsageError, and what the storage throws. */
  async status() {
    const state = await this.#kept.load();
    const { floor, staged, pending, confirmed: good, failed, heads } = state;
    const last = heads?.last?.head;
    return {
      ...{ floor, current: currentOf(state), staged, confirmed: good, failed },
      pending: pending?.bundle ?? null,
      starts: pending?.starts ?? 0,
      head: last ? { epoch: last.epoch, number: last.number, issued: last.issued, expires: last.expires } : null,
      uncertain: this.#kept.heads ? await this.#kept.heads.uncertainty(state) : null,
    };
  }

  /**
   * Follow a server's updates of the trust store, then take its head. Throws RejectedError, TransferError, UsageError.
   * @param {string | URL} server
   * @param {{ signal?: AbortSignal }} [options]
   */
  async refresh(server, { signal } = {}) {
    const releases = new Releases(server, { ...this.#kept.told, signal });
    await followUpdates(this.#kept, releases);
    await takeHeadOf(this.#kept, releases);
  }

  /**
   * Accept a channel's head in place of the last one, with the recalls that it names, all in one write.
   *
   * head: null where none could be had, which is remembered. Throws RejectedError, remembered too, where it does not count.
   * @param {Bytes | null} head
   * @param {RecallOf} [recallOf]
   */
  takeHead(head, recallOf = async () => null) {
    return takeHead(this.#kept, head, recallOf);
  }

  /** What a bundle must be, whenever it is looked at: by the trust store in force. */
  async #demands() {
    return { trust: (await this.#kept.keys()).trust, expect: checkedExpect(this.#kept.told) };
  }

  /** @param {InstalledBundle} bundle */
  async #checkKept(bundle) {
    const { trust, expect } = await this.#demands();
    await readManifest(this.#kept.storage, bundle);
    await checkSeal(this.#kept.storage, bundle, trust, expect);
  }

  #now() {
    return Math.max(0, Math.trunc(this.#kept.rules.clock()));
  }

  /**
   * @param {InstalledBundle | null} bundle
   * @param {Error | null} problem
   * @returns {Promise<Running>}
   */
  async #running(bundle, problem) {
    return { address: bundle ? await this.#kept.shell.address(bundle.folder) : this.#builtin, bundle, problem };
  }
}
