/** Heads, recalls and rollouts: every vector is judged as the format demands. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toBase64, utf8 } from "../src/bytes.js";
import { parseEnvelope } from "../src/dsse.js";
import { acceptHead, checkFresh, checkHead, checkRecall, parseHead } from "../src/head.js";
import { checkFollows } from "../src/headmemory.js";
import { loadTrust } from "../src/index.js";
import { loadPublicKeys } from "../src/keys.js";
import { inShare } from "../src/rollout.js";
import { pem } from "./support/bundles.js";
import { headTexts } from "./support/places.js";
import { takenApart } from "./support/vectors.js";

const { rollout, ...heads } = Object.fromEntries(headTexts());

/** @param {string} names */
const keysNamed = async (names) =>
  (await Promise.all(names.split(" ").map((name) => loadPublicKeys(pem(`${name}.pub.pem`), name)))).flat();

/**
 * Do with a vector what a device does.
 * @param {Record<string, string>} header
 * @param {Uint8Array} data
 */
async function judge(header, data) {
  const { app, channel, role } = header;
  const threshold = Number(header["threshold"]);
  if (header["kind"] === "recall") {
    const keys = header["keys"].split(" ").map((name) => ({ role: "production", public_key: pem(`${name}.pub.pem`) }));
    const trust = await loadTrust({ type: "capseal-trust-v1", threshold, keys });
    return checkRecall(data, { trust, app, channel, role });
  }
  const [version, digest] = header["store"].split(" ");
  const policy = {
    maxAge: Number(header["max-age"]),
    until: header["until"],
    production: { threshold, keys: await keysNamed(header["keys"]) },
    development: { threshold: 1, keys: await keysNamed(header["development-keys"]) },
  };
  const here = { version: Number(version), digest, epoch: Number(header["epoch"]), heads: policy };
  const accepted = await acceptHead(parseEnvelope(data), here, { app, channel, role });
  if (header["known"]) {
    const [number, known] = header["known"].split(" ");
    checkFollows({ ...accepted, head: { ...accepted.head, number: Number(number) }, digest: known }, accepted);
  }
  const { issued } = accepted.head;
  checkFresh(accepted.head, issued > header["now"] ? issued : header["now"]);
  return accepted;
}

test("there are vectors of heads", () => assert(Object.keys(heads).length > 90, `${Object.keys(heads).length}`));

for (const [name, text] of Object.entries(heads)) {
  const { header, data } = takenApart(text);
  test(`head vector ${name}`, async () => {
    if (header["expect"] !== "ok") return assert.rejects(judge(header, data), { name: header["expect"] });
    await judge(header, data);
  });
}

test("every share is as the vectors say", async () => {
  const lines = rollout.trim().split("\n").slice(1);
  assert(lines.length > 100, `${lines.length} lines`);
  for (const line of lines) {
    const [salt, secret, share, expected] = line.split(" ");
    const inside = await inShare({ salt: toBase64(fromHex(salt)), share: Number(share), secret: fromHex(secret) });
    assert.equal(`${line}: ${inside}`, `${line}: ${expected === "in"}`);
  }
});

for (const [what, wrong] of Object.entries({
  "a salt of 15 bytes": { salt: toBase64(new Uint8Array(15)) },
  "a secret of 31 bytes": { secret: new Uint8Array(31) },
  "a share of 1001": { share: 1001 },
  "a share of a half": { share: 0.5 },
  "a share below 0": { share: -1 },
})) {
  test(`nobody is in a share by ${what}`, () =>
    assert.rejects(
      inShare({ salt: toBase64(new Uint8Array(16)), secret: new Uint8Array(32), share: 1, ...wrong }),
      { name: "UsageError" },
    ));
}

test("an object among the withdrawn sequences is refused as anything else there", () => {
  const document = JSON.parse(new TextDecoder().decode(parseEnvelope(takenApart(heads["valid-head"]).data).payload));
  for (const item of [{}, [], null, "1", 0, true]) {
    assert.throws(() => parseHead(utf8(JSON.stringify({ ...document, withdrawn: [item] }))), { name: "FormatError" });
  }
});

test("heads and recalls are judged under the text of a store as under the loaded one", async () => {
  const [head, recall] = [takenApart(heads["valid-head"]), takenApart(heads["valid-recall"])];
  for (const trust of [pem("signer.pub.pem"), await loadTrust(pem("signer.pub.pem"))]) {
    const { app, channel, role } = head.header;
    await assert.rejects(checkHead(head.data, { trust, app, channel, role }), { name: "NotForUsError" });
    await checkRecall(recall.data, { trust, app, channel, role });
  }
  await assert.rejects(checkHead(head.data, { ...head.header, trust: "{}" }), { name: "KeyFileError" });
});

test("a store without head keys takes no head", async () => {
  const { header, data } = takenApart(heads["valid-head"]);
  const { app, channel, role } = header;
  await assert.rejects(checkHead(data, { trust: await loadTrust(pem("signer.pub.pem")), app, channel, role }), {
    name: "NotForUsError",
  });
});
