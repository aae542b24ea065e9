/** capseal for web views: verify, unseal and open sealed bundles with WebCrypto alone (docs/web.md). */

export * from "./errors.js";
export { unsealCompanion, verifyCompanion } from "./companion.js";
export { free } from "./memory.js";
export { SealedFile, open, unseal, verify } from "./reader.js";
export { TrustStore, loadTrust } from "./trust.js";

/** @typedef {import("./expect.js").Expect} Expect */
/** @typedef {import("./keys.js").IdentityInput} IdentityInput */
/** @typedef {import("./reader.js").UnsealOptions} UnsealOptions */
/** @typedef {import("./reader.js").VerifyOptions} VerifyOptions */
/** @typedef {import("./reading.js").Verified} Verified */
/** @typedef {import("./source.js").SourceInput} SourceInput */
/** @typedef {import("./statement.js").Attachment} Attachment */
/** @typedef {import("./statement.js").Statement} Statement */
/** @typedef {import("./trust.js").TrustInput} TrustInput */
