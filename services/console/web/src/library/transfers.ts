import { type Signal, signal } from '@preact/signals';
import type { Registered } from '../../../src/wire.ts';
import { address, ask, csrfToken, get, ProblemError, sayError } from '../api.ts';
import { announce } from '../ui/announce.tsx';

/** One file on its way into the library. */
export interface Transfer {
  id: number;
  name: string;
  size: number;
  /** Bytes that have arrived. */
  sent: Signal<number>;
  state: Signal<'waiting' | 'sending' | 'paused' | 'joining' | 'done' | 'failed'>;
  problem: Signal<string | null>;
  pause(): void;
  resume(): void;
  /** Gives it up, and forgets what has arrived. */
  cancel(): void;
}

interface Part {
  number: number;
  size: number;
  url: string | null;
}
/** As /v1/reference-uploads tells it. */
interface Parts {
  id: string;
  state: 'open' | 'complete' | 'abandoned';
  size: number;
  partBytes: number;
  received: number;
  parts: Part[];
  reference: { id: string; version: number } | null;
}

export interface About {
  work?: string | undefined;
  title?: string | undefined;
  holder?: string | undefined;
}

export const transfers = signal<Transfer[]>([]);

const TRIES = 6;
const STORE = 'vigil-transfers';
let last = 0;
let queue: Promise<unknown> = Promise.resolve();

/**
 * Sends files one after the other, each in parts that the store keeps: what was cut off, by the network or by closing the page, goes on
 * where it was when the same file is given again.
 */
export function send(files: readonly File[], about: About): void {
  for (const file of files) {
    const transfer = createTransfer(file, about);
    transfers.value = [...transfers.value, transfer];
  }
}

function createTransfer(file: File, about: About): Transfer {
  let stop = new AbortController();
  let upload: string | null = null;
  const self: Transfer = {
    id: ++last,
    name: file.name,
    size: file.size,
    sent: signal(0),
    state: signal('waiting'),
    problem: signal(null),
    pause() {
      self.state.value = 'paused';
      stop.abort();
    },
    resume() {
      stop = new AbortController();
      enqueue();
    },
    cancel() {
      stop.abort();
      transfers.value = transfers.value.filter((t) => t !== self);
      if (upload && self.state.value !== 'done') {
        remember(file, about, null);
        ask('POST', `/v1/reference-uploads/${upload}/abandon`).catch(() => undefined);
      }
    },
  };

  function enqueue(): void {
    self.state.value = 'waiting';
    self.problem.value = null;
    queue = queue.then(run);
  }

  async function run(): Promise<void> {
    if (self.state.value !== 'waiting' || !transfers.value.includes(self)) return;
    const { signal: stopped } = stop;
    self.state.value = 'sending';
    try {
      if (file.size === 0) throw new Error('the file is empty');
      await sendInParts(stopped);
      self.sent.value = file.size;
      self.state.value = 'done';
      remember(file, about, null);
      announce(`${file.name} has arrived and is being read.`);
    } catch (error) {
      if (stopped.aborted) return;
      self.problem.value = sayError(error);
      self.state.value = 'failed';
      announce(`${file.name} was not sent: ${self.problem.value}`, { now: true });
    }
  }

  async function sendInParts(stopped: AbortSignal): Promise<string> {
    let known = await begin(stopped);
    upload = known.id;
    const [first] = known.parts;
    if (first?.url && new URL(first.url).origin !== location.origin) return sendWhole(stopped);
    for (let tries = 0; known.state === 'open' && known.received < known.size; ) {
      const before = known.received;
      self.sent.value = before;
      try {
        let arrived = before;
        for (const part of known.parts) {
          if (!part.url) continue;
          const from = (part.number - 1) * known.partBytes;
          const base = arrived;
          await put('PUT', part.url, file.slice(from, from + part.size), stopped, (sent) => {
            self.sent.value = base + sent;
          });
          arrived += part.size;
        }
        tries = 0;
      } catch (error) {
        if (stopped.aborted || ++tries >= TRIES) throw error;
        await pauseFor(500 * 2 ** tries, stopped);
      }
      known = await get<Parts>(`/v1/reference-uploads/${known.id}`, stopped);
    }
    if (known.state === 'open') {
      self.state.value = 'joining';
      known = await ask<Parts>('POST', `/v1/reference-uploads/${known.id}/complete`, { signal: stopped });
    }
    if (!known.reference) throw new Error('the upload was given up elsewhere; send the file again');
    return known.reference.id;
  }

  /** What was begun before with the same file goes on. */
  async function begin(stopped: AbortSignal): Promise<Parts> {
    const before = remembered(file, about);
    if (before) {
      try {
        const known = await get<Parts>(`/v1/reference-uploads/${before}`, stopped);
        if (known.state === 'open' && known.size === file.size) return known;
      } catch (error) {
        if (!(error instanceof ProblemError) || error.problem.status === 0) throw error;
      }
    }
    const { work, title, holder } = about;
    const json = {
      name: file.name,
      size: file.size,
      ...(work ? { work } : { title: title ?? file.name, ...(holder ? { holder } : {}) }),
    };
    const begun = await ask<Parts>('POST', '/v1/reference-uploads', { json, signal: stopped });
    remember(file, about, begun.id);
    return begun;
  }

  /** Where the store is somewhere else, which this page may not speak to: through the server, in one go. */
  async function sendWhole(stopped: AbortSignal): Promise<string> {
    if (upload) ask('POST', `/v1/reference-uploads/${upload}/abandon`).catch(() => undefined);
    remember(file, about, null);
    const { work, title, holder } = about;
    const path = address('/v1/references', {
      name: file.name,
      work,
      title: work ? undefined : (title ?? file.name),
      holder,
    });
    const answer = await put('POST', path, file, stopped, (sent) => {
      self.sent.value = sent;
    });
    return (JSON.parse(answer) as Registered).reference.id;
  }

  enqueue();
  return self;
}

/** XMLHttpRequest, because fetch does not tell how much it has sent. */
function put(
  method: string,
  url: string,
  body: Blob,
  stopped: AbortSignal,
  progress: (sent: number) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    stopped.addEventListener('abort', abort, { once: true });
    request.open(method, url);
    if (method === 'POST') {
      request.setRequestHeader('x-csrf-token', csrfToken());
      request.setRequestHeader('content-type', body.type || 'application/octet-stream');
    }
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Error('the connection was cut'));
    request.onabort = () => reject(new DOMException('stopped', 'AbortError'));
    request.onload = () => {
      stopped.removeEventListener('abort', abort);
      if (request.status >= 200 && request.status < 300) return resolve(request.responseText);
      reject(new Error(detailOf(request.responseText) ?? `the store answered ${request.status}`));
    };
    request.send(body);
  });
}

function detailOf(text: string): string | null {
  try {
    return (JSON.parse(text) as { detail?: string }).detail ?? null;
  } catch {
    return null;
  }
}

function pauseFor(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    stopped.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('stopped', 'AbortError'));
    });
  });
}

const nameOf = (file: File, { work = '', holder = '' }: About) =>
  [file.name, file.size, file.lastModified, work, holder].join('|');
const stored = (): Record<string, string> => JSON.parse(localStorage.getItem(STORE) ?? '{}') as Record<string, string>;
const remembered = (file: File, about: About): string | undefined => stored()[nameOf(file, about)];
function remember(file: File, about: About, id: string | null): void {
  const { [nameOf(file, about)]: _gone, ...rest } = stored();
  localStorage.setItem(STORE, JSON.stringify(id === null ? rest : { ...rest, [nameOf(file, about)]: id }));
}
