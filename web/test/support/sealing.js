/** Sealed bundles for tests of the device store: made here, so that content, sequence and defects are a test's own. */

import { concat, fromHex, toBase64, toHex, utf8 } from "../../src/bytes.js";
import { crc32 } from "../../src/crc.js";
import { PublicKey, loadPublicKeys, pemBlocks } from "../../src/keys.js";
import { pem } from "./bundles.js";

const { subtle } = globalThis.crypto;
const SEGMENT_BYTES = 512 * 1024;
const BLOCK_BYTES = 4096;
const HEADER_BYTES = 40;
const TAG_BYTES = 16;

export const APP = "com.example.game";
export const TRUST = pem("signer.pub.pem");
export const IDENTITY = pem("recipient.pem");

/**
 * Return a zip of stored files.
 * @param {Record<string, string | Uint8Array>} files
 */
export function zipOf(files) {
  const locals = [];
  const central = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const [raw, data] = [utf8(name), typeof content === "string" ? utf8(content) : content];
    const common = new DataView(new ArrayBuffer(26));
    const put = (/** @type {number[]} */ [at, width, value]) =>
      width === 2 ? common.setUint16(at, value, true) : common.setUint32(at, value, true);
    for (const one of [[0, 2, 20], [2, 2, 0x800], [8, 2, 0x5a21], [10, 4, crc32(data)], [14, 4, data.length], [18, 4, data.length], [22, 2, raw.length]]) put(one);
    const local = concat([fromHex("504b0304"), new Uint8Array(common.buffer), raw, data]);
    const tail = new DataView(new ArrayBuffer(14));
    tail.setUint32(10, offset, true);
    central.push(fromHex("504b0102"), fromHex("1403"), new Uint8Array(common.buffer), new Uint8Array(tail.buffer), raw);
    locals.push(local);
    offset += local.length;
  }
  const directory = concat(central);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  const count = Object.keys(files).length;
  end.setUint16(8, count, true);
  end.setUint16(10, count, true);
  end.setUint32(12, directory.length, true);
  end.setUint32(16, offset, true);
  return concat([...locals, directory, new Uint8Array(end.buffer)]);
}

/**
 * @typedef {object} Told
 * @property {number} sequence
 * @property {string} [created]
 * @property {string} [mediaType]
 * @property {string} [app]
 * @property {string} [signer]
 * @property {number} [permit]
 */

/**
 * Seal content; return the detached seal and the payload.
 * @param {Uint8Array} content
 * @param {Told} told
 */
export async function seal(content, told) {
  const { sequence, created = moment(sequence), mediaType = "application/zip", app = APP, permit } = told;
  const raw = crypto.getRandomValues(new Uint8Array(32));
  const session = await subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
  const [salt, prefix] = [crypto.getRandomValues(new Uint8Array(32)), crypto.getRandomValues(new Uint8Array(7))];
  const hkdf = async (/** @type {string} */ info) =>
    new Uint8Array(await subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info: utf8(info) }, session, 256));
  const payload = await encrypted(content, await hkdf(`capseal/v1 ${app}`), concat([Uint8Array.of(HEADER_BYTES), salt, prefix]));
  const { entries, digest } = await tree(payload);
  const [recipient] = await loadPublicKeys(pem("recipient.pub.pem"), "recipient");
  const wrapping = await importPem("recipient.pub.pem", "spki", { name: "RSA-OAEP", hash: "SHA-256" }, "encrypt");
  const statement = utf8(
    JSON.stringify({
      ...{ app, version: `1.0.${sequence}`, sequence, channel: "production", role: "production", created },
      content: { name: "dist.zip", mediaType, size: content.length },
      payload: { size: payload.length, digest: { "fsverity-sha256": toHex(digest) } },
      encryption: {
        scheme: "tink-aes256-gcm-hkdf-512kb",
        commitment: toBase64(await hkdf(`capseal/v1 commitment ${app}`)),
        recipients: [
          {
            kid: /** @type {PublicKey} */ (recipient).fingerprint,
            alg: "RSA-OAEP-256",
            encrypted_key: toBase64(new Uint8Array(await subtle.encrypt({ name: "RSA-OAEP" }, wrapping, raw))),
          },
        ],
      },
      ...(permit !== undefined && { policy: { allow_downgrade_to: permit } }),
    }),
  );
  return { seal: framed(await signed(statement, told.signer ?? "signer"), entries), payload, digest: toHex(digest) };
}

/**
 * Return what a server answers that has releases, numbered from 1, and what a page's store is told.
 * @param {Record<string, string | Uint8Array>[]} releases the files of each, beside its `index.html`
 */
