import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

export interface SourceFile {
  /** From the project folder, with forward slashes. */
  path: string;
  /** `packages/x` or `services/x`, or the top folder for the rest. */
  part: string;
  /** Tests and what only tests import: `*.test.ts`, contract suites, everything under test/; and a package's tools/, run by hand. */
  forTests: boolean;
  imports: string[];
}

/** Files that git knows, and new ones that it does not ignore: what is about to be committed is judged as well. */
export function projectFiles(): string[] {
  // The project may belong to another user than the one who runs the tests, which git would refuse to read.
  const git = [
    '-c',
    `safe.directory=${PROJECT.replace(/\/$/, '')}`,
    'ls-files',
    '-z',
    '--cached',
    '--others',
    '--exclude-standard',
  ];
  const listed = execFileSync('git', git, { cwd: PROJECT, encoding: 'utf8', maxBuffer: 16e6 }).split('\0');
  return [...new Set(listed)].filter((path) => path !== '' && existsSync(join(PROJECT, path)));
}

export function sourceFiles(): SourceFile[] {
  return projectFiles()
    .filter((path) => /\.(ts|tsx|mjs|js)$/.test(path))
    .map((path) => {
      const folders = path.split('/');
      const part = folders.slice(0, folders[0] === 'packages' || folders[0] === 'services' ? 2 : 1).join('/');
      const forTests =
        /(\.test\.ts|contract-suite\.ts)$/.test(path) ||
        /^(packages|services)\/[^/]+\/tools\//.test(path) ||
        part === 'test' ||
        /(^|\/)vite(st)?\.config\.ts$/.test(path);
      return { path, part, forTests, imports: importsOf(readFileSync(join(PROJECT, path), 'utf8')) };
    });
}

/** What a module names in import, export-from, import() and resolve calls. Comments are left out first. */
export function importsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '');
  const forms = [
    /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require|require\.resolve|import\.meta\.resolve|createRequire\([^)]*\)\.resolve)\(\s*['"]([^'"]+)['"]/g,
  ];
  return [...new Set(forms.flatMap((form) => [...code.matchAll(form)].map(([, name]) => name ?? '')))];
}

/** `@vigil/runtime` of `@vigil/runtime/x`; null for relative paths and what Node itself brings. */
export function packageOf(specifier: string): string | null {
  if (/^(\.|\/|node:|data:)/.test(specifier)) return null;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

export interface PackageFile {
  name: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

export function packageFile(part: string): PackageFile {
  return JSON.parse(readFileSync(join(PROJECT, part, 'package.json'), 'utf8'));
}
