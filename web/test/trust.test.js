/** Whom the reader trusts, and with whose key it opens: every way to say it, and what it refuses. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyFileError, NotForUsError, SignatureError, loadTrust, open, unseal, verify } from "../src/index.js";
import { pem, taken, vector } from "./support/bundles.js";
import { digested } from "./support/vectors.js";

const { data, options, identity, content } = vector("valid-two-blocks");
const { expect } = options;
const key = (name, role = "production") => ({ role, public_key: pem(`${name}.pub.pem`) });
const store = (more = {}) => ({ type: "capseal-trust-v1", threshold: 1, keys: [key("signer")], ...more });
const [x5c] = JSON.parse(
  new TextDecoder().decode(vector("valid-x5c").data.subarray(12, 12 + new DataView(vector("valid-x5c").data.buffer).getUint32(8))),
).signatures[0].x5c.slice(-1);
const CERTIFICATE = {
  role: "production",
  certificate: `-----BEGIN CERTIFICATE-----\n${x5c}\n-----END CERTIFICATE-----\n`,
};

for (const [what, trust] of Object.entries({
  "a trust store's text": JSON.stringify(store(), null, 2),
  "a trust store's value": store({ version: 3, crls: [] }),
  PEM: pem("signer.pub.pem"),
  "PEM of several keys, with text around": `# ours\n${pem("signer2.pub.pem")}\r\n${pem("signer.pub.pem")}`,
  "what loadTrust() returned": await loadTrust(store()),
  "a store with certificates besides": store({ certificates: [CERTIFICATE] }),
})) {
  test(`trust may be ${what}`, async () => {
    assert.equal((await verify(data, { trust, expect })).signers.length, 1);
  });
}

test("a public key given as identity is told as public", async () => {
  const { publicKey } = await crypto.subtle.generateKey(
    { name: "RSA-OAEP", hash: "SHA-256", modulusLength: 3072, publicExponent: new Uint8Array([1, 0, 1]) },
    false,
    ["encrypt", "decrypt"],
  );
  for (const who of [pem("signer.pub.pem"), publicKey]) {
    await assert.rejects(taken(unseal(data, { ...options, identity: who })), {
      name: "KeyFileError",
      message: "identity: a public key; a private key is expected here",
    });
  }
});

for (const [what, trust] of Object.entries({
  "a private key": pem("signer.pem"),
  "a certificate": CERTIFICATE.certificate,
  "a key that is commented out": pem("signer.pub.pem").replace(/^/gm, "# "),
  "a key behind other text": `key: ${pem("signer.pub.pem")}`,
  "no PEM": "hello",
  "an empty text": " ",
  "damaged PEM": pem("signer.pub.pem").replace("MII", "MI"),
  "PEM that ends as something else": pem("signer.pub.pem").replace("END PUBLIC", "END RSA PUBLIC"),
  "a key of 2048 bits": vector("key-2048-bits").options.trust,
  "a store of another type": store({ type: "capseal-trust-v2" }),
  "a store with a member that it has not": store({ keyz: [] }),
  "a store with a member twice": JSON.stringify(store()).replace("{", '{"threshold":2,'),
  "a store without keys": store({ keys: [] }),
  "a threshold of 0": store({ threshold: 0 }),
  "a threshold above its production keys": store({
    threshold: 2,
    keys: [key("signer"), key("signer2", "development")],
  }),
  "the same key twice": store({ keys: [key("signer"), key("signer", "development")] }),
  "a role that is none": store({ keys: [key("signer", "admin")] }),
  "a certificate that cannot be parsed": store({
    certificates: [{ role: "production", certificate: CERTIFICATE.certificate.replace(/MII.{40}/, "MII") }],
  }),
  "the same certificate twice": store({ certificates: [CERTIFICATE, { ...CERTIFICATE, role: "development" }] }),
  "a revocation list that is none": store({ crls: [CERTIFICATE.certificate] }),
  "a certificate that is none": store({ certificates: [{ role: "production", certificate: pem("signer.pub.pem") }] }),
  "an array": [store()],
})) {
  test(`trust may not be ${what}`, () => assert.rejects(verify(data, { trust, expect }), KeyFileError));
}

test("where only a certificate would vouch it is refused, and the message says so", async () => {
  const bundle = vector("valid-x5c");
  const trust = store({ keys: [key("other")], certificates: [CERTIFICATE] });
  const refusal = { name: "SignatureError", message: /certificates only, which this reader does not judge/ };
  await assert.rejects(verify(bundle.data, { trust }), refusal);
  await assert.rejects(verify(bundle.data, { trust: store({ keys: [], certificates: [CERTIFICATE] }) }), refusal);
  await assert.rejects(verify(bundle.data, { trust: store({ keys: [key("other")] }) }), SignatureError);
  assert.equal((await verify(bundle.data, { trust: store({ certificates: [CERTIFICATE] }) })).signers.length, 1);
});

/** @param {string} text */
const der = (text) => Uint8Array.from(atob(text.replace(/-----[^-]+-----|\s/g, "")), (c) => c.charCodeAt(0));
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };
const privateKey = await crypto.subtle.importKey("pkcs8", der(identity), OAEP, false, ["decrypt"]);
const publicKey = await crypto.subtle.importKey("spki", der(pem("recipient.pub.pem")), OAEP, true, ["encrypt"]);

