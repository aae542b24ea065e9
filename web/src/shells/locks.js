/** Locks that end with the page that holds them: those of the platform (Web Locks). */

import { UsageError } from "../errors.js";

const STATE_WAIT_MS = 10_000;
const INSTALL_WAIT_MS = 10_000;

/**
 * Return a function that does work while nobody else, in no page, does any under the same name.
 * @param {string} prefix
 * @returns {<T>(name: "state" | "install", work: () => Promise<T>) => Promise<T>}
 */
export function webLocks(prefix) {
  return async (name, work) => {
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(), name === "state" ? STATE_WAIT_MS : INSTALL_WAIT_MS);
    let begun = false;
    try {
      return await navigator.locks.request(`${prefix}:${name}`, { signal: waiting.signal }, () => {
        begun = true;
        clearTimeout(timer);
        return work();
      });
    } catch (error) {
      if (begun || !waiting.signal.aborted) throw error;
      throw new UsageError(`another page is busy with the ${name} of ${prefix}; try again`);
    } finally {
      clearTimeout(timer);
    }
  };
}
