/** Where the vectors are, for a page: what places.js is for Node. */

const texts = await (await fetch("/vectors.json")).json();

export const vectorTexts = () => new Map(Object.entries(texts.vectors));
export const headTexts = () => new Map(Object.entries(texts.heads));
export const recipeTexts = () => new Map(Object.entries(texts.recipes));
export const trustTexts = () => new Map(Object.entries(texts.trust));
export const keyTexts = () => new Map(Object.entries(texts.keys));
export const zstdBytes = () => undefined; // it is fetched from beside its module
