/** The structure of X.509 revocation lists (RFC 5280, section 5.1): what they say is not used, since it is of certificates. */

import { BOOLEAN, checkExtensions, checkName, checkTime } from "./certificate.js";
import { BIT_STRING, DerError, Elements, INTEGER, OID, SEQUENCE, checkDer, sequence } from "./der.js";
import { toHex } from "./bytes.js";

/** @import { Bytes } from "./bytes.js" */

const TIMES = [0x17, 0x18];
const EXTENSIONS = 0xa0;

/**
 * Throw DerError unless data is one complete revocation list, with no extension that has to be understood.
 * @param {Bytes} data
 */
export function checkRevocationList(data) {
  checkDer(data);
  const outer = sequence(data);
  const list = outer.inside(SEQUENCE);
  const algorithm = outer.next(SEQUENCE).whole;
  outer.next(BIT_STRING);
  outer.end();
  if (list.tag === INTEGER && toHex(list.next().body) !== "01") throw new DerError("version is not 2");
  if (toHex(list.next(SEQUENCE).whole) !== toHex(algorithm)) throw new DerError("inner and outer algorithm differ");
  checkName(list.inside(SEQUENCE));
  checkTime(list);
  if (TIMES.includes(list.tag ?? 0)) checkTime(list); // when the next one comes
  if (list.tag === SEQUENCE) checkRevoked(list.inside(SEQUENCE));
  if (list.tag === EXTENSIONS) checkComplete(list.next().body);
  list.end();
}

/** @param {Bytes} extensions */
function checkComplete(extensions) {
  checkExtensions(sequence(extensions));
  const each = sequence(extensions);
  while (!each.ended) {
    const extension = each.inside(SEQUENCE);
    extension.next(OID);
    // Critical ones say that it is only a part of a list, or about others' certificates.
    if (extension.tag === BOOLEAN) throw new DerError("a critical extension; only complete lists are used");
  }
}

/** @param {Elements} revoked */
function checkRevoked(revoked) {
  while (!revoked.ended) {
    const one = revoked.inside(SEQUENCE);
    one.next(INTEGER);
    checkTime(one);
    if (!one.ended) checkExtensions(one.inside(SEQUENCE));
    one.end();
  }
}
