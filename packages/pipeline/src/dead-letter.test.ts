import { checkRecord, type LogRecord, MAX_HEADER_BYTES, MAX_KEY } from '@vigil/event-log';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CUT_HEADER, deadLetter } from './dead-letter.ts';

const MAX_BYTES = 1000;
const DEATH = { reason: 'why', stage: 'test', group: 'group' };
const record = (more: Partial<LogRecord> = {}): LogRecord => ({
  ...{ topic: 'vigil.uploads', partition: 3, offset: 7, time: 1 },
  ...{ key: 'k', headers: { ce_id: 'ev_1' }, value: new Uint8Array(10) },
  ...more,
});
const letter = (more: Partial<LogRecord>) => deadLetter(record(more), DEATH, MAX_BYTES);

/** What a broker may hold: any code units, NUL and halves of characters among them, some of it far too long. */
const units = fc.array(fc.oneof(fc.constantFrom(0, 0xd800, 0xdc00, 0x1f600, 0x20ac), fc.nat(0xffff)), {
  maxLength: 12,
});
const text = fc
  .tuple(units, fc.constantFrom(1, 1, 1, 90, 1500))
  .map(([some, times]) => String.fromCharCode(...some).repeat(times));
const bytes = fc.oneof(
  fc.constant(null),
  fc
    .tuple(fc.constantFrom(0, 1, MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1, 3 * MAX_BYTES), fc.nat(255))
    .map(([length, byte]) => new Uint8Array(length).fill(byte)),
);
const records = fc.record({
  ...{ topic: text, partition: fc.nat(), offset: fc.maxSafeNat(), time: fc.nat() },
  ...{ key: text, headers: fc.dictionary(text, text, { maxKeys: 40 }), value: bytes },
});

describe('a dead letter', () => {
  it('is taken by the log, whatever the record and the reason; and is either the event or says that it is not', () => {
    const deaths = fc.record({ reason: text, stage: text, group: text });
    fc.assert(
      fc.property(records, deaths, (from, death) => {
        const found = deadLetter(from, death, MAX_BYTES);
        checkRecord(found, { maxBytes: MAX_BYTES });
        const { vigil_reason, vigil_stage, vigil_group, vigil_origin, ...rest } = found.headers;
        expect([vigil_reason, vigil_stage, vigil_group, vigil_origin]).not.toContain(undefined);
        if (CUT_HEADER in rest) return;
        expect({ key: found.key, headers: rest, value: found.value }).toEqual({
          key: from.key,
          headers: { ...from.headers },
          value: from.value,
        });
      }),
      { numRuns: 300 },
    );
  });

  it('is the event as it came, with why and where from', () => {
    expect(deadLetter(record(), DEATH)).toEqual({
      topic: 'vigil.uploads.dead',
      key: 'k',
      headers: {
        ...{ ce_id: 'ev_1', vigil_reason: 'why', vigil_stage: 'test', vigil_group: 'group' },
        vigil_origin: 'vigil.uploads/3/7',
      },
      value: new Uint8Array(10),
    });
    expect(letter({ value: null }).value).toBeNull();
    // What it was called when it died before is no news.
    expect(letter({ headers: { vigil_reason: 'then', [CUT_HEADER]: 'value' } }).headers).toEqual(
      letter({ headers: {} }).headers,
    );
  });

  it.each([
    ['nothing at the limits', { key: 'k'.repeat(MAX_KEY), value: new Uint8Array(MAX_BYTES) }, undefined],
    ['a key that is too long', { key: 'k'.repeat(MAX_KEY + 1) }, 'key'],
    ['a key with NUL', { key: 'a\0b' }, 'key'],
    ['half a character in a key', { key: 'a\ud83d' }, 'key'],
    ['a header with NUL', { headers: { name: 'a\0b' } }, 'headers'],
    ['a name with NUL', { headers: { 'a\0b': 'text' } }, 'headers'],
    ['too many bytes of headers', { headers: { one: 'h'.repeat(MAX_HEADER_BYTES) } }, 'headers'],
    [
      'too many headers',
      { headers: Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`${i}`, ''])) },
      'headers',
    ],
    ['a value that is too long', { value: new Uint8Array(MAX_BYTES + 1) }, `value (of ${MAX_BYTES + 1} bytes)`],
    [
      'all of it',
      { key: '\0', headers: { name: '\0' }, value: new Uint8Array(4000) },
      'key, headers, value (of 4000 bytes)',
    ],
  ] as const)('says what is cut: %s', (_, more, cut) => {
    const found = letter(more);
    expect(found.headers[CUT_HEADER]).toBe(cut);
    checkRecord(found, { maxBytes: MAX_BYTES });
  });

  it('keeps what it can: small headers beside large ones, characters beside NUL, the beginning of a value', () => {
    const { headers } = letter({ headers: { large: 'h'.repeat(20_000), ce_id: 'ev_1', ce_type: 'a\0b' } });
    expect(headers).toMatchObject({ ce_id: 'ev_1', ce_type: 'a\ufffdb' });
    expect(headers).not.toHaveProperty('large');
    const euros = new TextEncoder().encode('€'.repeat(400));
    const shown = new TextDecoder('utf-8', { fatal: true }).decode(letter({ value: euros }).value!);
    expect(shown).toBe('€'.repeat(333));
  });

  it('cuts a reason between characters', () => {
    const { headers } = deadLetter(record(), { ...DEATH, reason: `${'r'.repeat(1999)}😀 and more\0` }, MAX_BYTES);
    expect(headers.vigil_reason).toBe(`${'r'.repeat(1999)}\ufffd`);
    expect(headers).not.toHaveProperty(CUT_HEADER);
  });
});
