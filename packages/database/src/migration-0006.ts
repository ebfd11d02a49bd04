/** Exports read takedowns in the order in which they were sent, page by page; old messages are found by their age. */
export const migration0006 = `
CREATE INDEX actions_takedowns ON actions (sent_at, id) WHERE action = 'takedown';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (created_at) WHERE due_at IS NULL;
`;
