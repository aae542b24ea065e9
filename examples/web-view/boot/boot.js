/**
 * The boot page: chooses what to run at every start, and takes updates in when the app asks for it (`#update`).
 *
 * Whom to trust and what came with the app are constants of this page, so that nothing that is stored can change them.
 */

import { BrowserShell, BrowserStorage } from "./capseal/shells/browser/index.js";
import { DeviceStore } from "./capseal/store.js";
import { APP, BUILTIN_SEQUENCE, IDENTITY, SERVER, TRUST } from "./constants.js";

const said = document.getElementById("said");
const progress = document.getElementById("progress");
const go = document.getElementById("go");

const shell = new BrowserShell();
const store = new DeviceStore({
  storage: new BrowserStorage({ name: APP }),
  shell,
  trust: TRUST,
  identity: IDENTITY,
  app: APP,
  builtin: new URL("builtin/", location.href).href,
  builtinSequence: BUILTIN_SEQUENCE,
});

async function update() {
  progress.hidden = false;
  said.textContent = `Asking ${SERVER} …`;
  const bundle = await store.install(SERVER, {
    expecting: (bytes) => ([progress.max, progress.value] = [bytes, 0]),
    progress: (bytes) => (progress.value += bytes),
  });
  const { staged } = await store.status();
  if (staged) await store.activate(); // else another tab was first
  said.textContent = `Version ${bundle.version} is here.`;
  await store.prune();
}

async function start() {
  const running = await store.boot();
  if (running.problem) console.warn(String(running.problem));
  await shell.show(running.address);
}

go.onclick = start;
try {
  await shell.register("worker.js");
  if (location.hash === "#update") await update();
  await start();
} catch (error) {
  document.querySelector("h1").textContent = "No update";
  progress.hidden = true;
  said.textContent = `${error.name}: ${error.message}`;
  go.hidden = false;
}
