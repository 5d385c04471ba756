import { join } from 'node:path';
import manifest from '../package.json' with { type: 'json' };

/** The Blueprints that ship with the product. src/ and dist/ are both directly in the package. */
export const CATALOG_FOLDER = join(import.meta.dirname, '..', 'blueprints');

/** The product's version. */
export const VERSION: string = manifest.version;
