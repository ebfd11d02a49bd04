/** People can have erased what they wrote: who did it and why is kept, and answers that repeat it are found. */
export const migration0013 = `
-- A notice that lacked something has no chain that could say so.
ALTER TABLE papers ADD COLUMN erased_by text, ADD COLUMN erased_why text;
-- What was answered to a step of a case says what people wrote in it.
CREATE INDEX idempotency_keys_cases ON idempotency_keys (request text_pattern_ops) WHERE request LIKE 'POST /v1/cases/%';
-- Operators' keys that may do everything go on to.
UPDATE api_keys SET verbs = verbs || '["papers:erase", "audit:read"]' WHERE role = 'operator' AND verbs @>
  '["works:read", "works:write", "references:read", "references:write", "policies:read", "policies:write", "uploads:read",
    "uploads:write", "uploads:trace", "cases:read", "cases:write", "disputes:write", "notices:write", "reports:read", "exports:read",
    "webhooks:read", "webhooks:write", "keys:read", "keys:write", "fleet:write", "reviews:write", "live:read", "brakes:read",
    "brakes:write", "canary:write"]';
`;
