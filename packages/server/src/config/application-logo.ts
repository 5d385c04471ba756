import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { messageOf } from '../errors/nango-error.ts';

const MAX_BYTES = 65_536;
const TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.svg': 'image/svg+xml',
};

/**
 * Returns an image file of the Nango folder as a `data:` URL, so that pages do not request it from another server; or
 * why the file cannot be used.
 */
export async function loadLogo(folder: string, file: string): Promise<{ url: string } | { problem: string }> {
  const type = TYPES[extname(file).toLowerCase()];
  if (!type) return { problem: `must be a file that ends with ${Object.keys(TYPES).join(', ')}` };
  try {
    const bytes = await readFile(resolve(folder, file));
    if (bytes.length > MAX_BYTES) return { problem: `must have at most ${MAX_BYTES} bytes, but has ${bytes.length}` };
    return { url: `data:${type};base64,${bytes.toString('base64')}` };
  } catch (error) {
    return { problem: `cannot be read: ${messageOf(error)}` };
  }
}
