import { openApi } from '@vigil/api';
import { openPage } from '@vigil/console';
import type { Instance } from '@vigil/pipeline';
import type { OpenSite } from '@vigil/worker';
import { onThisMachine } from './ask.ts';

/** All that people and programs find at the address of an instance: the page, and the API below it. */
export const openSite: OpenSite = async (instance, { config, logger }) => {
  const secure = config.api.publicUrl?.startsWith('https:') ?? false;
  const page = config.roles.includes('console')
    ? await openPage({ secure }).catch((error: Error) => {
        // The API is worth having without it.
        logger.warn({ error }, 'there is no page: `npm run setup` builds it');
        return null;
      })
    : null;
  const api = await openApi(instance, { config, logger });
  return {
    handle(request, response) {
      if (!page?.handle(request, response)) api.handle(request, response);
    },

    async greet(url) {
      if (!page) return [];
      const address = config.api.publicUrl ?? url;
      // Where others may read what is said here, nobody is let in by it: with an address for others, it stands in a service's journal.
      if (config.api.publicUrl || !onThisMachine(new URL(url)))
        return [`The page: ${address}  (sign in with: vigil console sign-in --role reviewer)`];
      const holder = await someHolder(instance);
      const lines = [`The page: ${address}`, 'Sign in, by a link that works once and for an hour:'];
      for (const role of ['reviewer', 'operator', 'holder'] as const) {
        const about = role === 'holder' ? { role, holder, name: holder } : { role, holder: null, name: `the ${role}` };
        const { path } = await api.invite({ ...about, createdBy: 'start' });
        lines.push(`  ${role.padEnd(9)} ${address}${path}${role === 'holder' ? `  (${holder})` : ''}`);
      }
      return lines;
    },

    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
};

/** Whoever registered the newest reference, so that there is something to be seen. */
async function someHolder({ inspect }: Instance): Promise<string> {
  const [newest] = await inspect.references();
  return newest?.holder ?? 'studio-a';
}
