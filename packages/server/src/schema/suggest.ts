/** ` Did you mean "token_url"?`, or an empty string if no known name is similar. */
export function suggest(written: string, known: Iterable<string>): string {
  let best: { word: string; distance: number } | undefined;
  for (const word of known) {
    const distance = editDistance(written.toLowerCase(), word.toLowerCase());
    if (!best || distance < best.distance) best = { word, distance };
  }
  const tolerance = Math.max(written.length < 4 ? 1 : 2, Math.floor(written.length / 3));
  return best && best.distance <= tolerance ? ` Did you mean "${best.word}"?` : '';
}

/** Levenshtein distance, by rows; inputs are names, so they are cut at 64 characters. */
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
