/** Returns ` Did you mean "token_url"?`, or an empty string if no candidate is similar. */
export function suggest(input: string, candidates: Iterable<string>): string {
  let best: { word: string; distance: number } | undefined;
  for (const word of candidates) {
    const distance = editDistance(input.toLowerCase(), word.toLowerCase());
    if (!best || distance < best.distance) best = { word, distance };
  }
  const tolerance = Math.max(input.length < 4 ? 1 : 2, Math.floor(input.length / 3));
  return best && best.distance <= tolerance ? ` Did you mean "${best.word}"?` : '';
}

/** Levenshtein distance of two names, which are cut at 64 characters. */
function editDistance(a: string, b: string): number {
  const left = a.slice(0, 64);
  const right = b.slice(0, 64);
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
