/** A provider's own names for the RFCs' parameters; an empty name leaves the parameter out. */
export type ParameterNames = Readonly<Record<string, string | undefined>>;

/** Parameters under the names a provider wants. */
export function renameParameters<T>(params: Readonly<Record<string, T>>, names: ParameterNames): Record<string, T> {
  const renamed = Object.entries(params).map(([name, value]) => [names[name] ?? name, value] as const);
  return Object.fromEntries(renamed.filter(([name]) => name !== ''));
}
