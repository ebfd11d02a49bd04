/** Exports read takedowns in the order in which they were sent, page by page. */
export const migration0006 = `
CREATE INDEX actions_takedowns ON actions (sent_at, id) WHERE action = 'takedown';
`;
