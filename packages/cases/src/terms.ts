import { type Calendar, US_FEDERAL } from './calendar.ts';

/** Every period that the rules go by. What the law fixes is fixed here as well. */
export interface Terms {
  /** A holder has so long to answer a dispute, and an appeal; silence releases. */
  disputeDays: number;
  appealDays: number;
  /** After a dispute was upheld the uploader has at least so long to appeal. */
  appealWindowDays: number;
  strikeDays: number;
  /** So many strikes that stand at once make a repeat infringer. */
  strikes: number;
  /** Uploads that the notices of one sender take down in a day without a person; more of them wait for one. */
  noticedADay: number;
  /** Whose business days count for a put-back. */
  calendar: Calendar;
}

export const DEFAULT_TERMS: Terms = {
  disputeDays: 30,
  appealDays: 7,
  appealWindowDays: 30,
  strikeDays: 90,
  strikes: 3,
  noticedADay: 1000,
  calendar: US_FEDERAL,
};

/** So long a reviewer may take a decision of his own back, before anybody has answered it. */
export const UNDO_MS = 5 * 60_000;
/** DSA Art. 20(1): at least six months. */
export const REDRESS_MONTHS = 6;
/** 17 USC 512(g)(2)(C): not less than 10, nor more than 14, business days. */
export const PUT_BACK_FROM_DAYS = 10;
export const PUT_BACK_UNTIL_DAYS = 14;

/** The same day so many months on, or the first of the next where that month is too short: never less than the months. */
export function addMonths(at: number, months: number): number {
  const date = new Date(at);
  const day = date.getUTCDate();
  date.setUTCMonth(date.getUTCMonth() + months);
  // Of 31 August the 31st of February is 3 March; the 1st is meant.
  if (date.getUTCDate() !== day) date.setUTCDate(1);
  return date.getTime();
}
