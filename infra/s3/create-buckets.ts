/** `node create-buckets.ts NAME...`: makes buckets that are not there yet, with the settings of a Vigil process. */
import { readFileSync } from 'node:fs';
import { createBucket } from './create-bucket.ts';

const { env } = process;
const read = (name: string): string => {
  const file = env[`${name}_FILE`];
  const text = file ? readFileSync(file, 'utf8').trim() : env[name];
  if (!text) throw new Error(`${name} or ${name}_FILE is missing`);
  return text;
};

const address = {
  endpoint: read('VIGIL_S3_ENDPOINT'),
  region: env.VIGIL_S3_REGION || 'us-east-1',
  accessKey: read('VIGIL_S3_ACCESS_KEY'),
  secretKey: read('VIGIL_S3_SECRET_KEY'),
};
for (const name of process.argv.slice(2)) await createBucket(address, name);
