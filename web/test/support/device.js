/**
 * A device store as a process for tests in other languages, which can be killed where it saves its state.
 *
 * In: a line of JSON, `{ call, now_ms, time, ... }`. Out: what it came to, `{ ok }`, `{ error }` or `{ killed }`, and the
 * device's `status`.
 */

import { createInterface } from "node:readline";
import { CapsealError } from "../../src/errors.js";
import { DeviceStore } from "../../src/store.js";
import { Disk, Killed, MemoryStorage } from "./memory-storage.js";

const shell = { address: async (/** @type {string} */ folder) => folder, show: async () => {}, alive: async () => false };

/** One process after the other on the same disk. */
class Device {
  disk = new Disk();
  /** @type {any} */
  told = {};
  now_ms = 0;
  time = "";
  /** @type {string | null} the step of a save that is this process's last */
  killAt = null;
  killed = false;

  open() {
    this.killAt = null;
    this.killed = false;
    const storage = new MemoryStorage(this.disk, (_, call) => {
      this.killed ||= call === this.killAt;
      if (this.killed) throw new Killed(call);
    });
    const clocks = { clock: () => this.now_ms, wallClock: () => new Date(this.time) };
    this.store = new DeviceStore({ storage, shell, builtin: "built in", ...clocks, ...this.told });
  }
}

let device = new Device();

/** @type {Record<string, (asked: any) => Promise<unknown>>} */
const CALLS = {
  async begin({ told }) {
    device = new Device();
    device.told = told;
    device.open();
  },
  restart: async () => device.open(),
  install: ({ bundle }) => device.store.install(new Uint8Array(Buffer.from(bundle, "base64"))).then(shown),
  fetch: ({ server }) => device.store.install(server).then(shown),
  activate: () => device.store.activate().then(shown),
  boot: async ({ verify }) => {
    const { bundle, problem } = await device.store.boot({ verify });
    return { ...shown(bundle), problem: problem?.name ?? null };
  },
  confirm: async () => shown((await device.store.confirm()).bundle),
  rollback: async () => shown((await device.store.rollback()).bundle),
  prune: ({ older }) => device.store.prune({ older }),
  refresh: ({ server }) => device.store.refresh(server),
  /** Change a byte of a file of what runs. */
  async damage() {
    const { current } = await device.store.status();
    const files = device.disk.folders.get(current?.folder ?? "");
    const path = "content/index.html";
    const data = files?.get(path)?.slice();
    if (!files || !data) return;
    data[data.length - 1] = "!".charCodeAt(0);
    files.set(path, data);
  },
};

/** @param {import("../../src/state.js").InstalledBundle | null} bundle */
const shown = (bundle) => (bundle ? { digest: bundle.digest, sequence: bundle.sequence } : { digest: null, sequence: 0 });

async function statusOf() {
  const { floor, starts, current, staged, pending, confirmed, failed, head, uncertain } = await device.store.status();
  return {
    ...{ floor, starts, current: shown(current), staged: shown(staged), pending: shown(pending), confirmed: confirmed.map(shown) },
    failed: failed.map(({ digest, sequence, version, by }) => [digest, sequence, version, by]),
    ...{ head, uncertain: uncertain && uncertain.since, page: page(current) },
  };
}

/** @param {import("../../src/state.js").InstalledBundle | null} bundle */
function page(bundle) {
  const data = bundle && device.disk.folders.get(bundle.folder)?.get("content/index.html");
  return data ? Buffer.from(data).toString() : null;
}

/** @param {any} asked */
async function answered({ call, now_ms, time, kill_at, ...asked }) {
  device.now_ms = now_ms;
  device.time = time;
  device.killAt = kill_at ?? null;
  try {
    const ok = (await CALLS[call]?.(asked)) ?? null;
    if (!device.killed) return { ok };
  } catch (error) {
    if (!device.killed) {
      const { name, message, stack } = /** @type {Error} */ (error);
      return { error: { name, ours: error instanceof CapsealError, message: error instanceof CapsealError ? message : stack } };
    }
  }
  device.open();
  return { killed: true };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await answered(JSON.parse(line));
  device.killAt = null;
  process.stdout.write(`${JSON.stringify({ ...answer, status: await statusOf() })}\n`);
}
