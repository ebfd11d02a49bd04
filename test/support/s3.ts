import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isS3Here, type S3, startS3 } from '../../infra/s3/start-s3.ts';

/**
 * For `describeWith('s3', await s3Here(), ...)`. The first time on a machine it may build the gateway, which takes minutes.
 * A lack says why on standard error.
 */
export const s3Here = (): Promise<boolean> => isS3Here((line) => process.stderr.write(`s3: ${line}\n`));

export interface TestS3 extends S3 {
  /** A bucket that is empty and nobody else's. */
  newBucket(): Promise<string>;
}

/** Makes the buckets of an installation of Vigil. @returns the settings by which its processes find them */
export async function vigilStore(s3: S3): Promise<Record<string, string>> {
  for (const bucket of ['uploads', 'references', 'vigil']) await s3.createBucket(bucket);
  return {
    VIGIL_S3_ENDPOINT: s3.endpoint,
    VIGIL_S3_REGION: s3.region,
    VIGIL_S3_ACCESS_KEY: s3.accessKey,
    VIGIL_S3_SECRET_KEY: s3.secretKey,
  };
}

/** A server for one test file. Stopped, and what it kept removed, when disposed of. */
export async function startTestS3(): Promise<TestS3> {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-s3-'));
  const s3 = await startS3({ folder, log: (line) => process.stderr.write(`s3: ${line}\n`) });
  if (!s3) throw new Error('there is no S3 server to test against, and none can be made');
  return {
    ...s3,
    async newBucket() {
      const name = `vigil-test-${randomBytes(6).toString('hex')}`;
      await s3.createBucket(name);
      return name;
    },
    async [Symbol.asyncDispose]() {
      await s3[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
