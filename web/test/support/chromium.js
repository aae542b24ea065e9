/** A headless Chromium, driven through its debugging pipe: no library, no port. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAMS = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Return the path of a Chromium, or undefined. */
export function findChromium() {
  return PROGRAMS.find((path) => path && existsSync(path));
}

/**
 * Start Chromium and give a page of it to `use`; whatever happens, the process ends.
 * @template T
 * @param {string} url
 * @param {(page: Page) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withPage(url, use) {
  return withBrowser(async (open) => use(await open(url)));
}

/**
 * Start Chromium and give `use` what opens a page of it; whatever happens, the process ends.
 * @template T
 * @param {(open: (url: string) => Promise<Page>) => Promise<T>} use
 * @param {string} [profile] a folder that keeps what pages store from one start to the next
 * @returns {Promise<T>}
 */
export async function withBrowser(use, profile) {
  const folder = profile ?? (await mkdtemp(join(tmpdir(), "capseal-chromium-")));
  const options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"];
  const program = /** @type {string} */ (findChromium());
  const child = spawn(program, [...options, `--user-data-dir=${folder}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    detached: true, // a group of its own, so that all of its processes end with it
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    const browser = new Pipe(child);
    const given = await use(async (url) => {
      const { targetId } = await browser.ask("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await browser.ask("Target.attachToTarget", { targetId, flatten: true });
      const page = new Page(browser, sessionId, targetId);
      await page.visit(url);
      return page;
    });
    if (profile) {
      await browser.ask("Browser.close", {}).catch(() => undefined); // writes to the profile what is not there yet
      await ended;
    }
    return given;
  } finally {
    try {
      process.kill(-(/** @type {number} */ (child.pid)), "SIGKILL");
    } catch {
      // it has ended by itself
    }
    await ended;
    if (!profile) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Messages of the DevTools protocol, each ended by a NUL. */
class Pipe {
  #number = 0;
  #left = "";
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  /** @type {((message: any) => void)[]} */
  listeners = [];

  /** @param {import("node:child_process").ChildProcess} child */
  constructor(child) {
    const [, , , input, output] = /** @type {any[]} */ (child.stdio);
    this.input = input;
    output.setEncoding("utf8").on("data", (/** @type {string} */ text) => this.#take(text));
    child.once("exit", () => this.#fail(new Error("chromium has ended")));
    child.once("error", (error) => this.#fail(error));
    input.on("error", (/** @type {Error} */ error) => this.#fail(error));
  }

  /**
   * @param {string} method
   * @param {object} params
   * @param {string} [sessionId]
   * @returns {Promise<any>}
   */
  ask(method, params, sessionId) {
    const id = ++this.#number;
    this.input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** @param {string} text */
  #take(text) {
    const messages = (this.#left + text).split("\0");
    this.#left = /** @type {string} */ (messages.pop());
    for (const message of messages.map((one) => JSON.parse(one))) {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) waiting?.reject(new Error(message.error.message));
      else if (waiting) waiting.resolve(message.result);
      else for (const listener of this.listeners) listener(message);
    }
  }

  /** @param {Error} error */
  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** A tab. */
export class Page {
  /**
   * @param {Pipe} browser
   * @param {string} sessionId
   * @param {string} targetId
   */
  constructor(browser, sessionId, targetId) {
    this.browser = browser;
    this.sessionId = sessionId;
    this.targetId = targetId;
  }

  /**
   * Ask something of this page by the DevTools protocol.
   * @param {string} method
   * @param {object} [params]
   */
  ask(method, params = {}) {
    return this.browser.ask(method, params, this.sessionId);
  }

  /** Return the ids of the processes of all pages. */
  async rendererPids() {
    /** @type {{ processInfo: { type: string, id: number }[] }} */
    const { processInfo } = await this.browser.ask("SystemInfo.getProcessInfo", {});
    return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
  }

  /** End the page, whatever it does. */
  close() {
    return this.browser.ask("Target.closeTarget", { targetId: this.targetId });
  }

  /**
   * Wait until an expression is true, over however many pages the tab shows; return what it gives.
   * @param {string} expression
   */
  async until(expression) {
    const end = Date.now() + 20_000;
    let last;
    while (Date.now() < end) {
      // Between two pages there is none to ask.
      last = await this.evaluate(expression).catch((error) => error);
      if (last && !(last instanceof Error)) return last;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const shows = await this.evaluate("location.href + ' ' + document.body?.innerText").catch(String);
    throw new Error(`${expression}: ${last}; the page shows ${shows}`);
  }

  /** @param {string} url */
  async visit(url) {
    await this.browser.ask("Page.enable", {}, this.sessionId);
    const loaded = new Promise((resolve) =>
      this.browser.listeners.push(
        ({ method, sessionId }) =>
          method === "Page.loadEventFired" && sessionId === this.sessionId && resolve(undefined),
      ),
    );
    await this.browser.ask("Page.navigate", { url }, this.sessionId);
    await loaded;
  }

  /**
   * Return what an expression gives in the page; a promise is waited for.
   * @param {string} expression
   */
  async evaluate(expression) {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.browser.ask("Runtime.evaluate", options, this.sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }
}
