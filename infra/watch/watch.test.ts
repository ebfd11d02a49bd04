import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { METRICS } from '@vigil/runtime';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const here = (name: string) => new URL(name, import.meta.url);
const text = (name: string) => readFileSync(here(name), 'utf8');

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}
const { groups } = parse(text('alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] };
const rules = groups.flatMap((g) => g.rules);
const alerts = rules.filter((r) => r.alert);
const records = rules.flatMap((r) => r.record ?? []);

interface Panel {
  id: number;
  title: string;
  description: string;
  targets: { expr: string; legendFormat: string }[];
}
const dashboards = readdirSync(here('.'))
  .filter((name) => name.startsWith('dashboard-'))
  .map((name) => ({ name, ...(JSON.parse(text(name)) as { uid: string; panels: Panel[] }) }));
const panels = dashboards.flatMap((d) => d.panels.map((p) => ({ ...p, where: `${d.name}: ${p.title}` })));

/** Labels that Prometheus adds, and those of histograms and of our own rules. */
const COMMON = ['instance', 'job', 'le', 'severity', 'window'];
const WORDS = ['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan'];

/** Names of metrics in a PromQL expression, and the labels that it goes by. */
function read(expr: string): { metrics: string[]; labels: string[] } {
  const labels: string[] = [];
  const bare = expr
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""')
    .replace(/\{([^}]*)\}/g, (_, inside: string) => {
      labels.push(...[...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map((m) => m[1]!));
      return '';
    })
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g, (_, inside: string) => {
      labels.push(
        ...inside
          .split(',')
          .map((l) => l.trim())
          .filter(Boolean),
      );
      return '';
    });
  const names = [...bare.matchAll(/(?<![\w.:$])([a-z_:][\w:]*)\b(?!\s*\()/gi)].map((m) => m[1]!);
  return { metrics: names.filter((n) => !WORDS.includes(n.toLowerCase())), labels };
}

type Name = keyof typeof METRICS;
/** vigil_x_seconds_bucket is one of the series of vigil_x_seconds. */
function declared(series: string): (typeof METRICS)[Name] | null {
  if (series in METRICS) return METRICS[series as Name].type === 'histogram' ? null : METRICS[series as Name];
  const base = series.replace(/_(bucket|sum|count)$/, '');
  return base in METRICS && METRICS[base as Name].type === 'histogram' ? METRICS[base as Name] : null;
}

function wrong(expr: string): string[] {
  const { metrics, labels } = read(expr);
  const known = metrics.filter((m) => m !== 'up' && !records.includes(m));
  const lacking = known.filter((m) => declared(m) === null);
  const all = known.flatMap((m): readonly string[] => declared(m)?.labels ?? []);
  return [...lacking, ...labels.filter((l) => ![...COMMON, ...all].includes(l)).map((l) => `label ${l}`)];
}

describe('the reader of expressions', () => {
  test('finds names and labels, and no functions, words, ranges or strings', () => {
    const expr =
      'sum by (le, kind) (rate(vigil_a_bucket{le="5",x=~"vigil_no|y"}[5m])) / 2 > 0.1 and vigil:b:c or time() - max(d)';
    expect(read(expr)).toEqual({ metrics: ['vigil_a_bucket', 'vigil:b:c', 'd'], labels: ['le', 'x', 'le', 'kind'] });
  });
  test('knows what is wrong', () => {
    expect(wrong('rate(vigil_takedown_seconds[5m])')).toEqual(['vigil_takedown_seconds']);
    expect(wrong('max by (upload) (vigil_outbox_events)')).toEqual(['label upload']);
    expect(wrong('vigil_ready_bucket')).toEqual(['vigil_ready_bucket']);
  });
});

describe('alerts', () => {
  test('go by metrics and labels that exist', () => {
    expect(rules.length).toBeGreaterThan(20);
    for (const { alert, record, expr } of rules) expect(wrong(expr), alert ?? record).toEqual([]);
  });

  test.each(alerts.map((a) => [`${a.alert} (${a.labels!.severity})`, a] as const))('%s says what to do', (_, rule) => {
    const page = rule.alert!.replace(/(?<!^)[A-Z]/g, (c) => `-${c}`).toLowerCase();
    expect(rule.annotations!.runbook_url).toBe(`infra/runbook/${page}.md`);
    expect(rule.annotations!.summary!.length).toBeGreaterThan(20);
    expect(['page', 'ticket', 'none']).toContain(rule.labels!.severity);
    // What the summary shows of labels has to be there after the aggregation.
    const { labels, metrics } = read(rule.expr);
    const by = [...labels, ...metrics.flatMap((m): readonly string[] => declared(m)?.labels ?? []), ...COMMON];
    for (const [, label] of rule.annotations!.summary!.matchAll(/\$labels\.(\w+)/g)) expect(by).toContain(label);
  });

  test.runIf(existsSync(here('../runbook/')))('have their pages in the runbook', () => {
    const missing = alerts.filter((a) => !existsSync(here(`../../${a.annotations!.runbook_url}`))).map((a) => a.alert);
    expect(missing).toEqual([]);
  });

  test('burn rates: two windows each, of the objective 99 % within 5 s', () => {
    const late = alerts.filter((a) => a.alert === 'TakedownsLate');
    expect(late.map((a) => a.labels!.window)).toEqual(['fast', 'slow']);
    for (const { expr } of late) {
      const [long, short] = read(expr).metrics;
      expect(long).not.toBe(short);
      for (const name of [long!, short!]) {
        const recorded = rules.find((r) => r.record === name)!.expr;
        expect(recorded).toContain('vigil_takedown_seconds_bucket{le="5"}');
        expect(recorded).toContain(`[${name.replace(/.*ratio/, '')}]`);
      }
    }
  });
});

describe('dashboards', () => {
  test('go by metrics and labels that exist', () => {
    expect(panels.length).toBeGreaterThan(30);
    for (const { where, targets } of panels) {
      expect(targets.length, where).toBeGreaterThan(0);
      for (const { expr, legendFormat } of targets) {
        expect(wrong(expr), where).toEqual([]);
        const { metrics, labels } = read(expr);
        const known = [...labels, ...metrics.flatMap((m): readonly string[] => declared(m)?.labels ?? []), ...COMMON];
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect(known, where).toContain(label);
      }
    }
  });

  test('have ids of their own, and say what they show', () => {
    expect(new Set(dashboards.map((d) => d.uid)).size).toBe(dashboards.length);
    for (const { panels: own } of dashboards) expect(new Set(own.map((p) => p.id)).size).toBe(own.length);
    for (const { where, description } of panels) expect(description.length, where).toBeGreaterThan(5);
  });
});

test('everything that is measured is shown, or alerted on', () => {
  const used = new Set(
    [...rules.map((r) => r.expr), ...panels.flatMap((p) => p.targets.map((t) => t.expr))]
      .flatMap((expr) => read(expr).metrics)
      .map((m) => (m in METRICS ? m : m.replace(/_(bucket|sum|count)$/, ''))),
  );
  expect(Object.keys(METRICS).filter((name) => !used.has(name))).toEqual([]);
});
