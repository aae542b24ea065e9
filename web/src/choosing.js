/** What boot() runs: the pending bundle where it has starts left, else what was confirmed, else the built-in one. */

import { RejectedError, TamperedError } from "./errors.js";
import { SEAL, checkContent, readManifest } from "./manifest.js";
import { acceptSeal } from "./reading.js";
import { openSource } from "./source.js";
import { BY_COPY, BY_TRIAL, checkNotDropped, fail, start } from "./state.js";

/** @import { Expect } from "./expect.js" */
/** @import { InstalledBundle, State, Trial } from "./state.js" */
/** @import { Shell, Storage } from "./storage.js" */
/** @import { Role, TrustStore } from "./trust.js" */

/**
 * @typedef {object} Choosing
 * @property {Storage} storage
 * @property {Shell} shell
 * @property {TrustStore} trust
 * @property {Expect & { role: Role }} expect without a floor
 * @property {boolean} verify check every byte of what is chosen
 * @property {boolean} record otherwise nothing is saved, and no pending bundle started
 * @property {number} boots
 * @property {number} confirmWithinS
 * @property {number} now milliseconds
 * @property {Error | null} problem so far
 * @property {(state: State) => Promise<void>} save
 */

/** @typedef {{ state: State, bundle: InstalledBundle | null, problem: Error | null }} Choice */

/**
 * Return what to run, once that it is run is recorded.
 * @param {State} before
 * @param {Choosing} options
 * @returns {Promise<Choice>}
 */
export async function choose(before, options) {
  /** @type {Choice} */
  let choice = { state: before, bundle: null, problem: options.problem };
  if (options.record && before.pending) choice = await startPending(before, before.pending, options);
  if (!choice.bundle) choice = await pickConfirmed(choice, options);
  if (!options.record || choice.state === before) return choice;
  try {
    await options.save(choice.state);
    return choice;
  } catch (error) {
    // A start that is not counted could be repeated for ever.
    return pickConfirmed({ ...choice, bundle: null, problem: /** @type {Error} */ (error) }, options);
  }
}

/**
 * @param {State} state
 * @param {Trial} pending
 * @param {Choosing} options
 * @returns {Promise<Choice>}
 */
async function startPending(state, pending, options) {
  const { bundle, starts, started_ms } = pending;
  const { boots, confirmWithinS, now, shell } = options;
  const elapsed = now - started_ms;
  if (starts > 0 && elapsed >= 0 && elapsed <= 1000 * confirmWithinS && (await shell.alive(bundle.folder))) {
    // Another page is just trying it: its trial is neither over nor a second one.
    return { state, bundle: null, problem: new RejectedError(`bundle ${bundle.folder} is being tried by another page`) };
  }
  try {
    checkNotDropped(state, bundle);
  } catch (error) {
    const problem = /** @type {RejectedError} */ (error);
    return { state: fail(state, bundle, problem.message, BY_COPY), bundle: null, problem };
  }
  if (starts >= boots) {
    const problem = new RejectedError(`not confirmed in ${starts} of ${boots} allowed starts`);
    return { state: fail(state, bundle, problem.message, BY_TRIAL), bundle: null, problem };
  }
  const problem = await problemOf(bundle, { ...options, verify: options.verify || starts === 0 });
  if (problem instanceof RejectedError) {
    return { state: fail(state, bundle, problem.message, BY_COPY), bundle: null, problem };
  }
  if (problem) return { state, bundle: null, problem };
  return { state: start({ ...state, pending }, now), bundle, problem: null };
}

/** @typedef {Pick<Choosing, "storage" | "trust" | "expect" | "verify">} Checking */

/**
 * Return the latest confirmed bundle that passes, and the state in which those before it have failed.
 * @param {Choice} choice
 * @param {Checking} options
 * @returns {Promise<Choice>}
 */
export async function pickConfirmed({ state: before, problem: first }, options) {
  let [state, problem] = [before, first];
  for (const bundle of before.confirmed) {
    const found = await problemOf(bundle, options);
    if (!found) return { state, bundle, problem };
    problem = found;
    // What could not be checked stays: it is not its fault.
    if (found instanceof RejectedError) state = fail(state, bundle, found.message, BY_COPY);
  }
  return { state, bundle: null, problem };
}

/**
 * Return why a copy is not to be run, or null: a RejectedError where it is damaged, or not trusted any more.
 * @param {InstalledBundle} bundle
 * @param {Checking} options
 * @returns {Promise<Error | null>}
 */
async function problemOf(bundle, { storage, trust, expect, verify }) {
  try {
    if (verify) await checkContent(storage, bundle);
    else await readManifest(storage, bundle);
    await checkSeal(storage, bundle, trust, expect);
    return null;
  } catch (error) {
    return /** @type {Error} */ (error);
  }
}

/**
 * Throw RejectedError where the seal that a bundle was installed by is not trusted any more, and what the storage throws.
 * @param {Storage} storage
 * @param {{ folder: string, digest: string }} bundle
 * @param {TrustStore} trust
 * @param {Expect & { role: Role }} expect
 */
export async function checkSeal(storage, bundle, trust, expect) {
  const seal = await storage.read(bundle.folder, SEAL);
  if (!seal) throw new TamperedError(`${bundle.folder}: its seal is missing`);
  const source = openSource(new Uint8Array(await seal.arrayBuffer()), { seeking: false, signal: undefined });
  const { verified } = await acceptSeal(source, trust, expect);
  const digest = verified.statement.payload.digest["fsverity-sha256"];
  if (digest !== bundle.digest) {
    throw new TamperedError(`seal is of payload ${digest.slice(0, 16)}, expected ${bundle.digest.slice(0, 16)}`);
  }
}
