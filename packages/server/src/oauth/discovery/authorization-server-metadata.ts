import { z } from 'zod';
import { metadataDocument, wellKnownUrl } from './metadata-document.ts';
import type { OAuthHttp } from '../oauth-http.ts';

const endpoint = z.url({ protocol: /^https?$/ }).optional();

/** Authorization server metadata (RFC 8414 §2): the members that a client needs. */
const authorizationServerMetadataSchema = z.object({
  issuer: z.string(),
  authorization_endpoint: endpoint,
  token_endpoint: endpoint,
  revocation_endpoint: endpoint,
  /** RFC 8628 §4. */
  device_authorization_endpoint: endpoint,
  /** RFC 7591. */
  registration_endpoint: endpoint,
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  /** RFC 9207 §3: whether every authorization response carries `iss`. */
  authorization_response_iss_parameter_supported: z.boolean().default(false),
  /** RFC 8705 §5: endpoints for clients that present a certificate. */
  mtls_endpoint_aliases: z
    .object({ token_endpoint: endpoint, revocation_endpoint: endpoint, device_authorization_endpoint: endpoint })
    .optional(),
});

/** Parsed authorization server metadata. */
export type AuthorizationServerMetadata = z.output<typeof authorizationServerMetadataSchema>;

/**
 * Loads the metadata of an issuer: first by RFC 8414 §3, then by OpenID Connect Discovery §4 at its two addresses.
 * Throws `provider_error`, also if the document names another issuer (RFC 8414 §3.3).
 */
export function authorizationServerMetadata(issuer: string, http: OAuthHttp): Promise<AuthorizationServerMetadata> {
  const urls = [
    wellKnownUrl(issuer, 'oauth-authorization-server'),
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    wellKnownUrl(issuer, 'openid-configuration'),
  ];
  return metadataDocument(
    {
      what: `The authorization server metadata of ${issuer}`,
      urls: [...new Set(urls)],
      schema: authorizationServerMetadataSchema,
      problem: (metadata) =>
        metadata.issuer === issuer ? undefined : `it names the issuer "${metadata.issuer}", not the requested one`,
    },
    http,
  );
}
