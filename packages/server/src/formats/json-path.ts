/**
 * Returns the value at a path, which consists of names joined by dots. A number is the index in a list; a negative
 * number counts from the end. `*` is the only member that is a list. A backslash escapes a dot within a name. Only own
 * members are read, so a path cannot reach a prototype.
 */
export function memberAt(root: unknown, path: string): unknown {
  let found = root;
  for (const part of path.split(/(?<!\\)\./)) found = member(found, part.replaceAll('\\.', '.'));
  return found;
}

function member(container: unknown, name: string): unknown {
  if (name === '*') return onlyListOf(container);
  if (Array.isArray(container)) return /^-?\d+$/.test(name) ? container.at(Number(name)) : undefined;
  if (typeof container !== 'object' || container === null || !Object.hasOwn(container, name)) return undefined;
  return Reflect.get(container, name);
}

function onlyListOf(container: unknown): unknown {
  if (Array.isArray(container)) return container;
  const lists =
    typeof container === 'object' && container !== null ? Object.values(container).filter(Array.isArray) : [];
  return lists.length === 1 ? lists[0] : undefined;
}
