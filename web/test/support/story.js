/** The example app with a live capseal server beside it: built, sealed, published and served by the commands themselves. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = new URL("../../../", import.meta.url);
const KEYS = fileURLToPath(new URL("tests/vectors/keys/", ROOT));
const EXAMPLE = fileURLToPath(new URL("examples/web-view/", ROOT));
const TYPES = { js: "text/javascript", html: "text/html", css: "text/css" };
const APP = "com.example.webview";
const PYTHON = process.env["CAPSEAL_PYTHON"] ?? "python3";
const run = promisify(execFile);

/** @param {string[]} told */
const capseal = (...told) => run(PYTHON, ["-m", "capseal", ...told]);

/** Say whether the Python package is here. */
export async function hasCapseal() {
  return capseal("--version").then(
    () => true,
    () => false,
  );
}

/** Everything that the story needs; site: the app's origin; way: what happens to the server's answers. */
export class Stage {
  /** @type {(() => Promise<unknown>)[]} */
  #ends = [];
  /** What alters the payload on its way, and which release is said to be the latest. */
  way = { tampers: false, latest: 0, asked: /** @type {string[]} */ ([]), sent: 0 };

  static async open() {
    const stage = new Stage();
    try {
      await stage.#set();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  async #set() {
    this.folder = await mkdtemp(join(tmpdir(), "capseal-story-"));
    this.#ends.push(() => rm(this.folder, { recursive: true, force: true }));
    const server = spawn(PYTHON, ["-m", "capseal", "serve", join(this.folder, "store"), "--trust", `${KEYS}signer.pub.pem`, "--port", "0"]);
    this.#ends.push(async () => server.exitCode ?? (server.kill(), await once(server, "exit")));
    this.server = await addressOf(server);
    this.served = await this.#serve((asked, answer) => this.#pass(asked, answer));
    this.site = await this.#serve((asked, answer) => this.#file(asked, answer));
    const told = ["--trust", `${KEYS}signer.pub.pem`, "--identity", `${KEYS}recipient.pem`, "--server", this.served];
    await run(PYTHON, [join(EXAMPLE, "build.py"), join(this.folder, "built"), ...told]);
  }

  /**
   * Seal a release and publish it.
   * @param {number} number
   * @param {number} [base] a release that a recipe is made from
   */
  async publish(number, base) {
    const [source, sealed] = [join(this.folder, "built", `v${number}`), join(this.folder, `v${number}.sealed`)];
    const keys = ["-s", `${KEYS}signer.pem`, "-r", `${KEYS}recipient.pub.pem`];
    const more = base === undefined ? [] : ["--base", join(this.folder, "built", `v${base}`)];
    await capseal("seal", source, "-o", sealed, ...keys, "--app", APP, "--version", `1.${number}`, "--sequence", String(number), ...more);
    await capseal("publish", sealed, this.server);
  }

  /** @param {import("node:http").RequestListener} listener */
  async #serve(listener) {
    const server = createServer(listener);
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    this.#ends.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  }

  /** Hand on what the live server answers, altered where the story wants it: as somebody on the way would. */
  #pass(asked, answer) {
    const { tampers, latest } = this.way;
    this.way.asked.push(asked.url);
    const path = latest ? asked.url.replace(/\/latest$/, `/releases/${latest}`) : asked.url;
    const headers = { ...asked.headers, host: new URL(this.server).host };
    const passed = request(this.server + path, { method: asked.method, headers }, (found) => {
      answer.writeHead(found.statusCode, found.headers);
      let at = 0;
      found.on("data", (/** @type {Buffer} */ data) => {
        if (tampers && path.endsWith("/payload")) data[Math.max(0, Math.min(data.length - 1, 700_000 - at))] ^= 1;
        at += data.length;
        this.way.sent += data.length;
        answer.write(data);
      });
      found.on("end", () => answer.end());
      found.on("error", () => answer.destroy());
    });
    passed.on("error", () => answer.destroy());
    passed.end();
  }

  async #file(asked, answer) {
    const { pathname } = new URL(asked.url, "http://localhost");
    const path = pathname.endsWith("/") ? `${pathname}index.html` : pathname;
    try {
      const body = await readFile(join(this.folder, "built", "site", path));
      const type = TYPES[path.split(".").pop()] ?? "application/octet-stream";
      answer.writeHead(200, { "content-type": type, "cache-control": "no-cache" }).end(body);
    } catch {
      answer.writeHead(404).end();
    }
  }

  async close() {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}

/** @param {import("node:child_process").ChildProcess} server */
async function addressOf(server) {
  let said = "";
  for (const stream of [server.stdout, server.stderr]) stream?.setEncoding("utf8").on("data", (text) => (said += text));
  for (const end = Date.now() + 20_000; Date.now() < end && server.exitCode === null;) {
    const found = /http:\/\/[0-9.]+:[1-9][0-9]*/.exec(said);
    if (found) return found[0];
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`capseal serve said ${said}`);
}
