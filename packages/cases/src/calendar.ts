/**
 * Business days. A calendar is named and versioned, and what was counted with is stored beside the dates, so that anybody can
 * count again years later.
 */
export interface Calendar {
  id: string;
  version: number;
  /** IANA name of the time zone whose midnights part the days. */
  zone: string;
  /** ISO dates of the year's holidays that may fall on working days; weekends never count anyway. */
  holidays(year: number): string[];
}

export const DAY_MS = 24 * 3600 * 1000;

/** Days `from` and `until` business days after an instant, with what they were counted by. */
export interface Window {
  /** The end of the `from`th business day: nothing may happen before. */
  from: number;
  /** The end of the `until`th: it must have happened by then. */
  until: number;
  /** Holidays that were passed over. */
  holidays: string[];
}

/**
 * Counts business days after the day of `at`, which itself does not count. @throws RangeError on a calendar that has no
 * business days at all
 */
export function businessWindow(at: number, from: number, until: number, calendar: Calendar): Window {
  let date = dateIn(at, calendar.zone);
  const passed: string[] = [];
  let counted = 0;
  let start = Number.NaN;
  for (let days = 0; days < 366; days++) {
    date = nextDate(date);
    const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
    if (weekday === 0 || weekday === 6) continue;
    if (calendar.holidays(Number(date.slice(0, 4))).includes(date)) {
      passed.push(date);
      continue;
    }
    counted++;
    if (counted === from) start = midnightAfter(date, calendar.zone);
    if (counted === until) return { from: start, until: midnightAfter(date, calendar.zone), holidays: passed };
  }
  throw new RangeError(`calendar ${calendar.id} has no ${until} business days within a year`);
}

/** 5 USC 6103(a): the legal public holidays of the United States, each on the day on which offices are closed for it. */
export const US_FEDERAL: Calendar = {
  id: 'us-federal',
  version: 1,
  zone: 'America/New_York',
  holidays(year) {
    const fixed = (month: number, day: number) => observed(iso(year, month, day));
    return [
      fixed(1, 1),
      nthWeekday(year, 1, 1, 3),
      nthWeekday(year, 2, 1, 3),
      lastMonday(year, 5),
      fixed(6, 19),
      fixed(7, 4),
      nthWeekday(year, 9, 1, 1),
      nthWeekday(year, 10, 1, 2),
      fixed(11, 11),
      nthWeekday(year, 11, 4, 4),
      fixed(12, 25),
      // When New Year's Day is a Saturday the Friday before is kept, which lies in this year.
      observed(iso(year + 1, 1, 1)),
    ].filter((date) => date.startsWith(`${year}`));
  },
};

/** Monday to Friday, and nothing else is known. */
export const WEEKDAYS: Calendar = { id: 'weekdays', version: 1, zone: 'UTC', holidays: () => [] };

export const CALENDARS: readonly Calendar[] = [US_FEDERAL, WEEKDAYS];

const iso = (year: number, month: number, day: number): string =>
  new Date(Date.UTC(year, month - 1, day)).toISOString().slice(0, 10);
const nextDate = (date: string): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10);

/** Executive Order 11582: kept on Friday when it is a Saturday, on Monday when it is a Sunday. */
function observed(date: string): string {
  const at = Date.parse(`${date}T00:00:00Z`);
  const shift = [1, 0, 0, 0, 0, 0, -1][new Date(at).getUTCDay()]!;
  return new Date(at + shift * DAY_MS).toISOString().slice(0, 10);
}

/** weekday: 0 is Sunday. */
function nthWeekday(year: number, month: number, weekday: number, n: number): string {
  const first = new Date(Date.UTC(year, month - 1, 1)).getUTCDay();
  return iso(year, month, 1 + ((weekday - first + 7) % 7) + 7 * (n - 1));
}

function lastMonday(year: number, month: number): string {
  const last = new Date(Date.UTC(year, month, 0));
  return iso(year, month, last.getUTCDate() - ((last.getUTCDay() + 6) % 7));
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** ISO date of an instant in a zone. A format costs much to make and little to use. */
function dateIn(at: number, zone: string): string {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' });
    formats.set(zone, format);
  }
  return format.format(at);
}

/** The instant at which a day ends in a zone: the earliest one whose date there is later. */
function midnightAfter(date: string, zone: string): number {
  // No zone is further than 14 hours from UTC; offsets are whole quarters of an hour.
  const utc = Date.parse(`${date}T00:00:00Z`) + DAY_MS;
  for (let at = utc - 14 * 3600_000; ; at += 900_000) if (dateIn(at, zone) > date) return at;
}
