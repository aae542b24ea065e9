/**
 * The service worker of an app: it serves what is installed, and the app's own files where the network does not.
 *
 * Every copy of a bundle has a path of its own, so that no page ever gets files of two: `run/<folder>/`.
 */

import { Bundles } from "./answers.js";
import { BrowserStorage } from "./storage.js";

/**
 * @typedef {object} ServingOptions
 * @property {string[]} shell the app's own files, below the scope: boot page, its modules, the built-in bundle; they are
 *   kept, so that the app starts without a network
 * @property {string} version of these files; another one makes the worker keep them anew
 * @property {string} [run] where bundles run, below the scope: `run/` by default
 * @property {BrowserStorage} [storage]
 */

/** What of a worker's scope is used here; the DOM's types do not have it. @typedef {any} WorkerScope */

/**
 * Serve bundles; to be called once, when the worker's script runs.
 * @param {ServingOptions} options
 */
export function serveBundles({ shell, version, run = "run/", storage = new BrowserStorage() }) {
  const worker = /** @type {WorkerScope} */ (globalThis);
  const scope = new URL(worker.registration.scope);
  const bundles = new Bundles(storage);
  const kept = `${storage.name} shell ${version}`;
  const running = (/** @type {string} */ url) => placeIn(url, scope, run);

  worker.addEventListener("install", (/** @type {any} */ event) => {
    const keep = async () => {
      const requests = shell.map((path) => new Request(new URL(path, scope), { cache: "reload" }));
      await (await caches.open(kept)).addAll(requests);
      await worker.skipWaiting();
    };
    event.waitUntil(keep());
  });

  worker.addEventListener("activate", (/** @type {any} */ event) => {
    const tidy = async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith(`${storage.name} shell `) && name !== kept);
      await Promise.all(old.map((name) => caches.delete(name)));
      await worker.clients.claim();
    };
    event.waitUntil(tidy());
  });

  worker.addEventListener("message", (/** @type {any} */ event) => {
    const { alive } = event.data ?? {};
    if (typeof alive !== "string") return;
    const tell = async () => {
      const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
      // A page that runs no bundle may be the boot page of a tab that has counted its start and is on its way there.
      const others = pages.filter(
        (/** @type {{ id: string, url: string }} */ { id, url }) => id !== event.source?.id && url.startsWith(scope.href),
      );
      const folders = others.map((/** @type {{ url: string }} */ { url }) => running(url)?.folder ?? alive);
      event.ports[0].postMessage(folders.includes(alive));
    };
    event.waitUntil(tell());
  });

  worker.addEventListener("fetch", (/** @type {any} */ event) => {
    const { request } = event;
    const { origin } = new URL(request.url);
    if (origin !== scope.origin || (request.method !== "GET" && request.method !== "HEAD")) return;
    event.respondWith(answer(request, event.clientId));
  });

  /**
   * @param {Request} request
   * @param {string} clientId
   */
  async function answer(request, clientId) {
    const place = running(request.url) ?? (await placeOfClient(request, clientId));
    const found = place && (await bundles.answer(place.folder, place.path, request));
    if (found) return found;
    if (!running(request.url)) return ownFile(request);
    // The bundle is gone: the boot page chooses anew.
    if (request.mode === "navigate") return Response.redirect(scope.href);
    return new Response("not in this bundle", { status: 404, headers: { "content-type": "text/plain" } });
  }

  /**
   * Return what a page that runs from a bundle asks for by a path from the root.
   * @param {Request} request
   * @param {string} clientId
   */
  async function placeOfClient(request, clientId) {
    if (request.mode === "navigate" || !clientId) return null;
    const page = running((await worker.clients.get(clientId))?.url ?? "");
    return page && { folder: page.folder, path: decodedPath(new URL(request.url).pathname, scope.pathname) };
  }

  /** @param {Request} request */
  async function ownFile(request) {
    try {
      return await fetch(request);
    } catch (error) {
      const own = await (await caches.open(kept)).match(request, { ignoreSearch: true, ignoreVary: true });
      if (own) return own;
      throw error;
    }
  }
}

/**
 * Return which file of which folder a URL names, or null.
 * @param {string} url
 * @param {URL} scope
 * @param {string} run
 */
export function placeIn(url, scope, run) {
  const below = new URL(run, scope);
  const { origin, pathname } = new URL(url || "about:blank");
  if (origin !== below.origin || !pathname.startsWith(below.pathname)) return null;
  const [folder = "", ...parts] = decodedPath(pathname, below.pathname).split("/");
  return { folder, path: parts.join("/") };
}

/**
 * @param {string} pathname
 * @param {string} above
 */
function decodedPath(pathname, above) {
  const path = pathname.startsWith(above) ? pathname.slice(above.length) : pathname.slice(1);
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // what is no UTF-8 names no file
  }
}
