import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { SignIn, SignInWays } from '../../src/wire.ts';
import { get, sayError } from './api.ts';
import { route } from './router.ts';
import { expectSession, linkProblem, signedOutWhy, signIn } from './session.ts';
import { Icon } from './ui/icon.tsx';
import { Title } from './ui/parts.tsx';

export function SignInView() {
  const ways = useSignal<SignInWays | null>(null);
  const key = useSignal('');
  const busy = useSignal(false);
  const problem = useSignal<string | null>(route.value.query.get('problem'));
  const field = useRef<HTMLInputElement>(null);

  async function enter(how: SignIn): Promise<void> {
    busy.value = true;
    problem.value = null;
    try {
      await signIn(how);
    } catch (error) {
      problem.value = sayError(error);
      field.current?.focus();
    } finally {
      busy.value = false;
    }
  }
  useEffect(() => {
    get<SignInWays>('/session/ways').then(
      (found) => {
        ways.value = found;
      },
      () => undefined,
    );
  }, []);

  useEffect(() => {
    if (linkProblem.value) field.current?.focus();
  }, [linkProblem.value]);

  const wrong = problem.value ?? linkProblem.value;
  const back = route.value.path === '/sign-in' ? '/' : route.value.path;
  return (
    <main class="sign-in" tabIndex={-1}>
      <section class="sign-in-words" aria-label="What this is">
        <p class="brand">
          <img src="/icon.svg" alt="" /> Vigil
        </p>
        <p class="claim">Finds copies of protected works among uploads, and takes them down within seconds.</p>
        <ul>
          <li>
            <Icon name="review" /> Reviewers decide in seconds, because they see why.
          </li>
          <li>
            <Icon name="cases" /> Uploaders can object, and mistakes are undone.
          </li>
          <li>
            <Icon name="library" /> Holders see what is theirs and where it was copied.
          </li>
        </ul>
      </section>
      <form
        class="panel sign-in-form stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (key.value.trim()) void enter({ key: key.value.trim() });
          else problem.value = 'Paste your key first.';
        }}
      >
        <Title name="Sign in" />
        {signedOutWhy.value && (
          <p class="hint" role="status">
            {signedOutWhy.value}
          </p>
        )}
        {ways.value?.oidc && (
          <a class="button primary" href={`/session/oidc?return=${encodeURIComponent(back)}`} onClick={expectSession}>
            Sign in at {ways.value.oidc.host}
          </a>
        )}
        <div class="field">
          <label for="key">Key</label>
          <input
            ref={field}
            id="key"
            class="input mono"
            type="password"
            autocomplete="current-password"
            spellcheck={false}
            value={key.value}
            aria-invalid={wrong !== null}
            aria-describedby={wrong ? 'key-problem key-hint' : 'key-hint'}
            onInput={(event) => {
              key.value = event.currentTarget.value;
            }}
          />
          <p class="hint" id="key-hint">
            Whoever runs Vigil makes one: <code class="nowrap">npx vigil keys create --role reviewer</code>
          </p>
        </div>
        {wrong && (
          <p class="wrong" role="alert" id="key-problem">
            {wrong}
          </p>
        )}
        <button type="submit" class={`button ${ways.value?.oidc ? '' : 'primary'}`} disabled={busy.value}>
          {busy.value ? 'Signing in …' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}
