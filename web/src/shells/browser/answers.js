/** The answers of a service worker: files of installed bundles, whole or a range of one, and nothing else. */

import { CONTENT, readManifest } from "../../manifest.js";
import { bundlesOf } from "../../state.js";
import { parseState } from "../../staterecord.js";
import { typeOf } from "./types.js";

/** @import { ContentManifest } from "../../manifest.js" */
/** @import { Storage } from "../../storage.js" */

const INDEX = "index.html";

/** The bundles that the state names, by their folders. */
export class Bundles {
  /** @type {Map<string, ContentManifest>} */
  #manifests = new Map();

  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
  }

  /**
   * Return the manifest of a folder, or null where no state names it.
   * @param {string} folder
   */
  async manifest(folder) {
    const known = this.#manifests.get(folder);
    if (known) return known;
    const record = await this.storage.load();
    const bundle = record && bundlesOf(parseState(record)).find((one) => one.folder === folder);
    if (!bundle) return null;
    const manifest = await readManifest(this.storage, bundle);
    this.#manifests.set(folder, manifest); // no two copies have one folder, so it never says anything else
    return manifest;
  }

  /**
   * Return a file of a bundle, or null where it has none such.
   * @param {string} folder
   * @param {string} path
   * @param {Request} request
   */
  async answer(folder, path, request) {
    const manifest = await this.manifest(folder);
    if (!manifest) return null;
    const named = path === "" || path.endsWith("/") ? path + INDEX : path;
    // An app that routes in its page is asked for paths that are no files.
    const found = manifest.files.has(named) || request.mode !== "navigate" ? named : INDEX;
    const expected = manifest.files.get(found);
    const file = expected && (await this.storage.read(folder, `${CONTENT}/${found}`));
    if (!file || file.size !== expected.size) return null;
    return answerOf(file, typeOf(found), request);
  }
}

/**
 * Return a file as an answer to a request (RFC 9110, section 14, for one range).
 * @param {Blob} file
 * @param {string} type
 * @param {Request} request
 */
function answerOf(file, type, request) {
  const headers = new Headers({
    "content-type": type,
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
    "cache-control": "no-store", // it is here already, and the network never has it
  });
  const body = (/** @type {Blob} */ part) => (request.method === "HEAD" ? null : part);
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "");
  const [, first = "", last = ""] = range ?? [];
  if (first === "" && last === "") {
    headers.set("content-length", String(file.size));
    return new Response(body(file), { headers });
  }
  const start = first === "" ? Math.max(0, file.size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? file.size : Math.min(file.size, Number(last) + 1);
  if (start >= end) {
    headers.set("content-range", `bytes */${file.size}`);
    return new Response(null, { status: 416, headers });
  }
  headers.set("content-range", `bytes ${start}-${end - 1}/${file.size}`);
  headers.set("content-length", String(end - start));
  return new Response(body(file.slice(start, end)), { status: 206, headers });
}
