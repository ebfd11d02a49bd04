import { statfs } from 'node:fs/promises';
import type { FileBlobStore } from '@vigil/blob-store';
import type { Clock, Logger } from '@vigil/runtime';

/** What is asked of a file system; tests stand in for it. */
export type Statfs = (path: string) => Promise<{ bavail: number; blocks: number; bsize: number }>;

export interface Disk {
  /** data: blobs and the embedded database lie there; temp: what decoders are given. */
  disk: 'data' | 'temp';
  freeBytes: number;
  sizeBytes: number;
  /** With less than this free nothing new is taken in. */
  reserveBytes: number;
}

/** Intake stands still until there is room again. Nothing is lost: events wait in the log, and files are refused. */
export class IntakeStopped extends Error {
  override name = 'IntakeStopped';
  readonly retriable = true;
}

/**
 * Stops intake before a disk is full, because a full one loses data: the database cannot write what was decided, and a takedown does
 * not leave. What is on its way is finished, what is new waits. Opens again by itself, once there is a half more than the reserve.
 */
export interface Disks {
  /** Looks now. Disks that cannot be looked at are left out, and logged. */
  look(): Promise<Disk[]>;
  stopped(): boolean;
  /** Resolves while there is room, at once; calls `alive` every now and then until then. @throws the signal's reason */
  whenOpen(signal: AbortSignal, alive: () => void): Promise<void>;
  /** For those who cannot wait. @throws IntakeStopped */
  refuse(): void;
  /** Looks every few seconds until aborted; `alarm` is called once each time that intake stops, until it succeeds. */
  watch(signal: AbortSignal, alarm: (message: string) => Promise<void>): Promise<void>;
}

const LOOK_MS = 2000;
const PULSE_MS = 10_000;
/** Small disks keep this part of themselves. */
const RESERVE_PART = 0.1;
const OPENS_AT = 1.5;

export function createDisks(deps: {
  paths: Readonly<Record<Disk['disk'], string>>;
  reserveBytes: number;
  clock: Clock;
  logger: Logger;
  stat?: Statfs;
}): Disks {
  const { paths, reserveBytes, clock, logger, stat = statfs } = deps;
  let why: string | null = null;
  /** Of the last stop, until its alarm went out: whoever looked may have seen it, and it may be over. */
  let owed: string | null = null;
  let unread = '';

  async function look(): Promise<Disk[]> {
    const found: Disk[] = [];
    const wrong: string[] = [];
    for (const [disk, path] of Object.entries(paths) as [Disk['disk'], string][]) {
      try {
        const { bavail, blocks, bsize } = await stat(path);
        const sizeBytes = blocks * bsize;
        const reserve = Math.min(reserveBytes, Math.round(sizeBytes * RESERVE_PART));
        found.push({ disk, freeBytes: bavail * bsize, sizeBytes, reserveBytes: reserve });
      } catch (error) {
        wrong.push(`${disk}: ${String(error)}`);
      }
    }
    if (wrong.join() !== unread && wrong.length > 0) logger.warn({ wrong }, 'a disk cannot be looked at');
    unread = wrong.join();
    const factor = why === null ? 1 : OPENS_AT;
    // A file system that has no size, as some network ones, says nothing of what is free either.
    const full = found.filter((d) => d.sizeBytes > 0 && d.freeBytes < d.reserveBytes * factor);
    const words = full.map((d) => `${d.disk} disk: ${mib(d.freeBytes)} MiB free of ${mib(d.sizeBytes)}`).join('; ');
    if (full.length > 0 && why === null) {
      logger.error({ disks: words }, 'intake stops: a disk is nearly full');
      owed = words;
    }
    if (full.length === 0 && why !== null) logger.info({}, 'intake goes on: there is room again');
    why = full.length > 0 ? words : null;
    return found;
  }

  return {
    look,
    stopped: () => why !== null,
    async whenOpen(signal, alive) {
      for (let waited = 0; why !== null; waited += LOOK_MS / 4) {
        if (waited % PULSE_MS === 0) alive();
        await clock.sleep(LOOK_MS / 4, signal);
      }
    },
    refuse() {
      if (why !== null) throw new IntakeStopped(`nothing is taken in until there is room: ${why}`);
    },
    async watch(signal, alarm) {
      while (!signal.aborted) {
        await look();
        if (owed !== null) {
          const telling = owed;
          await alarm(`intake is stopped until there is room: ${telling}`).then(
            () => {
              if (owed === telling) owed = null;
            },
            (error: unknown) =>
              logger.warn({ error }, 'the alarm about a full disk did not go out, and is tried again'),
          );
        }
        await Promise.allSettled([clock.sleep(LOOK_MS, signal)]);
      }
    },
  };
}

type Handle = FileBlobStore['handle'];

/** Addresses that take bytes take none meanwhile: 507, as the API answers. */
export const guardBlobs =
  (handle: Handle, disks: Pick<Disks, 'refuse'>): Handle =>
  async (request, response) => {
    if (request.method !== 'PUT') return handle(request, response);
    try {
      disks.refuse();
    } catch (error) {
      request.resume();
      const title = 'There is no room for more';
      const problem = { type: 'urn:vigil:problem:storage-full', title, status: 507, detail: (error as Error).message };
      const headers = { 'content-type': 'application/problem+json', 'retry-after': '60', 'cache-control': 'no-store' };
      response.writeHead(507, headers).end(JSON.stringify(problem));
      return true;
    }
    return handle(request, response);
  };

const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
