/** What the test of the Capacitor shell runs in a page: the plugin's own web implementation, and a view that is told. */

import { FilesystemWeb } from "@capacitor/filesystem/dist/esm/web";
import { confirmRunning } from "../../src/confirm.js";
import { CapacitorShell, CapacitorStorage } from "../../src/shells/capacitor/index.js";
import { DeviceStore } from "../../src/store.js";

/** Install, start and confirm a release; tell what the view was told, and what was read back. */
export async function install(sequence) {
  const { trust, identity, app } = await (await fetch("/told.json")).json();
  const filesystem = new FilesystemWeb();
  const capacitor = { isNativePlatform: () => false, convertFileSrc: (path) => path };
  const storage = new CapacitorStorage({ filesystem, capacitor });
  const told = [];
  let base = "/public";
  const webView = {
    setServerBasePath: async (options) => {
      told.push(options);
      base = options.path;
    },
    getServerBasePath: async () => ({ path: base }),
  };
  const shell = new CapacitorShell({ webView, storage });
  const store = new DeviceStore({ storage, shell, trust, identity, app, builtin: "app/index.html" });
  await store.install(new URL(`/${sequence}.payload`, location.href), { seal: new URL(`/${sequence}.seal`, location.href) });
  await store.activate();
  const running = await store.boot();
  const before = await shell.folder();
  await shell.show(running.address);
  const folder = await shell.folder();
  await confirmRunning({ storage, app, folder });
  const { confirmed } = await store.status();
  const checked = await store.verify();
  await store.prune({ older: 0 });
  return {
    ...{ told, before, folder, runs: running.bundle?.folder, problem: String(running.problem) },
    confirmed: confirmed.map((bundle) => bundle.sequence),
    problems: checked.map(({ problem }) => problem && String(problem)),
    folders: await storage.folders(),
  };
}
