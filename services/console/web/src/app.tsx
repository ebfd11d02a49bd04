import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { CasesView } from './cases/list.tsx';
import { CasePage } from './cases/page.tsx';
import { LibraryView } from './library/list.tsx';
import { WorkPage } from './library/work.tsx';
import { LiveView } from './live/view.tsx';
import { connection, status } from './live.ts';
import { Help } from './review/help.tsx';
import { ReviewView } from './review/view.tsx';
import { below, go, path } from './router.ts';
import { enterByLink, findSession, isHolder, linkProblem, may, session, signOut } from './session.ts';
import { SignInView } from './sign-in.tsx';
import { nextTheme, theme } from './theme.ts';
import { announce, LiveRegions } from './ui/announce.tsx';
import { Guard } from './ui/guard.tsx';
import { Icon, type IconName } from './ui/icon.tsx';
import { useKeys } from './ui/keys.ts';
import { Empty, Title } from './ui/parts.tsx';
import { Toasts, toast } from './ui/toast.tsx';

interface Place {
  path: string;
  name: string;
  icon: IconName;
  key: string;
  verb: string;
}

const PLACES: Place[] = [
  { path: '/review', name: 'Review', icon: 'review', key: 'r', verb: 'reviews:write' },
  { path: '/cases', name: 'Cases', icon: 'cases', key: 'c', verb: 'cases:read' },
  { path: '/library', name: 'Library', icon: 'library', key: 'l', verb: 'references:read' },
  { path: '/live', name: 'Live', icon: 'live', key: 'v', verb: 'live:read' },
];
const places = (): Place[] => {
  const own = PLACES.filter(({ verb }) => may(verb));
  // A holder begins with how things stand.
  return isHolder.value ? own.sort((a, b) => Number(b.path === '/live') - Number(a.path === '/live')) : own;
};

/** Reviewers begin with what waits for them; whoever only looks in holds nothing back from others. */
const home = (): string => (session.value?.role === 'reviewer' ? '/review' : may('live:read') ? '/live' : '/cases');

export function App() {
  useEffect(() => {
    void findSession();
    // A link that is pasted where the page is open already changes no more than what stands behind the #.
    const pasted = () => void enterByLink();
    addEventListener('hashchange', pasted);
    return () => removeEventListener('hashchange', pasted);
  }, []);
  if (session.value === undefined) return <p class="sr-only">Vigil is loading.</p>;
  return (
    <>
      {session.value === null ? <SignInView /> : <Shell />}
      <Toasts />
      <LiveRegions />
    </>
  );
}

function Shell() {
  const help = useSignal(false);
  const going = useRef(0);
  const at = path.value;
  useEffect(() => {
    if (at === '/' || at === '/sign-in') go(home(), { replace: true });
  }, [at]);
  const problem = linkProblem.value;
  useEffect(() => {
    if (!problem || !session.value) return;
    toast(`${problem} You are still signed in as ${session.value.name}.`);
    linkProblem.value = null;
  }, [problem]);
  const jump = (to: Place) => () => {
    if (Date.now() - going.current < 1500) go(to.path);
  };
  useKeys(() => ({
    g: () => {
      going.current = Date.now();
    },
    '?': () => {
      help.value = true;
    },
    ...Object.fromEntries(places().map((place) => [place.key, jump(place)])),
  }));
  return (
    <>
      <a class="skip-link" href="#main">
        To what this page shows
      </a>
      <div class="shell">
        <Side onHelp={() => (help.value = true)} />
        <main id="main" tabIndex={-1}>
          <Lost />
          <Guard key={at}>
            <View at={at} />
          </Guard>
        </main>
      </div>
      {help.value && <Help onClose={() => (help.value = false)} />}
    </>
  );
}

function View({ at }: { at: string }) {
  if (at === '/' || at === '/sign-in') return null;
  if (at === '/review' || at === '/review/queue') return may('reviews:write') ? <ReviewView /> : <Nowhere />;
  if (at === '/cases') return <CasesView />;
  if (at === '/library') return <LibraryView />;
  if (at === '/live') return may('live:read') ? <LiveView /> : <Nowhere />;
  const inCase = below('/cases', at);
  if (inCase) return <CasePage key={inCase} id={inCase} />;
  const work = below('/library', at);
  if (work) return <WorkPage key={work} id={work} />;
  return <Nowhere />;
}

function Nowhere() {
  return (
    <div class="page">
      <Title name="Not here" />
      <Empty icon="help" title="There is nothing at this address">
        <p>It may have moved, or it is not yours to see.</p>
      </Empty>
    </div>
  );
}

function Side({ onHelp }: { onHelp(): void }) {
  const who = session.value;
  if (!who) return null;
  return (
    <header class="side">
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" /> Vigil
      </a>
      <nav class="nav" aria-label="Vigil">
        {places().map((place) => (
          <NavLink key={place.path} place={place} />
        ))}
      </nav>
      <div class="side-foot">
        <Line />
        <div class="who">
          <strong class="clip">{who.name}</strong>
          <span class="quiet">{who.role === 'holder' ? `holder ${who.holder}` : who.role}</span>
        </div>
        <div class="row">
          <button
            type="button"
            class="button ghost"
            onClick={onHelp}
            aria-label="Keys and help"
            title="Keys and help (?)"
          >
            <Icon name="help" size={17} />
          </button>
          <button
            type="button"
            class="button ghost"
            onClick={nextTheme}
            aria-label={`Colours: ${theme.value === 'auto' ? 'as the system has them' : theme.value}`}
            title={`Colours: ${theme.value}`}
          >
            <Icon name="sun" size={17} />
          </button>
          <button
            type="button"
            class="button ghost"
            onClick={() => void signOut()}
            aria-label="Sign out"
            title="Sign out"
          >
            <Icon name="out" size={17} />
          </button>
        </div>
      </div>
    </header>
  );
}

function NavLink({ place }: { place: Place }) {
  const here = useComputed(() => path.value === place.path || path.value.startsWith(`${place.path}/`));
  const now = status.value;
  const waits =
    place.path === '/review' ? (now?.queues?.review ?? 0) : place.path === '/cases' ? (now?.cases.contested ?? 0) : 0;
  const words = place.path === '/review' ? 'waiting' : 'contested';
  return (
    <a href={place.path} aria-current={here.value ? 'page' : undefined}>
      <Icon name={place.icon} />
      {place.name}
      {waits > 0 && (
        <span class="count">
          {waits}
          <span class="sr-only"> {words}</span>
        </span>
      )}
    </a>
  );
}

const LINES = { live: ['good', 'Live'], connecting: ['', 'Connecting …'], lost: ['bad', 'Reconnecting …'] } as const;

/** How the line to the server is, always in sight. */
function Line() {
  const [tone, text] = LINES[connection.value];
  return (
    <span class="connection">
      <span class={`dot ${tone}`} />
      {text}
    </span>
  );
}

function Lost() {
  const lost = connection.value === 'lost';
  const was = useRef(false);
  useEffect(() => {
    if (lost === was.current) return;
    was.current = lost;
    announce(lost ? 'The connection was lost. It is tried again.' : 'Connected again.');
  }, [lost]);
  if (!lost) return null;
  return <p class="banner">The connection was lost; what you see may be old. It is tried again by itself.</p>;
}
