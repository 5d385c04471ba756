/**
 * The value at a path: names joined by dots. Numbers count in lists, negative ones from the end. `*` is the only member
 * that is a list. A backslash precedes a dot within a name. Only own members are read, so no path leads into a
 * prototype.
 */
export function memberAt(answer: unknown, path: string): unknown {
  let found = answer;
  for (const part of path.split(/(?<!\\)\./)) found = member(found, part.replaceAll('\\.', '.'));
  return found;
}

function member(holder: unknown, name: string): unknown {
  if (name === '*') return onlyListOf(holder);
  if (Array.isArray(holder)) return /^-?\d+$/.test(name) ? holder.at(Number(name)) : undefined;
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, name)) return undefined;
  return Reflect.get(holder, name);
}

function onlyListOf(holder: unknown): unknown {
  if (Array.isArray(holder)) return holder;
  const lists = typeof holder === 'object' && holder !== null ? Object.values(holder).filter(Array.isArray) : [];
  return lists.length === 1 ? lists[0] : undefined;
}
