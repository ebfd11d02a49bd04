import type { TakedownEvent } from '@vigil/contracts';
import { SAMPLES } from '@vigil/contracts/event-samples';
import { describe, expect, test } from 'vitest';
import { dsaBatches, dsaStatement } from './dsa-export.ts';
import { type ClaimCounts, reportCsv, transparencyReport } from './report.ts';

const takedown: TakedownEvent = { ...SAMPLES.takedown, account: 'acc-of-ada', holder: 'studio-of-bo' };

describe('statements for the transparency database', () => {
  test('an automatic takedown, as its API takes it', () => {
    const statement = dsaStatement(takedown)!;
    expect(statement).toMatchObject({
      puid: takedown.id,
      decision_visibility: ['DECISION_VISIBILITY_CONTENT_DISABLED'],
      decision_ground: 'DECISION_GROUND_INCOMPATIBLE_CONTENT',
      content_type: ['CONTENT_TYPE_VIDEO'],
      category: 'STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS',
      content_date: new Date(takedown.latency.receivedAt).toISOString().slice(0, 10),
      application_date: new Date(takedown.latency.decidedAt).toISOString().slice(0, 10),
      decision_facts: takedown.statement!.facts,
      source_type: 'SOURCE_VOLUNTARY',
      automated_detection: 'Yes',
      automated_decision: 'AUTOMATED_DECISION_FULLY',
    });
    expect(statement.territorial_scope).toHaveLength(30);
  });

  test('names nobody: neither account nor holder nor the object', () => {
    const text = JSON.stringify(dsaStatement(takedown));
    for (const name of [takedown.account!, takedown.holder, takedown.media.key, takedown.upload, takedown.case]) {
      expect(text).not.toContain(name);
    }
  });

  test.each([
    ['512c3-notice', 'SOURCE_TYPE_OTHER_NOTIFICATION'],
    ['dsa-16-notice', 'SOURCE_ARTICLE_16'],
    ['trusted-flagger', 'SOURCE_TRUSTED_FLAGGER'],
  ] as const)('one on the ground %s comes from %s, and is of illegal content', (ground, source) => {
    const statement = dsaStatement({ ...takedown, ground, automatedDetection: false, automatedDecision: false });
    expect(statement).toMatchObject({
      source_type: source,
      decision_ground: 'DECISION_GROUND_ILLEGAL_CONTENT',
      automated_detection: 'No',
      automated_decision: 'AUTOMATED_DECISION_NOT_AUTOMATED',
    });
  });

  test('what a person decided on a match was decided in part by the machine', () => {
    expect(dsaStatement({ ...takedown, automatedDecision: false })?.automated_decision).toBe(
      'AUTOMATED_DECISION_PARTIALLY',
    );
  });

  test('only what restricts something within the Union is reported', () => {
    expect(dsaStatement({ ...takedown, territories: ['US', 'FR', 'NO'] })?.territorial_scope).toEqual(['FR', 'NO']);
    expect(dsaStatement({ ...takedown, territories: ['US', 'JP'] })).toBeNull();
    expect(dsaStatement({ ...takedown, territories: ['DE-BY', 'DE-BE', 'US-CA'] })?.territorial_scope).toEqual(['DE']);
    expect(dsaStatement({ ...takedown, action: 'restore' })).toBeNull();
    expect(() => dsaStatement({ ...takedown, id: 'ümlaut' })).toThrow(RangeError);
  });

  test('a hundred go in one call', () => {
    const many = Array.from({ length: 201 }, () => dsaStatement(takedown)!);
    expect(dsaBatches(many).map((b) => b.statements.length)).toEqual([100, 100, 1]);
    expect(dsaBatches([])).toEqual([]);
  });
});

describe('the transparency report', () => {
  const counts: ClaimCounts = {
    ground: 'rights-holder-rule',
    claims: 20,
    takedowns: 16,
    automated: 15,
    reviewed: 5,
    dismissed: 4,
    withdrawn: 1,
    disputes: 4,
    appeals: 1,
    counterNotices: 0,
    complaints: 1,
    contested: 4,
    settled: 3,
    overturned: 2,
  };
  const other: ClaimCounts = {
    ...counts,
    ground: '512c3-notice',
    takedowns: 4,
    contested: 0,
    settled: 0,
    overturned: 0,
  };
  const span = { from: Date.parse('2026-01-01'), until: Date.parse('2026-02-01') };
  const report = transparencyReport(span, [counts, other], { median: 1100, p95: 4000 });

  test('has a row a ground and one of all, with rates of what is there', () => {
    expect(report.rows.map((r) => [r.ground, r.takedowns, r.contestedRate, r.overturnRate])).toEqual([
      ['rights-holder-rule', 16, 0.25, 2 / 3],
      ['512c3-notice', 4, 0, null],
      ['dsa-16-notice', 0, null, null],
      ['trusted-flagger', 0, null, null],
      ['all', 20, 0.2, 2 / 3],
    ]);
  });

  test('as CSV each line has as many cells as the header', () => {
    const lines = reportCsv(report).trimEnd().split('\r\n');
    expect(lines).toHaveLength(6);
    expect(new Set(lines.map((line) => line.split(',').length)).size).toBe(1);
    expect(lines[1]).toBe(
      '2026-01-01T00:00:00.000Z,2026-02-01T00:00:00.000Z,rights-holder-rule,20,16,15,5,4,1,4,1,0,1,4,3,2,0.2500,0.6667,,',
    );
    expect(lines.at(-1)).toMatch(/,all,40,20,.*,0\.2000,0\.6667,1100,4000$/);
  });
});
