import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What the line does to every connection, those that are open included. */
export type LineFault =
  | { kind: 'none' }
  /** Every piece arrives this much later, in both directions. */
  | { kind: 'delay'; ms: number }
  /** Nothing moves and nothing is closed, until the fault is lifted. Then all goes on where it was. */
  | { kind: 'stall'; afterBytes?: number }
  /** Reset; new connections as well. */
  | { kind: 'cut'; afterBytes?: number }
  /** The far side is gone without a word: what the near side says is swallowed, and it hears nothing, not even an end. */
  | { kind: 'half-open'; afterBytes?: number }
  /** The far side is not asked; whatever is said is answered by this text, and the connection is closed. */
  | { kind: 'answer'; text: string };

export interface TcpProxy {
  host: string;
  port: number;
  /** With `afterBytes` it befalls each connection as soon as that many bytes have passed, in either direction. */
  set(fault: LineFault): void;
  /** Bytes that went through in each direction, and connections made, since the start. */
  readonly passed: { up: number; down: number; connections: number };
  readonly open: number;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Connection {
  near: Socket;
  far: Socket;
  passed: number;
}

/** A line to another TCP server that can be made bad. Holds at most one piece of each direction of a connection. */
export async function openTcpProxy(to: { host: string; port: number }, port = 0): Promise<TcpProxy> {
  const connections = new Set<Connection>();
  const passed = { up: 0, down: 0, connections: 0 };
  let fault: LineFault = { kind: 'none' };
  let changed = Promise.withResolvers<void>();

  /** What befalls a connection now, and how many of `length` bytes still pass before it does. */
  function faultOf(connection: Connection, length: number): { fault: LineFault; before: number } {
    const left = 'afterBytes' in fault && fault.afterBytes !== undefined ? fault.afterBytes - connection.passed : 0;
    return left >= Math.max(1, length) ? { fault: { kind: 'none' }, before: 0 } : { fault, before: Math.max(0, left) };
  }

  async function forward(connection: Connection, chunk: Buffer, to: Socket): Promise<void> {
    const { near, far } = connection;
    const { fault, before } = faultOf(connection, chunk.length);
    const write = async (piece: Buffer) => {
      if (piece.length === 0 || to.destroyed) return;
      connection.passed += piece.length;
      passed[to === far ? 'up' : 'down'] += piece.length;
      if (!to.write(piece)) await drained(to);
    };
    if (fault.kind === 'none') return write(chunk);
    if (fault.kind === 'delay') {
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      return write(chunk);
    }
    if (fault.kind === 'answer') {
      near.end(fault.text);
      far.destroy();
      return;
    }
    await write(chunk.subarray(0, before));
    if (fault.kind === 'cut') return reset(connection);
    if (fault.kind === 'half-open') {
      far.destroy();
      return;
    }
    await changed.promise;
    if (!near.destroyed) await forward(connection, chunk.subarray(before), to);
  }

  function reset({ near, far }: Connection): void {
    near.resetAndDestroy();
    far.destroy();
  }

  function pump(connection: Connection, from: Socket, to: Socket): void {
    let underWay = Promise.resolve();
    from.on('data', async (chunk: Buffer) => {
      from.pause();
      underWay = forward(connection, chunk, to);
      await underWay;
      from.resume();
    });
    from.on('end', async () => {
      await underWay; // a stream that is paused ends all the same when its last piece has been taken
      while (faultOf(connection, 0).fault.kind === 'stall') await changed.promise;
      if (faultOf(connection, 0).fault.kind !== 'half-open') to.end();
    });
    from.on('error', () => 'its close is what counts');
    from.on('close', () => {
      const { near, far } = connection;
      if (from === near) far.destroy();
      else if (from.errored && fault.kind !== 'half-open') near.resetAndDestroy();
      if (near.closed && far.closed) connections.delete(connection);
    });
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    passed.connections++;
    const far = connect({ ...to, allowHalfOpen: true, noDelay: true });
    const connection = { near, far, passed: 0 };
    connections.add(connection);
    pump(connection, near, far);
    pump(connection, far, near);
    befall(connection);
  });

  /** Faults that do not wait for the next bytes. */
  function befall(connection: Connection): void {
    const now = faultOf(connection, 0).fault.kind;
    if (now === 'cut') reset(connection);
    if (now === 'half-open') connection.far.destroy();
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    passed,
    get open() {
      return connections.size;
    },
    set(next) {
      fault = next;
      changed.resolve();
      changed = Promise.withResolvers();
      for (const connection of [...connections]) befall(connection);
    },
    async [Symbol.asyncDispose]() {
      fault = { kind: 'cut' };
      changed.resolve();
      for (const connection of [...connections]) reset(connection);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.once('drain', done).once('close', done);
  });
}
