import type { Instance } from '@vigil/pipeline';

/** What the routes stand on. */
export type Deps = Pick<
  Instance,
  | 'database'
  | 'intake'
  | 'inspect'
  | 'cases'
  | 'reviews'
  | 'layouts'
  | 'brakes'
  | 'witnesses'
  | 'status'
  | 'blobs'
  | 'buckets'
  | 'serveBlobs'
>;
