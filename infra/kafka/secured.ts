import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from './run.ts';

/** A listener with TLS under a certificate of our own, and SASL/PLAIN under a user of our own. */
export interface Secured {
  brokers: string[];
  /** PEM: the certificate is its own authority. */
  ca: string;
  username: string;
  password: string;
  keystore: string;
}

const LIMIT_MS = 60_000;

/** @throws Error when Java has no keytool */
export async function makeSecured(java: string, folder: string, port: number): Promise<Secured> {
  const keytool = java.includes('/') ? join(dirname(java), 'keytool') : 'keytool';
  const [username, password] = ['vigil', randomBytes(12).toString('hex')];
  // Beside the broker's data, where it looks at folders only.
  const [keystore, pem] = [join(folder, 'keystore.p12'), join(folder, 'ca.pem')];
  await rm(keystore, { force: true });
  const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', password, '-alias', 'kafka'];
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=ip:127.0.0.1,dns:localhost', '-validity', '30'];
  await run(keytool, ['-genkeypair', '-keyalg', 'EC', ...store, ...names], { limitMs: LIMIT_MS });
  await run(keytool, ['-exportcert', '-rfc', '-file', pem, ...store], { limitMs: LIMIT_MS });
  const ca = await readFile(pem, 'utf8');
  return { brokers: [`127.0.0.1:${port}`], ca, username, password, keystore };
}

export function securedProperties({ brokers, username, password, keystore }: Secured) {
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`;
  return {
    listener: `,SECURED://${brokers[0]}`,
    protocol: ',SECURED:SASL_SSL',
    lines: [
      'sasl.enabled.mechanisms=PLAIN',
      `listener.name.secured.plain.sasl.jaas.config=${plain}`,
      `listener.name.secured.ssl.keystore.location=${keystore}`,
      'listener.name.secured.ssl.keystore.type=PKCS12',
      `listener.name.secured.ssl.keystore.password=${password}`,
      `listener.name.secured.ssl.key.password=${password}`,
    ],
  };
}
