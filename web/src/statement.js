/** The statement: what a seal says (docs/format.md, Statement). Its values are those of the document itself. */

import { utf8 } from "./bytes.js";
import { FormatError } from "./errors.js";
import { DIGEST_BYTES, MAX_CONTENT_BYTES, MAX_STORED_BYTES, contentBytesOf, payloadBytesOf } from "./layout.js";
import {
  Members,
  checkFileName,
  checkFingerprint,
  checkMediaType,
  checkMoment,
  checkName,
  checkRole,
  checkText,
  exactly,
} from "./members.js";
import { checkRequires } from "./requires.js";
import { parse } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { JsonValue } from "./strictjson.js" */
/** @import { Requires } from "./requires.js" */

const MAX_ATTACHMENTS = 256; // companions counted
const MAX_COMPANIONS = 64;
const MAX_RECIPIENTS = 1024;
const MAX_CUSTOM_BYTES = 64 * 1024;
const FSVERITY = "fsverity-sha256";
const checkScheme = exactly("tink-aes256-gcm-hkdf-512kb");
const checkWrap = exactly("RSA-OAEP-256");

/** @typedef {{ kid: string, alg: string, encrypted_key: string }} Recipient */

/**
 * A file that travels beside the bundle; one whose digest is that of fs-verity is a companion.
 * @typedef {object} Attachment
 * @property {string} name
 * @property {string} mediaType
 * @property {number} size stored bytes
 * @property {{ sha256?: string, "fsverity-sha256"?: string }} digest hex
 * @property {{ scheme: string }} [encryption] where it is sealed as the payload is
 */

/**
 * @typedef {object} Statement
 * @property {string} app
 * @property {string} version
 * @property {number} sequence
 * @property {string} channel
 * @property {"production" | "development"} role
 * @property {string} created UTC
 * @property {{ name: string, mediaType: string, size: number }} content size: plaintext bytes
 * @property {{ size: number, digest: { "fsverity-sha256": string } }} payload size: bytes
 * @property {{ scheme: string, commitment: string, recipients: Recipient[] }} encryption
 * @property {Requires} [requires]
 * @property {{ allow_downgrade_to: number }} [policy]
 * @property {Attachment[]} [attachments]
 * @property {{ [name: string]: JsonValue }} [custom]
 */

/**
 * Parse the signed bytes strictly. Throws FormatError.
 * @param {Bytes} data
 * @returns {Statement}
 */
export function parseStatement(data) {
  const members = new Members(
    parse(data, "statement"),
    "statement",
    ["app", "version", "sequence", "channel", "role", "created", "content", "payload", "encryption"],
    ["requires", "policy", "attachments", "custom"],
  );
  members.text("app", checkName);
  members.text("version", checkText);
  const sequence = members.integer("sequence", 1);
  members.text("channel", checkName);
  members.text("role", checkRole);
  members.text("created", checkMoment);
  const contentBytes = checkContent(members.object("content", ["name", "mediaType", "size"]));
  const payload = members.object("payload", ["size", "digest"]);
  const payloadBytes = payload.integer("size", 1);
  checkDigest(payload, FSVERITY);
  checkEncryption(members.object("encryption", ["scheme", "commitment", "recipients"]));
  if (members.has("requires")) checkRequires(members.object("requires", [], ["native", "platforms"]));
  if (members.has("policy")) checkPolicy(members.object("policy", ["allow_downgrade_to"]), sequence);
  const companionBytes = members.has("attachments") ? checkAttachments(members) : 0;
  if (members.has("custom")) checkCustom(members);
  if (payloadBytes !== payloadBytesOf(contentBytes)) {
    const expected = payloadBytesOf(contentBytes);
    throw new FormatError(
      `statement.payload.size: ${payloadBytes} does not fit content of ${contentBytes} bytes, which takes ${expected}`,
    );
  }
  if (payloadBytes + companionBytes > MAX_STORED_BYTES) {
    throw new FormatError(`statement: payload and companions of more than ${MAX_STORED_BYTES} bytes`);
  }
  return /** @type {Statement} */ (members.value);
}

