/** What of an untrusted text may stand in a record. */

const UNPRINTABLE = /[\p{C}\p{Z}]/gu;

/**
 * Return a text of printable characters, never empty, as a record may hold it.
 * @param {string} text
 * @param {number} most characters
 */
export function printable(text, most) {
  const clean = text.replace(UNPRINTABLE, (found) => (found === " " ? found : "?"));
  return Array.from(clean).slice(0, most).join("") || "?";
}