for (const [what, who] of Object.entries({
  "a CryptoKey": privateKey,
  "a pair of CryptoKeys": { privateKey, publicKey },
})) {
  test(`identity may be ${what} that nobody can take out`, async () => {
    assert.equal(await digested(unseal(data, { ...options, identity: who })), content);
    const other = vector("recipient-other");
    await assert.rejects(
      taken(unseal(vector("wrapped-key-zero").data, { ...other.options, identity: who })),
      NotForUsError,
    );
  });
}

test("a CryptoKey finds its own among several recipients", async () => {
  const two = vector("valid-two-recipients");
  const other = await crypto.subtle.importKey("pkcs8", der(pem("other.pem")), OAEP, false, ["decrypt"]);
  for (const who of [privateKey, other])
    assert.equal(await digested(unseal(two.data, { ...two.options, identity: who })), two.content);
});

test("certificates for one key lend no signature to another, whose name it bears", async () => {
  const bundle = vector("valid-x5c");
  const trust = store({ keys: [key("signer"), key("signer2")] });
  const { signers } = await verify(bundle.data, { trust });
  const { keys } = await loadTrust(trust);
  const other = [...keys.keys()].find((fingerprint) => fingerprint !== signers[0].fingerprint);
  const text = Array.from(bundle.data, (byte) => String.fromCharCode(byte)).join("");
  const renamed = text.replace(`"keyid":"${signers[0].fingerprint}"`, `"keyid":"${other}"`);
  assert(renamed !== text);
  const altered = Uint8Array.from(renamed, (character) => character.charCodeAt(0));
  await assert.rejects(verify(altered, { trust }), SignatureError);
});

test("a session key that was not committed to is refused as such, before any tag is looked at", async () => {
  for (const name of ["commitment-other-key", "commitment-other-app"]) {
    const bundle = vector(name);
    const opening = { ...bundle.options, identity: bundle.identity };
    await assert.rejects(taken(unseal(bundle.data, opening)), { name: "TamperedError", segment: null });
    await assert.rejects(open(bundle.data, opening), { name: "TamperedError", segment: null });
  }
});

const signing = await crypto.subtle.importKey("pkcs8", der(identity), { name: "RSA-PSS", hash: "SHA-256" }, false, [
  "sign",
]);
for (const [what, who] of Object.entries({
  "a public key": pem("recipient.pub.pem"),
  "no PEM": "hello",
  "damaged PEM": identity.replace(/\n.{20}/, "\n"),
  "an encrypted key": identity.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
  "a key that signs": signing,
  "a public CryptoKey": publicKey,
})) {
  test(`identity may not be ${what}`, () =>
    assert.rejects(taken(unseal(data, { ...options, identity: who })), KeyFileError));
}
