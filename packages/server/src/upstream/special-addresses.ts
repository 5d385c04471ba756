/**
 * Networks without public APIs, each with the RFC that reserves it.
 *
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), as of RFC 9780 (May 2025), with
 * the globally reachable entries; the multicast and reserved ranges of IANA's address space registries. Entries within
 * other entries are listed too, so that the list can be compared with the registries line by line. IPv6 addresses
 * outside {@link GLOBAL_UNICAST} need no entry.
 */
export const SPECIAL_NETWORKS: readonly (readonly [network: string, name: string])[] = [
  ['0.0.0.0/8', 'this network, RFC 791'],
  ['0.0.0.0/32', 'this host on this network, RFC 1122'],
  ['10.0.0.0/8', 'private use, RFC 1918'],
  ['100.64.0.0/10', 'shared address space, RFC 6598'],
  ['127.0.0.0/8', 'loopback, RFC 1122'],
  ['169.254.0.0/16', 'link local, RFC 3927'],
  ['172.16.0.0/12', 'private use, RFC 1918'],
  ['192.0.0.0/24', 'IETF protocol assignments, RFC 6890'],
  ['192.0.0.0/29', 'IPv4 service continuity prefix, RFC 7335'],
  ['192.0.0.8/32', 'IPv4 dummy address, RFC 7600'],
  ['192.0.0.9/32', 'Port Control Protocol anycast, RFC 7723'],
  ['192.0.0.10/32', 'TURN anycast, RFC 8155'],
  ['192.0.0.170/32', 'NAT64/DNS64 discovery, RFC 8880'],
  ['192.0.0.171/32', 'NAT64/DNS64 discovery, RFC 8880'],
  ['192.0.2.0/24', 'documentation, RFC 5737'],
  ['192.31.196.0/24', 'AS112, RFC 7535'],
  ['192.52.193.0/24', 'AMT, RFC 7450'],
  ['192.88.99.0/24', '6to4 relay anycast, RFC 7526'],
  ['192.168.0.0/16', 'private use, RFC 1918'],
  ['192.175.48.0/24', 'AS112, RFC 7534'],
  ['198.18.0.0/15', 'benchmarking, RFC 2544'],
  ['198.51.100.0/24', 'documentation, RFC 5737'],
  ['203.0.113.0/24', 'documentation, RFC 5737'],
  ['224.0.0.0/4', 'multicast, RFC 5771'],
  ['240.0.0.0/4', 'reserved, RFC 1112'],
  ['255.255.255.255/32', 'limited broadcast, RFC 919'],
  ['2001::/23', 'IETF protocol assignments, RFC 2928'],
  ['2001:1::1/128', 'Port Control Protocol anycast, RFC 7723'],
  ['2001:1::2/128', 'TURN anycast, RFC 8155'],
  ['2001:1::3/128', 'DNS-SD service registration anycast, RFC 9665'],
  ['2001:2::/48', 'benchmarking, RFC 5180'],
  ['2001:3::/32', 'AMT, RFC 7450'],
  ['2001:4:112::/48', 'AS112, RFC 7535'],
  ['2001:10::/28', 'ORCHID, RFC 4843'],
  ['2001:20::/28', 'ORCHIDv2, RFC 7343'],
  ['2001:30::/28', 'drone remote identification, RFC 9374'],
  ['2001:db8::/32', 'documentation, RFC 3849'],
  ['2620:4f:8000::/48', 'AS112, RFC 7534'],
  ['3fff::/20', 'documentation, RFC 9637'],
];

/** All of IPv6 that IANA assigns to public hosts (RFC 4291 §2.4). */
export const GLOBAL_UNICAST = '2000::/3';

/**
 * Addresses at which clouds serve credentials, certificates or settings to their machines. They may be in any range.
 */
export const CLOUD_ADDRESSES: readonly (readonly [address: string, name: string])[] = [
  ['169.254.169.254', 'metadata of most clouds'],
  ['169.254.170.2', 'credentials of Amazon ECS tasks'],
  ['169.254.170.23', 'credentials of Amazon EKS pods'],
  ['fd00:ec2::254', 'metadata of Amazon EC2'],
  ['fd00:ec2::23', 'credentials of Amazon EKS pods'],
  ['fd20:ce::254', 'metadata of Google Cloud'],
  ['168.63.129.16', 'platform services of Azure'],
  ['100.100.100.200', 'metadata of Alibaba Cloud'],
  ['192.0.0.192', 'metadata of Oracle Cloud'],
  ['fd00:c1::a9fe:a9fe', 'metadata of Oracle Cloud'],
  ['fd00:42::42', 'metadata of Scaleway'],
];

/** IPv6 networks whose addresses lead to an IPv4 address, and the bytes that hold it. */
export const EMBEDDED_IPV4: readonly { readonly network: string; readonly at: number; readonly inverted?: true }[] = [
  // RFC 4291 §2.5.5.2: IPv4-mapped.
  { network: '::ffff:0:0/96', at: 12 },
  // RFC 6052 §2.1: NAT64.
  { network: '64:ff9b::/96', at: 12 },
  // RFC 8215: NAT64 of a private network. For other prefixes under 64:ff9b:1::/48 the position of the IPv4 address is
  // unknown.
  { network: '64:ff9b:1::/96', at: 12 },
  // RFC 3056 §2: 6to4.
  { network: '2002::/16', at: 2 },
  // RFC 4380 §4: Teredo names a server and, inverted, the client.
  { network: '2001::/32', at: 4 },
  { network: '2001::/32', at: 12, inverted: true },
];
