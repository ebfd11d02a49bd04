/** A version of a reference that protects again acts by a claim of its own. */
export const migration0011 = `
ALTER TABLE claims DROP CONSTRAINT claims_upload_reference_key, ADD UNIQUE (upload, reference, version);
`;
