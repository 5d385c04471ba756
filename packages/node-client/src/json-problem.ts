/**
 * Returns why a value cannot be JSON, with its place; undefined if it can. JSON.stringify would drop or change such a
 * value without an error.
 */
export function jsonProblem(value: unknown, path: string, parents = new Set<object>()): string | undefined {
  if (value === undefined || value === null || value instanceof Date) return undefined;
  if (typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} cannot be JSON: it is ${value}.`;
  if (typeof value !== 'object') return `${path} cannot be JSON: it is a ${typeof value}.`;
  if (parents.has(value)) return `${path} cannot be JSON: it contains itself.`;
  if (!isPlain(value)) return `${path} cannot be JSON: it is a ${value.constructor.name}.`;
  parents.add(value);
  for (const [key, item] of Object.entries(value)) {
    const problem = jsonProblem(item, `${path}.${key}`, parents);
    if (problem !== undefined) return problem;
  }
  parents.delete(value);
  return undefined;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype) === null || 'toJSON' in value;
}
