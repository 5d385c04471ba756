import { z } from 'zod';

/** The schema of a Blueprint's file. `auth` and `requests` are validated where they are used, merged with the Integration. */
export const blueprintFileSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/)
    .describe('Same as the file’s name'),
  display_name: z.string().min(1).describe('The provider’s name as people write it'),
  docs_url: z.url({ protocol: /^https?$/ }).describe('The provider’s documentation of its authorization'),
  maintainer: z.string().min(1).describe('Who to ask about this Blueprint'),
  versions: z
    .record(
      z.string().regex(/^v\d+$/, 'must be v0, v1, …'),
      z.strictObject({
        comment: z.string().optional().describe('What a developer must know before using it'),
        auth: z.record(z.string(), z.unknown()).describe('As in integrations.yaml'),
        config: z.record(z.string(), z.unknown()).optional().describe('As in integrations.yaml'),
        requests: z.record(z.string(), z.unknown()).describe('As in integrations.yaml'),
      }),
    )
    .refine((versions) => Object.keys(versions).length > 0, 'must have at least one version')
    .describe('Frozen once released; a changed fact is a new version'),
});

/** The newest of some versions: `v10` is newer than `v9`. */
export function latestVersion(versions: readonly string[]): string | undefined {
  return [...versions].sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)))[0];
}
