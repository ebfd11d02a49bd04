import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Real images, videos and hostile files, which lie beside the project and are never part of it. */
export const CORPUS = process.env.VIGIL_CORPUS ?? fileURLToPath(new URL('../../../shared/corpus', import.meta.url));
export const corpusHere = existsSync(path.join(CORPUS, 'MANIFEST.tsv'));

/** Made copies are kept here, by content. */
export const CACHE = fileURLToPath(new URL('../../.vigil/cache/copies', import.meta.url));
