/** Where the vectors are, for a page: what places.js is for Node. */

const { vectors, keys } = await (await fetch("/vectors.json")).json();

export const vectorTexts = () => new Map(Object.entries(vectors));
export const keyTexts = () => new Map(Object.entries(keys));
