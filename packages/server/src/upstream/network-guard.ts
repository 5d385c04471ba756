import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { NangoError } from '../errors/nango-error.ts';

// Addresses that do not lead to the Internet (IANA special-purpose registries, RFC 6890), cloud metadata services among them.
const PRIVATE: readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['240.0.0.0', 4, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
];

const refused = new BlockList();
for (const subnet of PRIVATE) refused.addSubnet(...subnet);

/** Whether an address is private, and not in one of the networks that are `allowed` (`10.1.0.0/16`). */
export function isRefusedAddress(address: string, allowed: readonly string[]): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return refused.check(address, family) && !toBlockList(allowed).check(address, family);
}

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of networks) {
    const [network = '', prefix = ''] = text.split('/');
    list.addSubnet(network, Number(prefix), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/**
 * Connects to public addresses alone. The very address is checked that is connected to, so that a name cannot resolve to
 * one for the check and to another for the connection.
 */
export function createGuardedConnector(
  options: buildConnector.BuildOptions,
  allowed: () => readonly string[],
): buildConnector.connector {
  const connect = buildConnector({ ...options, lookup: createGuardedLookup(allowed) });
  return (target, callback) => {
    // An address is not looked up.
    const host = target.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && isRefusedAddress(host, allowed())) callback(refusal(host), null);
    else connect(target, callback);
  };
}

/** `resolve` is for tests. */
export function createGuardedLookup(allowed: () => readonly string[], resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const bad = addresses.find(({ address }) => isRefusedAddress(address, allowed()));
      if (bad) return callback(refusal(hostname), []);
      const [first] = addresses;
      if (options.all || !first) return callback(null, addresses);
      return callback(null, first.address, first.family);
    });
  };
}

function refusal(host: string): NangoError {
  return new NangoError(
    'address_refused',
    `${host} leads into a private network. Where connections or Blueprints of your own choose the host, allowed_private_networks in nango-config.yaml has to name the network.`,
  );
}