export async function answersOf(releases) {
  const told = JSON.stringify({ trust: TRUST, identity: IDENTITY, app: APP });
  /** @type {Record<string, import("./serving.js").Answer>} */
  const answers = { "/told.json": (_, response) => void response.end(told) };
  for (const [i, files] of releases.entries()) {
    const sequence = i + 1;
    const made = await seal(zipOf({ "index.html": `version ${sequence}`, ...files }), { sequence });
    answers[`/${sequence}.seal`] = (_, response) => void response.end(made.seal);
    answers[`/${sequence}.payload`] = (_, response) => void response.end(made.payload);
  }
  return answers;
}

/** @param {number} sequence */
export function moment(sequence) {
  return new Date(Date.UTC(2026, 0, 1) + sequence * 60_000).toISOString().replace(".000Z", "Z");
}

/**
 * @param {Uint8Array} content
 * @param {Uint8Array} raw
 * @param {Uint8Array} header
 */
async function encrypted(content, raw, header) {
  const key = await subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
  const pieces = [header];
  for (let at = 0, segment = 0, last = false; !last; segment++) {
    const room = SEGMENT_BYTES - TAG_BYTES - (segment === 0 ? HEADER_BYTES : 0);
    const plain = content.subarray(at, at + room);
    at += room;
    last = at >= content.length;
    const iv = new Uint8Array(12);
    iv.set(header.subarray(33));
    new DataView(iv.buffer).setUint32(7, segment);
    iv[11] = last ? 1 : 0;
    pieces.push(new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv }, key, plain)));
  }
  return concat(pieces);
}

/** @param {Uint8Array} data */
async function sha256(data) {
  return new Uint8Array(await subtle.digest("SHA-256", data));
}

/** @param {Uint8Array} data */
async function blocks(data) {
  const digests = [];
  for (let at = 0; at < data.length; at += BLOCK_BYTES) {
    const block = new Uint8Array(BLOCK_BYTES);
    block.set(data.subarray(at, at + BLOCK_BYTES));
    digests.push(await sha256(block));
  }
  return concat(digests);
}

/** @param {Uint8Array} payload */
async function tree(payload) {
  const entries = [];
  for (let at = 0; at < payload.length; at += SEGMENT_BYTES) {
    const leaves = await blocks(payload.subarray(at, at + SEGMENT_BYTES));
    const padded = new Uint8Array(BLOCK_BYTES);
    padded.set(leaves);
    entries.push(payload.length <= BLOCK_BYTES ? leaves : await sha256(padded));
  }
  let level = concat(entries);
  while (level.length > 32) level = await blocks(level);
  const descriptor = new Uint8Array(256);
  descriptor.set([1, 1, 12]);
  new DataView(descriptor.buffer).setBigUint64(8, BigInt(payload.length), true);
  descriptor.set(level, 16);
  return { entries: concat(entries), digest: await sha256(descriptor) };
}

/**
 * @param {string} file
 * @param {"spki" | "pkcs8"} format
 * @param {RsaHashedImportParams} algorithm
 * @param {KeyUsage} usage
 */
async function importPem(file, format, algorithm, usage) {
  const [block] = pemBlocks(pem(file), file);
  return subtle.importKey(format, /** @type {{ der: Uint8Array<ArrayBuffer> }} */ (block).der, algorithm, false, [usage]);
}

/**
 * @param {Uint8Array} statement
 * @param {string} signer
 */
async function signed(statement, signer) {
  const key = await importPem(`${signer}.pem`, "pkcs8", { name: "RSA-PSS", hash: "SHA-256" }, "sign");
  const payloadType = "application/vnd.capseal.seal.v1+json";
  const message = concat([utf8(`DSSEv1 ${payloadType.length} ${payloadType} ${statement.length} `), statement]);
  const sig = toBase64(new Uint8Array(await subtle.sign({ name: "RSA-PSS", saltLength: 32 }, key, message)));
  const [own] = await loadPublicKeys(pem(`${signer}.pub.pem`), signer);
  const keyid = /** @type {PublicKey} */ (own).fingerprint;
  return utf8(JSON.stringify({ payload: toBase64(statement), payloadType, signatures: [{ keyid, sig }] }));
}

/**
 * @param {Uint8Array} envelope
 * @param {Uint8Array} entries
 */
function framed(envelope, entries) {
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, envelope.length);
  const seal = concat([fromHex("894341505345414c"), new Uint8Array(length.buffer), envelope, entries]);
  return concat([seal, new Uint8Array((BLOCK_BYTES - (seal.length % BLOCK_BYTES)) % BLOCK_BYTES)]);
}
