/**
 * Where a bundle's plaintext comes from: its payload, or as little as will do of a server: the recipe from what is
 * installed, else that from nothing; and by ranges what a recipe did not give (docs/delta.md, On the device).
 */

/** @import { Bytes } from "./bytes.js" */
/** @import { Means } from "./rebuilt.js" */
/** @import { Release } from "./releases.js" */
/** @import { Statement } from "./statement.js" */
/** @import { Download } from "./state.js" */

/** @typedef {Awaited<ReturnType<typeof import("./incoming.js").openIncoming>>} Incoming */
/** @typedef {{ pieces: AsyncIterable<Bytes>, download: () => Download | null }} Arriving */

const RECIPE_TYPE = "application/vnd.capseal.delta.v1";

/**
 * Return the plaintext of a bundle, each piece checked before it is given, and what was downloaded once it has ended.
 * @param {Incoming} incoming
 * @param {Release | null} release
 * @param {Means} means
 * @returns {Promise<Arriving>}
 */
export async function plaintextFrom(incoming, release, means) {
  const { statement } = incoming.verified;
  const recipes = release && means.recipeMemoryBytes > 0 ? recipesOf(statement) : new Map();
  if (release && recipes.size > 0) {
    const { rebuiltFrom } = await import("./rebuilt.js"); // here, since most installs use no recipe
    const rebuilt = await rebuiltFrom(incoming, release, recipes, means);
    if (rebuilt) return rebuilt;
  }
  const { size } = statement.payload;
  return {
    pieces: incoming.plaintext(means.identity),
    download: () => (release ? { bytes: size, of: size, source: "payload" } : null),
  };
}

/**
 * Return the sealed recipes that are smaller than the payload, by their names.
 * @param {Statement} statement
 */
function recipesOf({ attachments = [], payload }) {
  const recipes = attachments.filter(
    ({ mediaType, encryption, digest, size }) =>
      mediaType === RECIPE_TYPE && encryption && digest["fsverity-sha256"] !== undefined && size < payload.size,
  );
  return new Map(recipes.map((recipe) => [recipe.name, recipe]));
}
