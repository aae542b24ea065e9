/**
 * Every error that capseal raises on purpose; names and tree are those of the Python package.
 *
 * CapsealError
 * ├── RejectedError            the bundle is not acceptable
 * │   ├── FormatError            bytes do not parse                      .offset
 * │   ├── SignatureError         no sufficient trusted signature
 * │   ├── TamperedError          a digest or tag does not match          .segment .offset
 * │   ├── TruncatedError         ended early, or bytes after the end     .expected .actual
 * │   ├── NotForUsError          wrong app, channel, role; no recipient key
 * │   ├── RollbackError          sequence at or below what was trusted   .floor .sequence
 * │   └── StaleError             nothing fresh says that this is current
 * ├── KeyFileError             a key or trust store cannot be used
 * ├── SourceChangedError       the input changed while it was being read
 * ├── TransferError            network; safe to retry
 * └── UsageError               the caller's mistake
 *
 * A RejectedError says "this bundle is bad"; anything else says "could not check".
 */

/** Base of every error that capseal raises on purpose. */
export class CapsealError extends Error {}

/** The bundle is not acceptable; nothing of it may be used. */
export class RejectedError extends CapsealError {}

/** Bytes do not parse as docs/format.md says. */
export class FormatError extends RejectedError {
  /**
   * @param {string} message
   * @param {number | null} [offset] where in the parsed bytes, or null where no one place is to blame
   */
  constructor(message, offset = null) {
    super(message);
    this.offset = offset;
  }
}

/** No sufficient signature by trusted keys. */
export class SignatureError extends RejectedError {}

/** A digest, commitment or tag does not match what was signed. */
export class TamperedError extends RejectedError {
  /**
   * @param {string} message
   * @param {number | null} [segment] number of the segment, or null where no one segment is to blame
   * @param {number | null} [offset] its first byte in the payload
   */
  constructor(message, segment = null, offset = null) {
    super(message);
    this.segment = segment;
    this.offset = offset;
  }
}

/** The input ended early, or went on after its signed end. */
export class TruncatedError extends RejectedError {
  /**
   * @param {string} message
   * @param {number} expected bytes
   * @param {number} actual bytes
   */
  constructor(message, expected, actual) {
    super(message);
    this.expected = expected;
    this.actual = actual;
  }
}

/** Signed and whole, but for another app, channel or role, or for other recipients. */
export class NotForUsError extends RejectedError {}

/** The sequence is at or below the floor that was trusted before. */
export class RollbackError extends RejectedError {
  /**
   * @param {string} message
   * @param {number} floor
   * @param {number} sequence
   */
  constructor(message, floor, sequence) {
    super(message);
    this.floor = floor;
    this.sequence = sequence;
  }
}

/** Nothing fresh says that this is current: the head has expired or is missing, or the bundle is too old. */
export class StaleError extends RejectedError {}

/** A key or trust store cannot be used. */
export class KeyFileError extends CapsealError {}

/** The input changed while it was being read. */
export class SourceChangedError extends CapsealError {}

/** The network failed; the same call may succeed later. */
export class TransferError extends CapsealError {}

/** The caller's mistake, such as an option that does not exist. */
export class UsageError extends CapsealError {}

// Spelled out: a minifier renames classes, and whoever stores or shows a name must get the same one.
for (const [name, error] of Object.entries({
  CapsealError,
  RejectedError,
  FormatError,
  SignatureError,
  TamperedError,
  TruncatedError,
  NotForUsError,
  RollbackError,
  StaleError,
  KeyFileError,
  SourceChangedError,
  TransferError,
  UsageError,
})) {
  error.prototype.name = name;
}
