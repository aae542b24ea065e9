/** Recipes: every vector is judged as the format demands, in whatever pieces it comes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { concat } from "../src/bytes.js";
import { FormatError, NotForUsError, SourceChangedError, TransferError, UsageError } from "../src/index.js";
import { rebuild, rebuildWhole } from "../src/recipe.js";
import { Zstd } from "../src/zstd.js";
import { recipeTexts, zstdBytes } from "./support/places.js";
import { BASE, NOTHING, inTurn, joinedOf } from "./support/recipes.js";
import { digested, takenApart } from "./support/vectors.js";

const vectors = recipeTexts();
const zstd = zstdBytes();
const taken = (/** @type {string} */ name) => takenApart(/** @type {string} */ (vectors.get(name)));

/**
 * @param {{ header: Record<string, string>, data: Uint8Array }} vector
 * @param {number} size of the pieces
 */
async function rebuilt({ header, data }, size) {
  const base = header["base"] === "nothing" ? NOTHING : BASE;
  const sealed = data[8] !== 0 && header["base"] === "none";
  if (sealed) return digested(rebuild(inTurn(data, size), { base, zstd }));
  return digested([await rebuildWhole(inTurn(data, size), { base, zstd, mostBytes: 1024 * 1024 })]);
}

test("there are vectors of recipes", () => assert(vectors.size > 60, `${vectors.size} vectors`));

for (const [name, text] of vectors) {
  const vector = takenApart(text);
  const { expect } = vector.header;
  test(`recipe vector ${name}`, async () => {
    for (const size of [1, 50, 100_000]) {
      if (expect !== "ok") await assert.rejects(rebuilt(vector, size), { name: expect });
      else assert.equal(await rebuilt(vector, size), vector.header["new"]);
    }
  });
}

test("what takes more memory than there is is declined before the base is asked for anything", async () => {
  const read = () => assert.fail("the base was read");
  const pieces = inTurn(taken("valid-range").data, 100);
  const options = { base: { ...BASE, read }, zstd, mostBytes: 1e6, memoryBytes: 64 * 1024 * 1024 };
  await assert.rejects(rebuildWhole(pieces, options), NotForUsError);
});

test("more content than there is room for is declined", () =>
  assert.rejects(rebuildWhole(inTurn(taken("valid-range").data, 100), { base: BASE, zstd, mostBytes: 5 }), NotForUsError));

test("a recipe of plain content is not streamed, since only its own digest checks it, nor one of a payload held", async () => {
  await assert.rejects(joinedOf(rebuild(inTurn(taken("valid-copy").data, 100), { base: BASE, zstd })), UsageError);
  const sealed = inTurn(taken("valid-payload-header").data, 100);
  await assert.rejects(rebuildWhole(sealed, { base: BASE, zstd, mostBytes: 1e6 }), UsageError);
});

test("a base that gives other bytes than asked for has changed", () =>
  assert.rejects(
    rebuildWhole(inTurn(taken("valid-copy").data, 100), {
      base: { ...BASE, read: async () => new Uint8Array(1) },
      zstd,
      mostBytes: 1e6,
    }),
    SourceChangedError,
  ));

test("the order in which a base names its files does not matter", async () => {
  const base = { ...BASE, entries: BASE.entries.toReversed?.() ?? [...BASE.entries].reverse() };
  const options = { base, zstd, mostBytes: 1e6 };
  const { data, header } = taken("valid-copies");
  assert.equal(await digested([await rebuildWhole(inTurn(data, 100), options)]), header["new"]);
});

test("another decoder than ours is not run", () => assert.rejects(Zstd.open(new Uint8Array(8)), TransferError));

test("a decoder that is fed nonsense refuses, and still works", async () => {
  const decoder = await Zstd.open(zstd);
  // A raw block of 4 bytes, of content size 4.
  const good = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 4, 0x21, 0, 0, 1, 2, 3, 4);
  const window31 = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x80, 21 << 3, 4, 0, 0, 0, 0x21, 0, 0, 1, 2, 3, 4);
  const reference = Uint8Array.of(0x37, 0xa4, 0x30, 0xec, 0, 0, 0, 0, 0); // begins as a dictionary of zstd's own kind
  for (let turn = 0; turn < 3; turn++) {
    for (const frame of [good, window31]) {
      for (const raw of [new Uint8Array(), reference]) {
        assert.deepEqual([...decoder.unpacked(frame, 4, raw, "here")], [1, 2, 3, 4]);
      }
    }
    const broken = good.slice();
    broken.set([0x25, 0, 0], 6); // a compressed block of nonsense
    assert.throws(() => decoder.unpacked(broken, 4, new Uint8Array(), "here"), FormatError);
    const empty = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 0x01, 0, 0);
    assert.throws(() => decoder.unpacked(concat([good, empty]), 4, new Uint8Array(), "here"), FormatError);
    assert.throws(() => decoder.unpacked(good, 5, new Uint8Array(), "here"), FormatError);
  }
});
