/** What a reader demands beyond a trusted signature. */

import { shown } from "./bytes.js";
import { NotForUsError, RollbackError, UsageError } from "./errors.js";
import { Members, checkRole } from "./members.js";
import { checkVersion, misfit } from "./requires.js";

/** @import { Statement } from "./statement.js" */
/** @import { Role } from "./trust.js" */

/**
 * What is absent demands nothing.
 * @typedef {object} Expect
 * @property {string} [app] the statement's must be equal
 * @property {string} [channel] the statement's must be equal
 * @property {number} [floor] the sequence must be above it, or above the lower number of its own downgrade permit
 * @property {Role} [role] production, which is the default, refuses what was signed or meant for development only
 * @property {string} [native] the native app's version, 1 to 4 integers with dots between
 * @property {string} [platform] what the native app runs on
 */

/**
 * Return expectations that are what they should be: a name that is misspelled would demand nothing. Throws UsageError.
 * @param {Expect} expect
 * @returns {Expect & { role: Role }}
 */
export function checkedExpect(expect) {
  const given = Object.fromEntries(Object.entries(expect).filter(([, value]) => value !== undefined && value !== null));
  try {
    const members = new Members(given, "expect", [], ["app", "channel", "floor", "role", "native", "platform"]);
    for (const name of ["app", "channel", "platform"]) if (members.has(name)) members.text(name, (text) => text);
    if (members.has("floor")) members.integer("floor", 0);
    if (members.has("role")) members.text("role", checkRole);
    if (members.has("native")) members.text("native", checkVersion);
  } catch (error) {
    throw new UsageError(/** @type {Error} */ (error).message);
  }
  return { role: "production", ...given };
}

/**
 * Throw NotForUsError or RollbackError where a statement is not what is expected.
 * @param {Expect & { role: Role }} expect
 * @param {Statement} statement
 */
export function checkExpected(expect, statement) {
  for (const name of /** @type {const} */ (["app", "channel"])) {
    const wanted = expect[name];
    if (wanted !== undefined && wanted !== statement[name]) {
      throw new NotForUsError(`bundle is for ${name} ${shown(statement[name])}, expected ${shown(wanted)}`);
    }
  }
  if (expect.role === "production" && statement.role !== "production") {
    throw new NotForUsError(`bundle is meant for ${statement.role}, production is demanded`);
  }
  if (expect.floor !== undefined) {
    checkFloor(statement.sequence, expect.floor, statement.policy?.allow_downgrade_to);
  }
  const reason = statement.requires && misfit(statement.requires, expect.native, expect.platform);
  if (reason) throw new NotForUsError(reason);
}

/**
 * Throw RollbackError unless a sequence is above the floor, or above the lower number that its permit names.
 * @param {number} sequence
 * @param {number} floor
 * @param {number | undefined} permit what the signed statement allows a downgrade to
 */
function checkFloor(sequence, floor, permit) {
  const lowest = Math.min(floor, permit ?? floor);
  if (sequence <= lowest) {
    throw new RollbackError(`sequence ${sequence} is not above ${lowest}, which was trusted before`, lowest, sequence);
  }
}
