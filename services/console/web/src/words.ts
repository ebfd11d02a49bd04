import type { CaseState, ClaimState, Reference, SkipReason } from '../../src/wire.ts';

/** What states, steps and kinds are called for people. What is not in a list is shown as it came. */
export type Tone = 'bad' | 'good' | 'wait' | 'accent' | '';

const CLAIM: Record<ClaimState, { text: string; tone: Tone; means: string }> = {
  open: { text: 'In review', tone: 'wait', means: 'found, and left to a person' },
  'taken-down': { text: 'Taken down', tone: 'bad', means: 'the media are disabled where the claim holds' },
  disputed: { text: 'Disputed', tone: 'wait', means: 'the uploader objects; the holder can answer' },
  upheld: { text: 'Upheld', tone: 'bad', means: 'the holder stands by the claim; the uploader can appeal' },
  appealed: { text: 'Appealed', tone: 'wait', means: 'the uploader appeals; the holder can answer' },
  'counter-notice': {
    text: 'Counter-notice',
    tone: 'wait',
    means: 'the uploader answered the notice; it is to be forwarded',
  },
  waiting: { text: 'Put back soon', tone: 'wait', means: 'the media come back unless the holder goes to court' },
  'court-hold': {
    text: 'In court',
    tone: 'bad',
    means: 'the holder went to court; the media stay disabled until it decides',
  },
  closed: { text: 'Closed', tone: '', means: 'the media stay disabled; nobody contested it in time' },
  reversed: { text: 'Reversed', tone: 'good', means: 'the takedown was undone; the media are back' },
  'put-back': { text: 'Put back', tone: 'good', means: 'the media are back after a counter-notice' },
  dismissed: { text: 'Dismissed', tone: 'good', means: 'a person found that it asks for nothing' },
  withdrawn: { text: 'Withdrawn', tone: 'good', means: 'the claim was taken back' },
};

const CASE: Record<CaseState, { text: string; tone: Tone }> = {
  open: { text: 'In review', tone: 'wait' },
  'taken-down': { text: 'Taken down', tone: 'bad' },
  contested: { text: 'Contested', tone: 'wait' },
  closed: { text: 'Closed', tone: '' },
};

const REFERENCE: Record<Reference['state'], { text: string; tone: Tone; means: string }> = {
  received: { text: 'Received', tone: 'accent', means: 'its file has arrived and is being read' },
  fingerprinted: { text: 'Fingerprinted', tone: 'accent', means: 'read; the indexes are learning it' },
  checked: { text: 'Checked', tone: 'accent', means: 'compared with what is protected already' },
  live: { text: 'Live', tone: 'good', means: 'copies of it are found' },
  disabled: { text: 'Disabled', tone: '', means: 'it protects nothing any more' },
  rejected: { text: 'Rejected', tone: 'bad', means: 'it could not be used' },
};

export const GROUND: Record<string, string> = {
  'rights-holder-rule': "the holder's rule",
  '512c3-notice': 'a notice under 17 USC 512(c)(3)',
  'dsa-16-notice': 'a notice under DSA Art. 16',
  'trusted-flagger': 'a trusted flagger',
};

export const ROLE: Record<string, string> = {
  system: 'Vigil',
  uploader: 'The uploader',
  holder: 'The holder',
  reviewer: 'A reviewer',
};

export const SKIP: Record<SkipReason, string> = {
  unsure: 'Not sure',
  'needs-language': 'Needs somebody who knows the language',
  'needs-holder': 'Needs a question to the holder',
  'needs-senior': 'Needs somebody more experienced',
  'media-missing': 'The media cannot be seen',
  other: 'Something else',
};

export const DISPUTE_GROUND: Record<string, string> = {
  'not-the-work': 'It is not that work',
  licensed: 'There is a licence',
  'own-work': "It is the uploader's own work",
  'public-domain': 'The work is in the public domain',
  quotation: 'It is a quotation',
  'criticism-or-review': 'It is criticism or review',
  'caricature-parody-pastiche': 'It is caricature, parody or pastiche',
  'fair-use': 'It is fair use',
  other: 'Another reason',
};

/** Rules of policies, in a few words; their own sentence stands beside it. */
export const readable = (word: string): string => {
  const text = word.replaceAll('-', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
};

export const territories = (list: readonly string[]): string => (list.includes('*') ? 'everywhere' : list.join(', '));

const unknown = (state: string) => ({ text: readable(state), tone: '' as Tone, means: '' });
export const claimState = (state: ClaimState) => CLAIM[state] ?? unknown(state);
export const caseState = (state: CaseState) => CASE[state] ?? unknown(state);
export const referenceState = (state: Reference['state']) => REFERENCE[state] ?? unknown(state);
