/** Matches a Blueprint's name, which is also the name of its file. */
export const BLUEPRINT_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/;

/** Matches a version of a Blueprint, such as `v0`. */
export const BLUEPRINT_VERSION = /^v\d+$/;

const name = withoutAnchors(BLUEPRINT_NAME);
const version = withoutAnchors(BLUEPRINT_VERSION);

/** Matches a Blueprint and one of its versions, such as `acme:v0`. */
export const VERSIONED_BLUEPRINT = new RegExp(`^${name}:${version}$`);

/** Matches a Blueprint, with or without a version. */
export const BLUEPRINT_REFERENCE = new RegExp(`^${name}(:${version})?$`);

/** Returns the source of an expression without its anchors. */
function withoutAnchors({ source }: RegExp): string {
  return source.slice(1, -1);
}
