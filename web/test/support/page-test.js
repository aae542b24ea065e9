/** As much of node:test and node:assert/strict as the tests use, so that the same files run inside a page. */

/** @type {[string, () => unknown][]} */
const tests = [];

/**
 * @param {string} name
 * @param {() => unknown} run
 */
export function test(name, run) {
  tests.push([name, run]);
}

/** Run every test that was declared; return how many passed, and what failed. */
export async function runTests() {
  const failed = [];
  for (const [name, run] of tests) {
    try {
      await run();
    } catch (error) {
      failed.push(`${name}: ${error.stack ?? error}`);
    }
  }
  return { passed: tests.length - failed.length, failed };
}

/** @param {unknown} condition */
export default function assert(condition, message = "not true") {
  if (!condition) throw new Error(message);
}

assert.fail = (/** @type {string} */ message) => assert(false, message);
assert.equal = (/** @type {unknown} */ found, /** @type {unknown} */ expected) =>
  assert(Object.is(found, expected), `${found}, not ${expected}`);
assert.deepEqual = (/** @type {unknown} */ found, /** @type {unknown} */ expected) =>
  assert.equal(JSON.stringify(found), JSON.stringify(expected));

assert.throws = (/** @type {() => unknown} */ run, /** @type {any} */ expected) => {
  try {
    run();
  } catch (error) {
    return check(error, expected);
  }
  assert.fail("nothing was thrown");
};

assert.rejects = async (/** @type {any} */ promised, /** @type {any} */ expected) => {
  try {
    await (typeof promised === "function" ? promised() : promised);
  } catch (error) {
    return check(error, expected);
  }
  assert.fail("not rejected");
};

/**
 * @param {any} error
 * @param {any} expected a class, a predicate, or members
 */
function check(error, expected) {
  if (typeof expected !== "function") {
    for (const [name, value] of Object.entries(expected)) {
      const fits = value instanceof RegExp ? value.test(error[name]) : Object.is(error[name], value);
      assert(fits, `${name} is ${error[name]}, not ${value}: ${error.stack}`);
    }
  } else if (expected === Error || expected.prototype instanceof Error) {
    assert(error instanceof expected, `${error.stack} is no ${expected.name}`);
  } else {
    assert(expected(error), `unexpected: ${error.stack}`);
  }
}
