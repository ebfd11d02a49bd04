import { describe, expect, test } from 'vitest';
import { businessWindow, US_FEDERAL, WEEKDAYS } from './calendar.ts';

/** As published by the United States Office of Personnel Management. */
const OPM: Record<number, string[]> = {
  2021: ['01-01', '01-18', '02-15', '05-31', '06-18', '07-05', '09-06', '10-11', '11-11', '11-25', '12-24', '12-31'],
  2024: ['01-01', '01-15', '02-19', '05-27', '06-19', '07-04', '09-02', '10-14', '11-11', '11-28', '12-25'],
  2026: ['01-01', '01-19', '02-16', '05-25', '06-19', '07-03', '09-07', '10-12', '11-11', '11-26', '12-25'],
};

test.each(Object.entries(OPM))('federal holidays of %s', (year, days) => {
  expect(US_FEDERAL.holidays(Number(year)).sort()).toEqual(days.map((day) => `${year}-${day}`));
});

describe('business days', () => {
  const window = (at: string, calendar = US_FEDERAL) => {
    const { from, until, holidays } = businessWindow(Date.parse(at), 10, 14, calendar);
    return [new Date(from).toISOString(), new Date(until).toISOString(), holidays];
  };

  test('the day itself does not count, whatever its hour in New York', () => {
    // Monday, 23:59 and Tuesday, 00:01 there.
    expect(window('2026-03-03T04:59:00Z')[0]).toBe('2026-03-17T04:00:00.000Z');
    expect(window('2026-03-03T05:01:00Z')[0]).toBe('2026-03-18T04:00:00.000Z');
  });

  test('over Christmas and New Year, and over the change of clocks', () => {
    expect(window('2026-12-18T15:00:00Z')).toEqual([
      '2027-01-06T05:00:00.000Z',
      '2027-01-12T05:00:00.000Z',
      ['2026-12-25', '2027-01-01'],
    ]);
    expect(window('2026-10-23T15:00:00Z')[0]).toBe('2026-11-07T05:00:00.000Z');
  });

  test('by weekdays alone', () => {
    expect(window('2026-12-18T15:00:00Z', WEEKDAYS)).toEqual([
      '2027-01-02T00:00:00.000Z',
      '2027-01-08T00:00:00.000Z',
      [],
    ]);
  });

  test('a calendar without working days is an error, not an endless count', () => {
    const never = { ...WEEKDAYS, holidays: (year: number) => allDays(year) };
    expect(() => window('2026-01-01T00:00:00Z', never)).toThrow(RangeError);
  });
});

function allDays(year: number): string[] {
  return Array.from({ length: 366 }, (_, n) => new Date(Date.UTC(year, 0, 1 + n)).toISOString().slice(0, 10));
}