/** @param {Members} content */
function checkContent(content) {
  content.text("name", checkFileName);
  content.text("mediaType", checkMediaType);
  return content.integer("size", 0, MAX_CONTENT_BYTES);
}

/** @param {Members} encryption */
function checkEncryption(encryption) {
  encryption.text("scheme", checkScheme);
  const commitment = encryption.base64("commitment");
  if (commitment.length !== DIGEST_BYTES) {
    throw new FormatError(`${encryption.place("commitment")}: ${commitment.length} bytes, expected ${DIGEST_BYTES}`);
  }
  const kids = new Set();
  for (const [item, place] of encryption.array("recipients", 1, MAX_RECIPIENTS)) {
    const recipient = new Members(item, place, ["kid", "alg", "encrypted_key"]);
    const kid = recipient.text("kid", checkFingerprint);
    recipient.text("alg", checkWrap);
    recipient.rsaBytes("encrypted_key");
    if (kids.has(kid)) throw new FormatError(`${place}: recipient ${kid.slice(0, 16)} appears twice`);
    kids.add(kid);
  }
}

/**
 * @param {Members} policy
 * @param {number} sequence
 */
function checkPolicy(policy, sequence) {
  const permit = policy.integer("allow_downgrade_to", 0);
  if (permit >= sequence) {
    throw new FormatError(`${policy.place("allow_downgrade_to")}: ${permit} is not below the sequence ${sequence}`);
  }
}

/**
 * Return the stored bytes of all companions together.
 * @param {Members} members
 */
function checkAttachments(members) {
  const names = new Set();
  let [companions, bytes] = [0, 0];
  for (const [item, place] of members.array("attachments", 1, MAX_ATTACHMENTS)) {
    const attachment = new Members(item, place, ["name", "mediaType", "size", "digest"], ["encryption"]);
    const digest = attachment.object("digest", [], ["sha256", FSVERITY]);
    attachment.text("mediaType", checkMediaType);
    if (digest.has(FSVERITY)) {
      companions++;
      bytes += checkCompanion(attachment);
    } else {
      if (attachment.has("encryption")) throw new FormatError(`${place}: only companions are encrypted`);
      attachment.text("name", checkFileName);
      attachment.integer("size", 0);
      checkDigest(attachment, "sha256");
    }
    const { name } = attachment.value;
    if (names.has(name)) throw new FormatError(`${place}: an attachment of that name appears twice`);
    names.add(name);
  }
  if (companions > MAX_COMPANIONS) {
    throw new FormatError(
      `${members.place("attachments")}: ${companions} companions, at most ${MAX_COMPANIONS} are allowed`,
    );
  }
  return bytes;
}

/**
 * Return the stored bytes.
 * @param {Members} companion
 */
function checkCompanion(companion) {
  companion.text("name", checkName); // it stands in URLs
  const size = companion.integer("size", 1);
  checkDigest(companion, FSVERITY); // and no other beside it: two digests could disagree
  if (companion.has("encryption")) {
    companion.object("encryption", ["scheme"]).text("scheme", checkScheme);
    contentBytesOf(size, companion.place("size"));
  }
  return size;
}

/** @param {Members} members */
function checkCustom(members) {
  const custom = members.value["custom"];
  new Members(custom, members.place("custom"), [], Object.keys(Object(custom)));
  const size = utf8(JSON.stringify(custom)).length;
  if (size > MAX_CUSTOM_BYTES) {
    throw new FormatError(`${members.place("custom")}: ${size} bytes, at most ${MAX_CUSTOM_BYTES} are allowed`);
  }
}

/**
 * @param {Members} members
 * @param {string} algorithm
 */
function checkDigest(members, algorithm) {
  members.object("digest", [algorithm]).text(algorithm, checkFingerprint);
}
