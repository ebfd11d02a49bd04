import { connect } from 'node:net';

/**
 * Asks a broker for its metadata (API key 3, version 4, no topics) and says whether it names at least one broker.
 * Source: Kafka protocol guide, "Metadata API".
 */
export function answers(host: string, port: number, limitMs = 2000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let heard = Buffer.alloc(0);
    const end = (answer: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(end, limitMs, false);
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('connect', () => socket.write(request()));
    socket.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
      // Size, correlation id, throttle time, then the array of brokers.
      if (heard.length >= 16) end(heard.readInt32BE(12) > 0);
    });
  });
}

function request(): Buffer {
  const client = Buffer.from('probe');
  const body = Buffer.alloc(4 + 2 + 2 + 4 + 2 + client.length + 4 + 1);
  body.writeInt32BE(body.length - 4, 0);
  body.writeInt16BE(3, 4);
  body.writeInt16BE(4, 6);
  body.writeInt32BE(1, 8);
  body.writeInt16BE(client.length, 12);
  client.copy(body, 14);
  body.writeInt32BE(0, 14 + client.length);
  return body;
}
