import { describe, expect, test } from 'vitest';
import { Acknowledgement } from './acknowledgement.ts';
import { actionId, attemptId } from './ids.ts';

const id = actionId('up_1', 'v1', 'takedown', 0);
const said = { action: id, upload: 'up_1', surface: 'cdn', status: 'done', at: 1_700_000_000_000 };

describe('an acknowledgement', () => {
  test('says which action, which surface, what and when; a note may follow', () => {
    expect(Acknowledgement.parse(said)).toEqual(said);
    expect(Acknowledgement.parse({ ...said, at: 1.5, note: '' })).toEqual({ ...said, at: 1.5, note: '' });
  });

  test.each([
    ['no action', { action: '' }],
    ['an action that no table can hold', { action: 'act_\0' }],
    ['a surface with a line break', { surface: 'cdn\n' }],
    ['a state of its own', { status: 'soon' }],
    ['a time that is a date', { at: '2026-01-01T00:00:00Z' }],
    ['a time in nanoseconds', { at: 1_700_000_000_000_000_000 }],
    ['a time before all times', { at: -1 }],
  ])('with %s is refused', (_what, wrong) => {
    expect(Acknowledgement.safeParse({ ...said, ...wrong }).success).toBe(false);
  });
});

test('the first sending of an action has its id, each other an id of its own, always the same', () => {
  const ids = [1, 2, 3, 2].map((attempt) => attemptId(id, attempt));
  expect(ids[0]).toBe(id);
  expect(new Set(ids).size).toBe(3);
  expect(ids[3]).toBe(ids[1]);
});
