/** The app: the same page built in and in every bundle. */

import { confirmRunning } from "./capseal/confirm.js";
import { BrowserShell, BrowserStorage } from "./capseal/shells/browser/index.js";
import { APP, BOOT, CRASHES, VERSION } from "./version.js";

document.getElementById("version").textContent = VERSION;
document.getElementById("update").onclick = () => location.replace(`${BOOT}#update`);

if (CRASHES) throw new Error("this version does not start");

// It has started: only now does this bundle count as good. The built-in one has no folder, and confirms nothing.
const folder = new BrowserShell({ scope: BOOT }).folder();
const storage = new BrowserStorage({ name: APP });
if (folder !== null) await confirmRunning({ storage, app: APP, folder });
document.getElementById("said").textContent = folder === null ? "came with the app" : "installed, and confirmed";
