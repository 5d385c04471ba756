import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

// Both src/ and dist/ lie directly in the package.
const PACKAGE_FOLDER = join(import.meta.dirname, '..');

/** The Blueprints that ship with the product. */
export const CATALOG_FOLDER = join(PACKAGE_FOLDER, 'blueprints');

/** The product's version. */
export const VERSION = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(join(PACKAGE_FOLDER, 'package.json'), 'utf8'))).version;
