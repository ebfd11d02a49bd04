import { createHash, createHmac } from 'node:crypto';

export interface S3Address {
  endpoint: string;
  region: string;
  accessKey: string;
  secretKey: string;
}

/**
 * Makes a bucket, by path style; quiet when it is ours already. Signed by hand (AWS Signature Version 4) so that nothing
 * of the project needs a second S3 client.
 */
export async function createBucket({ endpoint, region, accessKey, secretKey }: S3Address, name: string): Promise<void> {
  const url = new URL(`/${encodeURIComponent(name)}`, endpoint);
  const day = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const date = day.slice(0, 8);
  const empty = sha256('');
  const names = 'host;x-amz-content-sha256;x-amz-date';
  const headers = `host:${url.host}\nx-amz-content-sha256:${empty}\nx-amz-date:${day}\n`;
  const scope = `${date}/${region}/s3/aws4_request`;
  const request = ['PUT', url.pathname, '', headers, names, empty].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', day, scope, sha256(request)].join('\n');
  const parts = [date, region, 's3', 'aws4_request'];
  const key = parts.reduce<Buffer>((secret, part) => hmac(secret, part), Buffer.from(`AWS4${secretKey}`));
  const signature = hmac(key, toSign).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  const answer = await fetch(url, {
    method: 'PUT',
    headers: { authorization, 'x-amz-date': day, 'x-amz-content-sha256': empty },
    signal: AbortSignal.timeout(20_000),
  });
  const said = await answer.text();
  if (answer.ok || said.includes('BucketAlreadyOwnedByYou')) return;
  throw new Error(`bucket ${name} was not made: ${answer.status} ${said.slice(0, 500)}`);
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
