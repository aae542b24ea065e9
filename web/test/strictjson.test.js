/** What the strict parser takes and refuses where no vector can tell, since another check would refuse it as well. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatError } from "../src/index.js";
import { parse } from "../src/strictjson.js";

const parsed = (text) => parse(new TextEncoder().encode(text), "text");
const nested = (levels) => "[".repeat(levels) + "]".repeat(levels);

for (const [what, text] of Object.entries({
  "minus zero": '{"a":-0}',
  "a fraction": "1.0",
  "an exponent": "1e2",
  "a leading zero": "01",
  "a number beyond 2^53-1": "-9007199254740992",
  NaN: "NaN",
  "a lone surrogate": '"\\ud800"',
  "a lone surrogate before a letter": '["\\udc00x"]',
  "a lone surrogate in a name": '{"\\ud800":1}',
  "a member twice, spelled differently": '{"a":1,"\\u0061":2}',
  "__proto__ twice": '{"__proto__":1,"__proto__":2}',
  "33 levels": nested(33),
  "a control character": '"\t"',
  "an escape that there is not": '"\\x41"',
  "a comma too many": "[1,]",
  "two values": "1 2",
  nothing: " ",
  "a byte order mark": "\ufeff1",
})) {
  test(`${what} is refused`, () => assert.throws(() => parsed(text), FormatError));
}

test("what is allowed is read as it is", () => {
  assert.equal(parsed(' "\\ud83d\\ude00\\u2028" '), "😀\u2028");
  assert.equal(parsed("9007199254740991"), 2 ** 53 - 1);
  assert.equal(parsed(nested(32)).length, 1);
  const value = parsed('{"__proto__":{"x":1},"constructor":null}');
  assert.deepEqual(Object.keys(value), ["__proto__", "constructor"]);
  assert.equal(value.x, undefined);
});
