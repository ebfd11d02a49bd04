import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** The page as files that may be kept for ever (their names carry digests), and an index.html that names them. */
export default defineConfig({
  root: fileURLToPath(new URL('./web', import.meta.url)),
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('./dist', import.meta.url)),
    emptyOutDir: true,
    target: 'es2023',
    // Nothing inline: the content security policy allows no data: and no inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
