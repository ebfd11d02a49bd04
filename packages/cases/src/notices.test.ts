import { describe, expect, test } from 'vitest';
import { judgeCounterNotice, judgeDmcaNotice, judgeDsaNotice } from './notices.ts';

const dmca = {
  signature: 'Ada Example',
  work: 'The Valley (1998)',
  name: 'Ada Example',
  address: '1 Main Street',
  phone: '+1 555 0100',
  email: 'ada@example.org',
  goodFaith: true,
  accurate: true,
};
const counter = {
  signature: 'Bo Example',
  name: 'Bo Example',
  address: '2 Main Street',
  phone: '+1 555 0101',
  mistake: true,
  consent: true,
};
const fields = (judged: { missing: { field: string }[] }) => judged.missing.map((m) => m.field);

describe('a notice under 17 USC 512(c)(3)', () => {
  test('with all six elements is complete', () => {
    expect(judgeDmcaNotice(dmca, 2)).toEqual({ standing: 'complete', missing: [] });
  });

  test('that names work, material and somebody to ask is substantially complete; each missing element is named', () => {
    const judged = judgeDmcaNotice({ ...dmca, signature: '  ', accurate: false }, 1);
    expect(judged.standing).toBe('substantially-complete');
    expect(judged.missing.map((m) => [m.field, m.law])).toEqual([
      ['signature', '17 USC 512(c)(3)(A)(i)'],
      ['accurate', '17 USC 512(c)(3)(A)(vi)'],
    ]);
  });

  test.each([
    ['no work', { ...dmca, work: '' }, 1],
    ['no material', dmca, 0],
    ['nobody to ask', { ...dmca, address: '', phone: '', email: '' }, 1],
    ['nothing at all', {}, 0],
  ])('with %s is defective', (_, notice, material) => {
    expect(judgeDmcaNotice(notice, material).standing).toBe('defective');
  });
});

test('a counter-notice needs its oath, its consent and its signature above all', () => {
  expect(judgeCounterNotice(counter)).toEqual({ standing: 'complete', missing: [] });
  const unsworn = judgeCounterNotice({ ...counter, mistake: false });
  expect([unsworn.standing, fields(unsworn)]).toEqual(['defective', ['mistake']]);
  const unreachable = judgeCounterNotice({ ...counter, phone: '' });
  expect([unreachable.standing, fields(unreachable)]).toEqual(['substantially-complete', ['phone']]);
});

test('a notice under DSA Art. 16 needs an explanation and a place', () => {
  const notice = { explanation: 'my film', name: 'Ada', email: 'ada@example.org', goodFaith: true };
  expect(judgeDsaNotice(notice, 1).standing).toBe('complete');
  expect(judgeDsaNotice({ ...notice, name: '' }, 1).standing).toBe('substantially-complete');
  expect(judgeDsaNotice({ ...notice, explanation: '' }, 1).standing).toBe('defective');
  expect(fields(judgeDsaNotice(notice, 0))).toEqual(['uploads']);
});
