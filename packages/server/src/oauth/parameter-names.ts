/** A provider's own names for the RFCs' parameters. An empty name omits the parameter. */
export type ParameterNames = Readonly<Record<string, string | undefined>>;

/** Returns parameters under the provider's names. */
export function renameParameters<T>(params: Readonly<Record<string, T>>, names: ParameterNames): Record<string, T> {
  const renamed = Object.entries(params).map(([name, value]) => [names[name] ?? name, value] as const);
  return Object.fromEntries(renamed.filter(([name]) => name !== ''));
}
