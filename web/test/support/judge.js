/**
 * The reader as a process for tests in other languages: a line of JSON in, a line of JSON out.
 *
 * In: `{ kind, ... }` with bytes in base64. Out: `{ ok }`, or `{ error: { name, message, segment, offset, ... } }`.
 */

import { createInterface } from "node:readline";
import { CapsealError, unseal, unsealCompanion, verify } from "../../src/index.js";
import { checkHead } from "../../src/head.js";
import { rebuildWhole } from "../../src/recipe.js";
import { acceptUpdate, textOf } from "../../src/updates.js";
import { parseStatement } from "../../src/statement.js";
import { loadTrust } from "../../src/trust.js";
import { Identity } from "../../src/keys.js";
import { entries } from "../../src/zip.js";
import { zstdBytes } from "./places.js";
import { BASE, inTurn } from "./recipes.js";
import { digested, inPieces } from "./vectors.js";

const bytes = (/** @type {string} */ text) => new Uint8Array(Buffer.from(text, "base64"));

/** @type {Record<string, (asked: any) => Promise<unknown>>} */
const KINDS = {
  /** Verify and, with an identity, unseal a bundle; in pieces of `pieces` bytes, where that is given. */
  async bundle({ bundle, seal, trust, expect, identity, pieces }) {
    const data = bytes(bundle);
    const source = () => (pieces ? inPieces(data, pieces) : new Blob([data]));
    const options = { trust, expect, ...(seal !== undefined && { seal: bytes(seal) }) };
    const { statement } = await verify(source(), options);
    const content = identity && (await digested(unseal(source(), { ...options, identity })));
    return { app: statement.app, sequence: statement.sequence, content };
  },
  /** Unseal a companion of a bundle. */
  async companion({ bundle, trust, identity, name, index, stored }) {
    const data = bytes(bundle);
    const verified = await verify(data, { trust });
    const payloadHeader = data.slice(-verified.statement.payload.size).subarray(0, 40);
    const options = { verified, name, identity, payloadHeader, index: bytes(index) };
    return { content: await digested(unsealCompanion(bytes(stored), options)) };
  },
  statement: async ({ statement }) => parseStatement(bytes(statement)),
  trust: async ({ trust }) => {
    const { keys, threshold } = await loadTrust(trust);
    return { threshold, keys: [...keys].map(([fingerprint, { role }]) => ({ fingerprint, role })) };
  },
  head: async ({ head, trust, ...options }) =>
    (await checkHead(bytes(head), { trust: await loadTrust(trust), ...options })).head,
  update: async ({ update, trust }) => textOf(await acceptUpdate(await loadTrust(trust), bytes(update))),
  recipe: async ({ recipe, mostBytes }) =>
    digested([await rebuildWhole(inTurn(bytes(recipe), 1000), { base: BASE, zstd: zstdBytes(), mostBytes })]),
  /** Give the entries of an archive, as a device that unpacks it as it arrives finds them. */
  async zip({ zip, pieceBytes = 5000 }) {
    const found = [];
    for await (const { name, pieces, crc32 } of entries(inPieces(bytes(zip), pieceBytes))) {
      let size = 0;
      for await (const piece of pieces) size += piece.length;
      found.push([name, size, crc32()]);
    }
    return found;
  },
  identity: async ({ identity }) => (await Identity.of(identity)).kid,
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await KINDS[asked.kind](asked) };
  } catch (error) {
    const { name, message, stack, segment, offset, expected, actual, floor, sequence } = error;
    const ours = error instanceof CapsealError;
    answer = {
      error: { name, message: ours ? message : stack, segment, offset, expected, actual, floor, sequence, ours },
    };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
