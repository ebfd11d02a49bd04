import type { Deps } from './deps.ts';
import type { Route } from './route.ts';
import { auditRoutes } from './routes/audit.ts';
import { brakeRoutes } from './routes/brakes.ts';
import { caseRoutes } from './routes/cases.ts';
import { claimMediaRoutes } from './routes/claim-media.ts';
import { conflictRoutes } from './routes/conflicts.ts';
import { erasureRoutes } from './routes/erasure.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { hashListRoutes } from './routes/hash-lists.ts';
import { keyRoutes } from './routes/keys.ts';
import { liveRoutes } from './routes/live.ts';
import { noticeRoutes } from './routes/notices.ts';
import { pictureRoutes } from './routes/pictures.ts';
import { policyRoutes } from './routes/policies.ts';
import { referenceUploadRoutes } from './routes/reference-uploads.ts';
import { referenceRoutes } from './routes/references.ts';
import { reportRoutes } from './routes/reports.ts';
import { reviewRoutes } from './routes/reviews.ts';
import { signInLinkRoutes } from './routes/sign-in-links.ts';
import { statusRoutes } from './routes/status.ts';
import { uploadRoutes } from './routes/uploads.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { workRoutes } from './routes/works.ts';

/** The map: every route there is. Documents, checks and the tests of isolation are made from it. */
export const routesOf = (deps: Deps & { maxBytes: number }): Route[] => [
  ...workRoutes(deps),
  ...referenceRoutes(deps),
  ...referenceUploadRoutes(deps),
  ...hashListRoutes(deps),
  ...conflictRoutes(deps),
  ...policyRoutes(deps),
  ...uploadRoutes(deps),
  ...caseRoutes(deps),
  ...pictureRoutes(deps),
  ...reviewRoutes(deps),
  ...claimMediaRoutes(deps),
  ...reportRoutes(deps),
  ...noticeRoutes(deps),
  ...erasureRoutes(deps),
  ...auditRoutes(deps),
  ...webhookRoutes(deps),
  ...keyRoutes(deps),
  ...signInLinkRoutes(deps),
  ...fleetRoutes(deps),
  ...statusRoutes(deps),
  ...liveRoutes(deps),
  ...brakeRoutes(deps),
];
