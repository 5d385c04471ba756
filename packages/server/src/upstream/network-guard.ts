import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';
import { NangoError } from '../errors/nango-error.ts';
import { CLOUD_ADDRESSES, EMBEDDED_IPV4, GLOBAL_UNICAST, SPECIAL_NETWORKS } from './special-addresses.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [Address, number];

const special = SPECIAL_NETWORKS.map(([network]) => parseNetwork(network));
const clouds = new Set(CLOUD_ADDRESSES.map(([address]) => ipaddr.parse(address).toNormalizedString()));
const globalUnicast = parseNetwork(GLOBAL_UNICAST);
const embedding = EMBEDDED_IPV4.map((place) => ({ ...place, network: parseNetwork(place.network) }));

/**
 * Whether an address is neither public nor in one of the `allowed` networks (`10.1.0.0/16`). For an IPv6 address that
 * leads to an IPv4 address, the IPv4 address is checked. Invalid addresses are refused.
 */
export function isRefusedAddress(text: string, allowed: readonly string[]): boolean {
  const address = parseAddress(text);
  return address === undefined || isRefused(address, allowed.map(parseNetwork));
}

function isRefused(address: Address, allowed: readonly Network[]): boolean {
  if (allowed.some((network) => isWithin(address, network))) return false;
  const embedded = embeddedIpv4(address);
  if (embedded.length > 0) return embedded.some((inner) => isRefused(inner, allowed));
  return !isPublic(address);
}

function isPublic(address: Address): boolean {
  if (address.kind() === 'ipv6' && !isWithin(address, globalUnicast)) return false;
  return !clouds.has(address.toNormalizedString()) && !special.some((network) => isWithin(address, network));
}

function embeddedIpv4(address: Address): Address[] {
  const bytes = address.toByteArray();
  return embedding
    .filter(({ network }) => isWithin(address, network))
    .map(({ at, inverted }) => {
      const inner = bytes.slice(at, at + 4);
      return ipaddr.fromByteArray(inverted ? inner.map((byte) => byte ^ 0xff) : inner);
    });
}

function isWithin(address: Address, [network, prefix]: Network): boolean {
  return address.kind() === network.kind() && address.match(network, prefix);
}

/** Parses an address as resolvers and sockets do: with a zone (RFC 4007 §11), and `0x7f.1` as 127.0.0.1. */
function parseAddress(text: string): Address | undefined {
  const withoutZone = text.replace(/%.*$/s, '');
  return ipaddr.isValid(withoutZone) ? ipaddr.parse(withoutZone) : undefined;
}

function parseNetwork(text: string): Network {
  return ipaddr.parseCIDR(text);
}

/**
 * Returns a connector that connects to public and `allowed` addresses only. It connects to the address that it checked,
 * so a name cannot resolve to another one in between.
 */
export function createGuardedConnector(
  options: buildConnector.BuildOptions,
  allowed: () => readonly string[],
): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup: createGuardedLookup(allowed) });
  return (target, callback) => {
    // An address needs no lookup.
    const host = target.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
    if (parseAddress(host) !== undefined && isRefusedAddress(host, allowed())) callback(addressRefused(host), null);
    else connect(target, callback);
  };
}

/** Returns a lookup that fails if one of a name's addresses is refused. `resolve` is for tests. */
export function createGuardedLookup(allowed: () => readonly string[], resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const refused = addresses.find(({ address }) => isRefusedAddress(address, allowed()));
      if (refused) return callback(addressRefused(hostname), []);
      const [first] = addresses;
      if (options.all || !first) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

function addressRefused(host: string): NangoError {
  return new NangoError(
    'address_refused',
    `${host} leads into a private network. A connection, a provider’s response or a Blueprint of your own chose this ` +
      'host. To allow it, add the network to allowed_private_networks in nango-config.yaml.',
  );
}
