import type { Instance } from '@vigil/pipeline';
import type { LiveFeed } from './live-feed.ts';
import type { LiveStatus } from './live-status.ts';
import type { Principal } from './principal.ts';

/** What the routes stand on. */
export type Deps = { live: { feed: LiveFeed; status: (who: Principal) => Promise<LiveStatus> } } & Pick<
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
