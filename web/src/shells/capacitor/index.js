/**
 * The shell of Capacitor apps, without native code: the core plugin WebView shows what is installed.
 *
 * The path is never persisted, so every cold start begins with the boot page that the app was shipped with, which
 * chooses what to run and counts the trial before it switches.
 */

import { CONTENT } from "../../manifest.js";

export { CapacitorStorage } from "./storage.js";

/** @import { Shell } from "../../storage.js" */
/** @import { CapacitorStorage } from "./storage.js" */

/** @typedef {import("@capacitor/core").WebViewPlugin} WebViewPlugin */

const FILE = "file://";

/** @implements {Shell} */
export class CapacitorShell {
  /**
   * @param {object} options
   * @param {WebViewPlugin} options.webView the core plugin `WebView`
   * @param {CapacitorStorage} options.storage
   */
  constructor({ webView, storage }) {
    this.webView = webView;
    this.storage = storage;
  }

  /** @param {string} folder */
  async address(folder) {
    const { uri } = await this.storage.filesystem.getUri(this.storage.place(`${folder}/${CONTENT}`));
    return uri.startsWith(FILE) ? uri : FILE + uri;
  }

  /**
   * Go there: the view loads anew, from the bundle's folder; the built-in bundle is an address among the app's own files.
   * @param {string} address
   */
  async show(address) {
    if (!address.startsWith(FILE)) return location.replace(address);
    await this.webView.setServerBasePath({ path: decodeURI(address.slice(FILE.length)) });
  }

  /** There is one view: whoever boots is alone. */
  async alive() {
    return false;
  }

  /** Return the folder that the view runs from, or null where that is the app's own. */
  async folder() {
    const { path } = await this.webView.getServerBasePath();
    const [content, folder, name] = path.replace(/\/+$/, "").split("/").reverse();
    return content === CONTENT && name === this.storage.name && folder ? folder : null;
  }
}
