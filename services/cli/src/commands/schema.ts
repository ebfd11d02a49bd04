import { asyncApiDocument, EVENTS, jsonSchemaOf } from '@vigil/contracts';
import { dim, say, table, UsageError } from '../output.ts';

const WHO = { in: 'you send', out: 'you read', internal: 'internal' } as const;

/** `vigil schema`: what stands on the topics, for those who write or read them. */
export function schema(name: string | undefined, { asyncapi }: { asyncapi?: boolean }, version: string): void {
  if (asyncapi && name) throw new UsageError('the AsyncAPI document is of all events: give no name with --asyncapi');
  if (!asyncapi && !name) list();
  else say(JSON.stringify(name ? jsonSchemaOf(find(name)) : asyncApiDocument(version), null, 2));
}

function find(name: string) {
  const found = EVENTS.find((e) => e.name === name);
  if (!found) throw new UsageError(`there is no event ${name}: vigil schema lists them`);
  return found;
}

function list(): void {
  const rows = EVENTS.map((e) => [e.name, WHO[e.direction], e.types.join(' ') || 'no CloudEvent']);
  for (const line of table(rows)) say(line);
  say(dim('vigil schema <name> prints the JSON Schema of its data'));
}
