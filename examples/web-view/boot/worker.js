/** The service worker: serves bundles, and the files below where there is no network. */

import { serveBundles } from "./capseal/shells/browser/worker.js";
import { BrowserStorage } from "./capseal/shells/browser/storage.js";
import { APP } from "./constants.js";
import { FILES, VERSION } from "./files.js";

serveBundles({ shell: FILES, version: VERSION, storage: new BrowserStorage({ name: APP }) });
