/** A Blueprint's name. It is also the name of its file. */
export const BLUEPRINT_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]*$/;

/** A version of a Blueprint, such as `v0`. */
export const BLUEPRINT_VERSION = /^v\d+$/;

const name = inner(BLUEPRINT_NAME);
const version = inner(BLUEPRINT_VERSION);

/** A Blueprint and one of its versions, such as `acme:v0`. */
export const VERSIONED_BLUEPRINT = new RegExp(`^${name}:${version}$`);

/** A Blueprint, with or without a version. */
export const BLUEPRINT_REFERENCE = new RegExp(`^${name}(:${version})?$`);

/** The expression without its anchors. */
function inner({ source }: RegExp): string {
  return source.slice(1, -1);
}
