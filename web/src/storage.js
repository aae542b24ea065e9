/** What a device store needs of where it is kept; shells have one each. */

/** @import { Bytes } from "./bytes.js" */

/**
 * Where a device store keeps its state and its bundles. Every call may be the last one of its process.
 *
 * A folder has a name (letters, digits, `.`, `_`, `-`) that is never used twice; a path in it is one that an archive may
 * have: names with `/` between. What a call throws says "could not", and is never remembered as a bundle's fault.
 * @typedef {object} Storage
 * @property {() => Promise<Bytes | null>} load the state's record, null before the first
 * @property {(record: Bytes) => Promise<void>} save replaces it, all or nothing, durable once it resolves
 * @property {<T>(name: "state" | "install", work: () => Promise<T>) => Promise<T>} locked does it while nobody else
 *   does anything under that name, in no page; ends with the page. Throws UsageError where somebody is busy for long
 * @property {() => Promise<string[]>} folders
 * @property {(folder: string, path: string, pieces: AsyncIterable<Bytes> | Iterable<Bytes>) => Promise<void>} write a new
 *   file; each piece is good until the next one is asked for
 * @property {(folder: string, path: string) => Promise<Blob | null>} read null where there is no such file
 * @property {(folder: string) => Promise<string[]>} paths of all files
 * @property {(folder: string) => Promise<void>} remove with all that is in it, which need not exist
 */

/**
 * What shows bundles.
 * @typedef {object} Shell
 * @property {(folder: string) => Promise<string>} address of a bundle's content, as show() takes it
 * @property {(address: string) => Promise<void>} show goes there
 * @property {(folder: string) => Promise<boolean>} alive says whether another page runs from that folder
 *   now, or may be on its way there: then its trial is not over
 */

export {};
