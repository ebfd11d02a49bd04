import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { KafkaEventLogOptions } from '../src/kafka-event-log.ts';

export interface CuttableLine {
  /** For the log whose line to the broker it is. */
  openSocket: NonNullable<KafkaEventLogOptions['openSocket']>;
  /** Nothing comes through, and nothing is lost. */
  freeze(): void;
  thaw(): void;
  /** All connections end, and no new one comes about. */
  kill(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A relay between a log and its broker: for tests of what happens to a process that is stopped or killed. */
export async function cuttableLine(): Promise<CuttableLine> {
  const sockets = new Set<Socket>();
  const pairs = new Set<[Socket, Socket]>();
  let frozen = false;
  let dead = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  };
  const join = (pair: [Socket, Socket]) => {
    pair[0].pipe(pair[1]);
    pair[1].pipe(pair[0]);
  };
  const server = createServer((near) => {
    keep(near);
    if (dead) return near.destroy();
    // The first line says where to.
    near.once('data', (line: Buffer) => {
      near.pause();
      const [host = '', port] = line.toString().trim().split(' ');
      const far = connect({ host, port: Number(port) });
      keep(far);
      const pair: [Socket, Socket] = [near, far];
      pairs.add(pair);
      far.on('close', () => near.destroy());
      near.on('close', () => {
        far.destroy();
        pairs.delete(pair);
      });
      near.write('ok');
      if (!frozen) join(pair);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: relay } = server.address() as { port: number };
  return {
    openSocket({ host, port, onConnect }) {
      const socket = connect({ host: '127.0.0.1', port: relay });
      // kafkajs listens for data at once; it must not see the relay's greeting.
      const emit = socket.emit.bind(socket);
      socket.emit = (event: string | symbol, ...args: unknown[]) => {
        if (event !== 'data') return emit(event, ...args);
        socket.emit = emit;
        onConnect();
        return true;
      };
      socket.once('connect', () => socket.write(`${host} ${port}\n`));
      return socket;
    },
    freeze() {
      frozen = true;
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
    thaw() {
      if (!frozen) return;
      frozen = false;
      for (const pair of pairs) join(pair);
    },
    kill() {
      dead = true;
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
