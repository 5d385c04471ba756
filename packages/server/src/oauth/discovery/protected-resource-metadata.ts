import { z } from 'zod';
import { metadataDocument, wellKnownUrl } from './metadata-document.ts';
import type { OAuthHttp } from '../oauth-http.ts';

/** Protected resource metadata (RFC 9728 §2): the members that a client needs. */
const protectedResourceMetadataSchema = z.object({
  resource: z.url({ protocol: /^https?$/ }),
  authorization_servers: z.array(z.url({ protocol: /^https?$/ })).default([]),
  scopes_supported: z.array(z.string()).optional(),
});

/** Parsed protected resource metadata. */
export type ProtectedResourceMetadata = z.output<typeof protectedResourceMetadataSchema>;

/**
 * Loads the metadata of a protected resource, such as a remote MCP server: from the URL in its 401 (RFC 9728 §5), or
 * from its well-known URLs (§3.1). Throws `provider_error`, also if the document is another resource's (§3.3).
 */
export async function protectedResourceMetadata(resource: string, http: OAuthHttp): Promise<ProtectedResourceMetadata> {
  const { origin } = new URL(resource);
  const { wwwAuthenticate = '' } = await http({ method: 'GET', url: resource, headers: { accept: '*/*' } });
  const challenged = challengedMetadata(wwwAuthenticate);
  const wellKnown = [resource, origin].map((identifier) => wellKnownUrl(identifier, 'oauth-protected-resource'));
  return metadataDocument(
    {
      what: `The protected resource metadata of ${resource}`,
      urls: [...new Set(challenged !== undefined && URL.canParse(challenged) ? [challenged] : wellKnown)],
      schema: protectedResourceMetadataSchema,
      problem: (metadata) =>
        covers(metadata.resource, resource) ? undefined : `it is about ${metadata.resource}, not about this resource`,
    },
    http,
  );
}

/** Returns the metadata URL in a challenge (RFC 9728 §5.1). */
export function challengedMetadata(wwwAuthenticate: string): string | undefined {
  return /\bresource_metadata="([^"\s]+)"/i.exec(wwwAuthenticate)?.[1];
}

/** Whether a document applies to a resource. It may apply to a whole origin, or to a path above the resource. */
function covers(described: string, resource: string): boolean {
  const outer = new URL(described);
  const inner = new URL(resource);
  const path = outer.pathname.replace(/\/?$/, '/');
  return outer.origin === inner.origin && `${inner.pathname.replace(/\/$/, '')}/`.startsWith(path);
}
