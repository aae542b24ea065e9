/** One thing after the other, where callers do not wait for each other. */

/**
 * Return a function that starts each piece of work when the one before has ended, well or not.
 * @returns {<T>(work: () => Promise<T>) => Promise<T>}
 */
export function turns() {
  /** @type {Promise<unknown>} */
  let last = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {}); // whoever asked for it is told
    return result;
  };
}
