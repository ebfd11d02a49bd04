import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let gc: (() => void) | undefined;

/**
 * V8 does not count shared memory as garbage: old segments of gigabytes would stay until the heap itself, which is small
 * beside them, gives it a reason to look. So it is told to, once what was let go of adds up.
 * @returns what to call with the bytes of each home that is let go of, and with those that are held
 */
export function createSweep(): (bytes: number, held: number) => void {
  let left = 0;
  return (bytes, held) => {
    left += bytes;
    if (left < Math.max(LEAST_BYTES, held / 2)) return;
    left = 0;
    if (!gc) {
      setFlagsFromString('--expose-gc');
      gc = runInNewContext('gc') as () => void;
    }
    gc();
  };
}

const LEAST_BYTES = 128 * 2 ** 20;
