import type { Ground, TakedownEvent } from '@vigil/contracts';
import { countryOf, EVERYWHERE } from './territories.ts';

/**
 * Territories of the transparency database: the European Union and the other states of the European Economic Area. It knows countries
 * only, so that what is restricted in a part of one is reported for that country.
 */
const EU_EEA = 'AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK'.split(' ');

/** One statement of reasons as the DSA transparency database takes it (its API, version 1): nothing personal in it. */
export interface DsaStatement {
  puid: string;
  decision_visibility: string[];
  decision_ground: 'DECISION_GROUND_ILLEGAL_CONTENT' | 'DECISION_GROUND_INCOMPATIBLE_CONTENT';
  illegal_content_legal_ground?: string;
  illegal_content_explanation?: string;
  incompatible_content_ground?: string;
  incompatible_content_explanation?: string;
  content_type: string[];
  category: 'STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS';
  category_specification: string[];
  territorial_scope: string[];
  /** Days, YYYY-MM-DD in UTC. */
  content_date: string;
  application_date: string;
  decision_facts: string;
  source_type: string;
  automated_detection: 'Yes' | 'No';
  automated_decision: 'AUTOMATED_DECISION_FULLY' | 'AUTOMATED_DECISION_PARTIALLY' | 'AUTOMATED_DECISION_NOT_AUTOMATED';
}

/** So many in one call; one that is wrong refuses all of them. */
export const DSA_BATCH = 100;
const MAX_TEXT = 5000;

const SOURCES: Record<Ground, string> = {
  // The platform looks for copies of its own accord; a notice under another law is another notification.
  'rights-holder-rule': 'SOURCE_VOLUNTARY',
  '512c3-notice': 'SOURCE_TYPE_OTHER_NOTIFICATION',
  'dsa-16-notice': 'SOURCE_ARTICLE_16',
  'trusted-flagger': 'SOURCE_TRUSTED_FLAGGER',
};

/** null: it is no takedown, or it restricts nothing within the Union, so that there is nothing to report. */
export function dsaStatement(event: TakedownEvent): DsaStatement | null {
  const countries = event.territories.map(countryOf);
  const scope = countries.includes(EVERYWHERE) ? EU_EEA : EU_EEA.filter((code) => countries.includes(code));
  if (event.action !== 'takedown' || scope.length === 0) return null;
  const facts = event.statement?.facts ?? 'The upload was found to be a copy of a registered work.';
  return {
    puid: puidOf(event.id),
    decision_visibility: ['DECISION_VISIBILITY_CONTENT_DISABLED'],
    ...groundOf(event, facts),
    content_type: [{ image: 'CONTENT_TYPE_IMAGE', video: 'CONTENT_TYPE_VIDEO' }[event.kind ?? 'video']],
    category: 'STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS',
    category_specification: ['KEYWORD_COPYRIGHT_INFRINGEMENT'],
    territorial_scope: scope,
    content_date: day(event.latency.receivedAt),
    application_date: day(event.latency.decidedAt),
    decision_facts: facts.slice(0, MAX_TEXT),
    source_type: SOURCES[event.ground],
    automated_detection: event.automatedDetection ? 'Yes' : 'No',
    automated_decision: event.automatedDecision
      ? 'AUTOMATED_DECISION_FULLY'
      : event.automatedDetection
        ? 'AUTOMATED_DECISION_PARTIALLY'
        : 'AUTOMATED_DECISION_NOT_AUTOMATED',
  };
}

function groundOf({ ground }: TakedownEvent, facts: string) {
  const explanation = facts.slice(0, MAX_TEXT);
  if (ground === 'rights-holder-rule') {
    return {
      decision_ground: 'DECISION_GROUND_INCOMPATIBLE_CONTENT' as const,
      incompatible_content_ground:
        'Terms on copyright: copies of works that their holders have registered are not allowed',
      incompatible_content_explanation: explanation,
    };
  }
  return {
    decision_ground: 'DECISION_GROUND_ILLEGAL_CONTENT' as const,
    illegal_content_legal_ground: 'Copyright: Directive 2001/29/EC, Articles 2 and 3',
    illegal_content_explanation: explanation,
  };
}

/** @throws RangeError when an id is not one that the database takes */
function puidOf(id: string): string {
  if (!/^[A-Za-z0-9_-]{1,500}$/.test(id)) throw new RangeError(`${id} cannot be a puid`);
  return id;
}

const day = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Bodies of calls, each of at most a hundred statements. */
export function dsaBatches(statements: readonly DsaStatement[]): { statements: DsaStatement[] }[] {
  return Array.from({ length: Math.ceil(statements.length / DSA_BATCH) }, (_, n) => ({
    statements: statements.slice(n * DSA_BATCH, (n + 1) * DSA_BATCH),
  }));
}
