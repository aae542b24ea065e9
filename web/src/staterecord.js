/** The state as bytes: one record, which is replaced and never changed (docs/device.md, The state file). */

import { shown, toBase64, utf8 } from "./bytes.js";
import { UsageError } from "./errors.js";
import { headsJson, parseHeads } from "./headmemory.js";
import { Members, asString, checkFingerprint, checkMoment, checkName, checkText, exactly, fromBase64 } from "./members.js";
import { freshState } from "./state.js";
import { parse } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Failure, InstalledBundle, State, Trial, TrustMemory } from "./state.js" */

const STATE_TYPE = "capseal-device-v1";
const MAX_FAILURES = 1_000_000; // each one took a signature by a trusted key
const MAX_CONFIRMED = 100_000;
const MAX_UPDATES = 100_000; // each one took a signature by a root

/**
 * Return the bytes of the state's record.
 * @param {State} state
 */
export function encodeState(state) {
  const { app, channel, floor, highest, newest, staged, pending, confirmed, failed, heads, trust } = state;
  return utf8(
    JSON.stringify({
      ...{ type: STATE_TYPE, app, channel, floor, highest, newest },
      ...{ staged: staged ? [staged] : [], pending: pending ? [pending] : [], confirmed, failed },
      ...(heads ? { heads: headsJson(heads) } : {}),
      ...(trust ? { trust: trustJson(trust) } : {}),
    }),
  );
}

/** @param {TrustMemory} memory */
function trustJson({ updates, restarted }) {
  return {
    ...(updates.length > 0 ? { updates: updates.map(toBase64) } : {}),
    ...(restarted ? { restarted } : {}),
  };
}

/**
 * Parse a state's record strictly. Throws FormatError.
 * @param {Bytes} data
 * @returns {State}
 */
export function parseState(data) {
  const names = ["type", "app", "channel", "floor", "highest", "newest", "staged", "pending", "confirmed", "failed"];
  const members = new Members(parse(data, "state"), "state", names, ["heads", "trust"]);
  members.text("type", exactly(STATE_TYPE));
  return {
    ...freshState(members.text("app", checkName), members.text("channel", checkName)),
    floor: members.integer("floor", 0),
    highest: members.integer("highest", 0),
    newest: members.text("newest", (text, place) => (text === "" ? text : checkMoment(text, place))),
    staged: members.array("staged", 0, 1).map(parseBundle)[0] ?? null,
    pending: members.array("pending", 0, 1).map(parseTrial)[0] ?? null,
    confirmed: members.array("confirmed", 0, MAX_CONFIRMED).map(parseBundle),
    failed: members.array("failed", 0, MAX_FAILURES).map(parseFailure),
    heads: members.has("heads") ? parseHeads(members.value["heads"], members.place("heads")) : null,
    trust: members.has("trust") ? parseTrust(members.object("trust", [], ["updates", "restarted"])) : null,
  };
}

/**
 * @param {[unknown, string]} item
 * @returns {InstalledBundle}
 */
function parseBundle([value, place]) {
  const required = ["digest", "sequence", "version", "created", "manifest", "folder"];
  const members = new Members(value, place, required, ["permit", "download"]);
  members.text("digest", checkFingerprint);
  members.integer("sequence", 1);
  members.text("version", checkText);
  members.text("created", checkMoment);
  members.text("manifest", checkFingerprint);
  members.text("folder", checkName);
  if (members.has("permit")) members.integer("permit", 0);
  if (members.has("download")) {
    const download = members.object("download", ["bytes", "of", "source"]);
    download.integer("bytes", 0);
    download.integer("of", 0);
    download.text("source", checkText);
  }
  return /** @type {InstalledBundle} */ (members.value);
}

/**
 * @param {[unknown, string]} item
 * @returns {Trial}
 */
function parseTrial([value, place]) {
  const members = new Members(value, place, ["bundle", "starts", "started_ms"]);
  return {
    bundle: parseBundle([members.value["bundle"], members.place("bundle")]),
    starts: members.integer("starts", 0),
    started_ms: members.integer("started_ms", 0),
  };
}

/**
 * @param {[unknown, string]} item
 * @returns {Failure}
 */
function parseFailure([value, place]) {
  const members = new Members(value, place, ["digest", "sequence", "version", "reason", "by"]);
  members.text("digest", checkFingerprint);
  members.integer("sequence", 1);
  members.text("version", checkText);
  members.text("reason", checkText);
  members.text("by", (text) => text);
  return /** @type {Failure} */ (members.value);
}

/**
 * @param {Members} members
 * @returns {TrustMemory}
 */
function parseTrust(members) {
  const updates = members.has("updates") ? members.array("updates", 1, MAX_UPDATES) : [];
  return {
    updates: updates.map(([item, place]) => fromBase64(asString(item, place), place)),
    restarted: members.has("restarted") ? parseRestart(members.object("restarted", ["sequence", "created"])) : null,
  };
}

/** @param {Members} members */
function parseRestart(members) {
  return { sequence: members.integer("sequence", 0), created: members.text("created", checkMoment) };
}

/**
 * Return the state of a record, or a fresh one where there is none; it must be that app's and channel's.
 *
 * Throws FormatError, UsageError.
 * @param {Bytes | null} data
 * @param {string} app
 * @param {string} channel
 */
export function stateOf(data, app, channel) {
  if (data === null) return freshState(app, channel);
  const state = parseState(data);
  if (state.app !== app || state.channel !== channel) {
    throw new UsageError(
      `state is of app ${shown(state.app)}, channel ${shown(state.channel)}, not of ${shown(app)}, ${shown(channel)}`,
    );
  }
  return state;
}
