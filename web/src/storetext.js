/** The one text of a trust store, which its digest is of (docs/format.md, Trust stores). */

import { toBase64 } from "./bytes.js";

/** @import { PublicKey } from "./keys.js" */
/** @import { KeySet, Purposes } from "./purposes.js" */
/** @import { Role } from "./trust.js" */

/**
 * What a trust store says; keys: in the order of its file.
 * @typedef {object} StoreValues
 * @property {number} version
 * @property {number} threshold
 * @property {Map<string, { key: PublicKey, role: Role }>} keys by fingerprint
 * @property {Omit<Purposes, "digest">} purposes
 */

/**
 * Return the text of a store's file as capseal writes it.
 * @param {StoreValues} store
 */
export function textOf({ version, threshold, keys, purposes }) {
  const { epoch, created, root, heads, restart, certificates, crls } = purposes;
  const value = {
    type: "capseal-trust-v1",
    version,
    ...(created !== undefined && { epoch, created }),
    threshold,
    keys: Array.from(keys.values(), ({ key, role }) => ({ role, public_key: pem("PUBLIC KEY", key.spki) })),
    ...(certificates.length > 0 && {
      certificates: certificates.map(({ role, der }) => ({ role, certificate: pem("CERTIFICATE", der) })),
    }),
    ...(crls.length > 0 && { crls: crls.map((der) => pem("X509 CRL", der)) }),
    ...(root && { root: setValue(root) }),
    ...(heads && {
      heads: {
        max_age_s: heads.maxAge,
        until: heads.until,
        production: setValue(heads.production),
        ...(heads.development && { development: setValue(heads.development) }),
      },
    }),
    ...(restart && { restart }),
  };
  return `${JSON.stringify(value, null, 2)}\n`; // all of it is ASCII
}

/** @param {KeySet} set */
function setValue({ threshold, keys }) {
  return { threshold, keys: keys.map(({ spki }) => pem("PUBLIC KEY", spki)) };
}

/**
 * @param {string} label
 * @param {Uint8Array} der
 */
function pem(label, der) {
  return `-----BEGIN ${label}-----\n${toBase64(der).replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;
}
