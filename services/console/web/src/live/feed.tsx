import { signal } from '@preact/signals';
import type { LiveEvent } from '../../../src/wire.ts';
import { duration, percent } from '../format.ts';
import { onLive } from '../live.ts';
import { Badge, When } from '../ui/parts.tsx';
import type { Tone } from '../words.ts';

type Heard = Extract<LiveEvent, { type: 'verdict' | 'takedown' | 'alarm' | 'reference' }>;

const MOST = 60;
const heard = signal<{ n: number; event: Heard }[]>([]);
let last = 0;

onLive((event) => {
  if (event.type === 'takedown' || event.type === 'alarm' || event.type === 'verdict' || event.type === 'reference')
    heard.value = [{ n: ++last, event }, ...heard.value].slice(0, MOST);
});

/** What has just happened, newest first. Not said aloud: there may be dozens a second. */
export function Feed() {
  return (
    <section class="panel" aria-labelledby="feed-title">
      <div class="panel-head">
        <h2 id="feed-title">As it happens</h2>
        <span class="quiet small">since this page was opened</span>
      </div>
      {heard.value.length === 0 ? (
        <p class="panel-body quiet small">Verdicts, takedowns and alarms appear here the moment they are said.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so it must be reachable by keyboard
        <ol class="feed" tabIndex={0} aria-label="Newest first">
          {heard.value.map(({ n, event }) => (
            <li key={n}>
              <Line event={event} />
              <span class="quiet small">
                <When at={event.at} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

const VERDICTS: Record<string, [string, Tone]> = {
  cleared: ['Cleared', 'good'],
  'taken-down': ['Taken down', 'bad'],
  'in-review': ['To review', 'wait'],
  rejected: ['Rejected', ''],
};

function Line({ event }: { event: Heard }) {
  if (event.type === 'alarm')
    return (
      <span class="row">
        <Badge tone="bad">Alarm</Badge>
        <span class="small">{event.message}</span>
      </span>
    );
  if (event.type === 'reference')
    return (
      <span class="row">
        <Badge tone={event.state === 'live' ? 'good' : 'accent'}>Reference {event.state}</Badge>
        <span class="small quiet mono clip">{event.reference}</span>
      </span>
    );
  if (event.type === 'takedown') {
    const body = (
      <>
        <Badge tone={event.action === 'takedown' ? 'bad' : 'good'}>
          {event.action === 'takedown' ? 'Takedown' : 'Restored'}
        </Badge>
        <span class="small clip">
          {event.work}{' '}
          <span class="quiet num">
            {event.action === 'takedown' ? `after ${duration(event.after)}, ${percent(event.confidence)} sure` : ''}
          </span>
        </span>
      </>
    );
    return event.case ? (
      <a class="row" href={`/cases/${encodeURIComponent(event.case)}`}>
        {body}
      </a>
    ) : (
      <span class="row">{body}</span>
    );
  }
  const [text, tone] = VERDICTS[event.verdict] ?? [event.verdict, ''];
  return (
    <span class="row">
      <Badge tone={tone}>{text}</Badge>
      <span class="small quiet clip">
        <span class="mono">{event.upload}</span>
        {event.reason ? `, ${event.reason}` : ''}
        {event.revision > 1 ? `, revision ${event.revision} (${event.cause})` : ''}
      </span>
    </span>
  );
}
