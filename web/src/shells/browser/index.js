/** The shell of browsers, installed web apps, Electron and kiosks: a service worker serves what is installed. */

import { UsageError } from "../../errors.js";
import { placeIn } from "./worker.js";

export { BrowserStorage } from "./storage.js";

/** @import { Shell } from "../../storage.js" */

const ANSWER_MS = 2000;

/**
 * @implements {Shell}
 */
export class BrowserShell {
  /**
   * @param {object} [options]
   * @param {string | URL} [options.scope] of the service worker; by default the folder of this page
   * @param {string} [options.run] where bundles run, below it
   */
  constructor({ scope = "./", run = "run/" } = {}) {
    this.scope = new URL(scope, globalThis.location?.href);
    this.run = run;
  }

  /**
   * Register the app's service worker, wait until it serves, and ask the browser to keep what is stored.
   * @param {string | URL} script
   * @param {RegistrationOptions} [options]
   */
  async register(script, options = { type: "module" }) {
    if (!navigator.serviceWorker) throw new UsageError("no service worker here: the page is no secure context");
    const registering = navigator.serviceWorker.register(script, { scope: this.scope.href, ...options });
    // Without a network, what is registered already serves.
    await registering.catch((error) => this.#registered().then((known) => known ?? Promise.reject(error)));
    await navigator.serviceWorker.ready;
    await navigator.storage.persist?.().catch(() => false);
  }

  #registered() {
    return navigator.serviceWorker.getRegistration(this.scope.href);
  }

  /** @param {string} folder */
  async address(folder) {
    return new URL(`${this.run}${folder}/`, this.scope).href;
  }

  /** @param {string} address */
  async show(address) {
    location.replace(address);
  }

  /**
   * Say whether another page runs from a folder now, or may be on its way there.
   * @param {string} folder
   * @returns {Promise<boolean>}
   */
  async alive(folder) {
    const worker = (await this.#registered())?.active;
    if (!worker) return false;
    return new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      const timer = setTimeout(() => resolve(false), ANSWER_MS);
      port1.onmessage = ({ data }) => {
        clearTimeout(timer);
        resolve(data === true);
      };
      worker.postMessage({ alive: folder }, [port2]);
    });
  }

  /** Return the folder that this page runs from, or null where it is the built-in bundle. */
  folder() {
    return placeIn(location.href, this.scope, this.run)?.folder ?? null;
  }
}
