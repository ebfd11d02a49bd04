const SYNC = 0x47;
const PACKET_BYTES = [188, 192, 204];
const IN_A_ROW = 5;

/** Whether a transport stream that was cut in the middle of a packet begins here: sync bytes at equal distances. */
export function hasTransportPackets(head: Uint8Array): boolean {
  return PACKET_BYTES.some((size) => {
    for (let from = 0; from < size; from++) {
      let n = 0;
      while (n < IN_A_ROW && head[from + n * size] === SYNC) n++;
      if (n === IN_A_ROW) return true;
    }
    return false;
  });
}
