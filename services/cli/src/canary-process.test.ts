/** Real: canaries as processes. What they watch is not there. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { canaryEnv } from './canary-process.ts';

test('a canary beside an instance is told of its key, at whatever address that one listens', () => {
  expect(canaryEnv({ HOME: '/h' }, 'http://10.0.0.7:8080', '/data')).toEqual({
    HOME: '/h',
    VIGIL_CANARY_INSTANCE: 'http://10.0.0.7:8080',
    VIGIL_CANARY_KEY_FILE: path.join('/data', 'operator.key'),
    VIGIL_DATA: '/data',
  });
  const given = canaryEnv({ VIGIL_CANARY_KEY_FILE: '/run/secrets/key' }, 'http://10.0.0.7:8080', '/data');
  expect(given.VIGIL_CANARY_KEY_FILE).toBe('/run/secrets/key');
});
