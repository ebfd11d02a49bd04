export { type EmbeddedPostgres, openEmbeddedPostgres, openTemporaryPostgres } from './embedded.ts';
export { FolderInUse, lockDataFolder } from './folder-lock.ts';
