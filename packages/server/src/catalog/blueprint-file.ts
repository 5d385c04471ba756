import { z } from 'zod';
import { BLUEPRINT_NAME, BLUEPRINT_VERSION, VERSIONED_BLUEPRINT } from './blueprint-name.ts';

/** The categories of providers. */
export const CATEGORIES = [
  'accounting',
  'ai',
  'analytics',
  'calendar',
  'communication',
  'crm',
  'customer-support',
  'design',
  'developer-tools',
  'e-commerce',
  'e-signature',
  'education',
  'email',
  'erp',
  'events',
  'files',
  'finance',
  'forms',
  'health',
  'hr',
  'identity',
  'legal',
  'logistics',
  'marketing',
  'media',
  'monitoring',
  'other',
  'payments',
  'productivity',
  'project-management',
  'recruiting',
  'sales',
  'scheduling',
  'security',
  'social',
  'surveys',
  'video',
] as const;

/**
 * The schema of a Blueprint's file. `auth` and `requests` are validated where they are used, after the merge with the
 * Integration.
 */
export const blueprintFileSchema = z.strictObject({
  name: z.string().regex(BLUEPRINT_NAME).describe('The file’s name, without .yaml'),
  display_name: z.string().min(1).describe('The provider’s name as people write it'),
  categories: z.array(z.enum(CATEGORIES)).min(1).max(4).optional().describe('Categories of the provider'),
  docs_url: z.url({ protocol: /^https?$/ }).describe('The provider’s documentation of its authorization'),
  console_url: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Where a developer registers an application, or creates an API key'),
  maintainer: z.string().min(1).describe('Whom to ask about this Blueprint'),
  verified: z
    .strictObject({
      by: z
        .enum(['sources', 'sandbox', 'live'])
        .describe('sources: written from documentation and other catalogs; sandbox, live: tested with the provider'),
      date: z.iso.date(),
      sources: z.array(z.string().min(1)).min(1).describe('What the Blueprint was checked against'),
    })
    .optional()
    .describe('How the facts were obtained'),
  versions: z
    .record(
      z.string().regex(BLUEPRINT_VERSION, 'must be v0, v1, …'),
      z
        .strictObject({
          comment: z.string().optional().describe('Facts that a developer must know before using this version'),
          extends: z
            .string()
            .regex(VERSIONED_BLUEPRINT, 'must be a Blueprint’s name and version, such as acme:v0')
            .optional()
            .describe('Version of another Blueprint that auth, config and requests are merged over'),
          auth: z.record(z.string(), z.unknown()).optional().describe('As in integrations.yaml'),
          config: z.record(z.string(), z.unknown()).optional().describe('As in integrations.yaml'),
          requests: z.record(z.string(), z.unknown()).optional().describe('As in integrations.yaml'),
        })
        .refine(
          ({ extends: base, auth, requests }) => base !== undefined || (auth !== undefined && requests !== undefined),
          'needs auth and requests, or extends',
        ),
    )
    .refine((versions) => Object.keys(versions).length > 0, 'must have at least one version')
    .describe('A released version is never changed; changed facts need a new version'),
});

/** The contents of a Blueprint's file. */
export type BlueprintFile = z.output<typeof blueprintFileSchema>;

/** Returns the newest version: `v10` is newer than `v9`. */
export function latestVersion(versions: readonly string[]): string | undefined {
  return [...versions].sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)))[0];
}

/** How the facts of a Blueprint were obtained, as the predicate of a sentence: "This Blueprint was …". */
export const PROVENANCE: Readonly<Record<NonNullable<BlueprintFile['verified']>['by'], string>> = {
  sources: 'written from these sources and not tested against the provider',
  sandbox: 'tested against the provider’s sandbox',
  live: 'tested against the provider',
};
