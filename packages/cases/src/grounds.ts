import type { DisputeGroundId, Ground } from '@vigil/contracts';

/** What a restriction rests on, in words that its uploader can read. */
export const GROUND_TEXTS: Record<Ground, string> = {
  'rights-holder-rule':
    "a rule that the rights-holder has set for copies of its work, under the platform's terms on copyright",
  '512c3-notice': 'a notice of claimed infringement under 17 USC 512(c)(3)',
  'dsa-16-notice': 'a notice under Article 16 of Regulation (EU) 2022/2065',
  'trusted-flagger': 'a notice of a trusted flagger under Article 22 of Regulation (EU) 2022/2065',
};

export interface DisputeGround {
  id: DisputeGroundId;
  /** Completes "The uploader says that ...". */
  text: string;
  /** Where it stands, if anywhere. */
  law: string | null;
  /** It has to be explained in words. */
  explain: boolean;
}

/** The language of the law as data: what an uploader may say against a restriction. */
export const DISPUTE_GROUNDS: readonly DisputeGround[] = [
  { id: 'not-the-work', text: 'the upload does not contain the work', law: null, explain: false },
  { id: 'licensed', text: 'the use is licensed, or the owner has agreed to it', law: null, explain: true },
  { id: 'own-work', text: 'the work is the uploader’s own', law: null, explain: true },
  { id: 'public-domain', text: 'the work is not, or no longer, protected', law: null, explain: false },
  { id: 'quotation', text: 'the use is a quotation', law: 'Directive (EU) 2019/790, Art. 17(7)(a)', explain: false },
  {
    id: 'criticism-or-review',
    text: 'the use is criticism or review',
    law: 'Directive (EU) 2019/790, Art. 17(7)(a)',
    explain: false,
  },
  {
    id: 'caricature-parody-pastiche',
    text: 'the use is caricature, parody or pastiche',
    law: 'Directive (EU) 2019/790, Art. 17(7)(b)',
    explain: false,
  },
  { id: 'fair-use', text: 'the use is fair use', law: '17 USC 107', explain: true },
  { id: 'other', text: 'there is another reason, explained in words', law: null, explain: true },
];
