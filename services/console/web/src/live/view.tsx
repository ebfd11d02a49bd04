import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { Status } from '../../../src/wire.ts';
import { post, sayError } from '../api.ts';
import { count, duration } from '../format.ts';
import { status } from '../live.ts';
import { isHolder, may, session } from '../session.ts';
import { Badge, Title, When } from '../ui/parts.tsx';
import { toast } from '../ui/toast.tsx';
import type { Tone } from '../words.ts';
import { readable } from '../words.ts';
import { Minutes } from './chart.tsx';
import { Feed } from './feed.tsx';

/** What a check says when all is well. */
const WELL = 'reachable';

export function LiveView() {
  const now = status.value;
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <Title name={isHolder.value ? 'Your works, live' : 'Live'} />
          <p>
            {isHolder.value
              ? `What happens to copies of ${session.value?.holder ?? 'your'}'s works, as it happens.`
              : 'What goes through Vigil now, how long it takes, and whether all is well.'}
          </p>
        </div>
        {now && !isHolder.value && <Health now={now} />}
      </header>
      {now ? <Now now={now} /> : <div class="skeleton tall" aria-hidden="true" />}
      <Feed />
    </div>
  );
}

function Health({ now }: { now: Status }) {
  const { health, canary, brakes } = now;
  const wrong = [
    ...(health && !health.ready
      ? Object.entries(health.checks)
          .filter(([, v]) => v !== WELL)
          .map(([name, v]) => `${name}: ${v}`)
      : []),
    ...(canary?.state === 'red' ? ['the canary is red'] : []),
    ...((brakes?.length ?? 0) > 0 ? ['a brake is on'] : []),
  ];
  return wrong.length === 0 ? (
    <Badge tone="good">All is well</Badge>
  ) : (
    <Badge tone="bad" title={wrong.join('; ')}>
      Look here: {wrong[0]}
    </Badge>
  );
}

function Now({ now }: { now: Status }) {
  const { rates, takedown, minutes, cases, queues, canary, brakes } = now;
  return (
    <>
      {brakes && brakes.length > 0 && <Brakes brakes={brakes} />}
      <section class="figures" aria-label="Now">
        {rates.uploads !== null && <Figure name="Uploads a minute" value={count(rates.uploads)} />}
        {rates.verdicts !== null && <Figure name="Verdicts a minute" value={count(rates.verdicts)} />}
        {rates.takedowns !== null && <Figure name="Takedowns a minute" value={count(rates.takedowns)} />}
        <Figure
          name="Time to takedown"
          value={takedown.p50 === null ? '–' : duration(takedown.p50)}
          hint={takedown.p95 === null ? 'none in 15 minutes' : `95 % within ${duration(takedown.p95)}`}
        />
        <Figure name="Cases in review" value={count(cases.open)} to="/cases?state=open" />
        <Figure
          name={isHolder.value ? 'Disputes to answer' : 'Cases contested'}
          value={count(cases.contested)}
          to="/cases?state=contested"
          tone={cases.contested > 0 ? 'wait' : ''}
        />
      </section>
      <section class="panel" aria-labelledby="hour-title">
        <div class="panel-head">
          <h2 id="hour-title">The last hour</h2>
          <span class="quiet small">a bar a minute</span>
        </div>
        <div class="panel-body hour">
          {!isHolder.value && <Minutes name="Uploads" values={minutes.uploads} from={minutes.from} tone="ink" />}
          {!isHolder.value && <Minutes name="Verdicts" values={minutes.verdicts} from={minutes.from} tone="accent" />}
          <Minutes name="Takedowns" values={minutes.takedowns} from={minutes.from} tone="bad" />
        </div>
      </section>
      {queues && (
        <section class="two" aria-label="Queues and checks">
          <div class="panel">
            <div class="panel-head">
              <h2>Queues</h2>
              <span class="quiet small">what waits, and for whom</span>
            </div>
            <dl class="panel-body queue-list">
              <Queue name="Events not read yet" n={queues.lag} hint="by some stage of the pipeline" many={200} />
              <Queue
                name="Items for a reviewer"
                n={queues.review}
                hint={`${count(queues.held)} held now`}
                to="/review"
                many={50}
              />
              <Queue
                name="Takedowns not confirmed"
                n={queues.unacknowledged}
                hint="by some surface of the platform"
                many={20}
              />
              <Queue
                name="Dead letters"
                n={queues.deadLetters}
                hint="events that could not be handled, and nobody has seen to"
                many={0}
              />
            </dl>
          </div>
          <div class="panel">
            <div class="panel-head">
              <h2>Checks</h2>
              <span class="quiet small">Vigil watches itself</span>
            </div>
            <dl class="panel-body queue-list">
              <Check
                name="Canary"
                state={canary ? canary.state : 'unknown'}
                detail={
                  canary
                    ? canary.detail
                    : 'no canary runs: known media that are uploaded again and again, to see that they are found'
                }
                at={canary?.at ?? null}
              />
              {Object.entries(now.health?.checks ?? {}).map(([name, said]) => (
                <Check
                  key={name}
                  name={readable(name)}
                  state={said === WELL ? 'green' : 'red'}
                  detail={said === WELL ? '' : said}
                  at={null}
                />
              ))}
              <Check
                name="Brakes"
                state={(brakes?.length ?? 0) > 0 ? 'red' : 'green'}
                detail={(brakes?.length ?? 0) > 0 ? 'see above' : 'none is on'}
                at={null}
              />
            </dl>
          </div>
        </section>
      )}
    </>
  );
}

function Figure({
  name,
  value,
  hint,
  to,
  tone = '',
}: {
  name: string;
  value: string;
  hint?: string;
  to?: string;
  tone?: Tone;
}) {
  const inside: ComponentChildren = (
    <>
      <span class="figure-name">{name}</span>
      <span class={`figure-value num ${tone ? `tone-${tone}` : ''}`}>{value}</span>
      {hint && <span class="quiet small num">{hint}</span>}
    </>
  );
  return to ? (
    <a class="figure panel" href={to}>
      {inside}
    </a>
  ) : (
    <div class="figure panel">{inside}</div>
  );
}

/** @param many from how many on somebody should look */
function Queue({
  name,
  n,
  hint,
  to,
  many,
}: {
  name: string;
  n: number | null;
  hint: string;
  to?: string;
  many: number;
}) {
  return (
    <div>
      <dt>
        {to ? <a href={to}>{name}</a> : name}
        <span class="quiet small">{hint}</span>
      </dt>
      <dd class={`num ${n !== null && n > many ? 'wait-ink' : ''}`}>{n === null ? 'unknown' : count(n)}</dd>
    </div>
  );
}

function Check({
  name,
  state,
  detail,
  at,
}: {
  name: string;
  state: 'green' | 'red' | 'unknown';
  detail: string;
  at: number | null;
}) {
  const tone = { green: 'good', red: 'bad', unknown: '' }[state];
  return (
    <div>
      <dt>
        {name}
        <span class="quiet small">{detail}</span>
      </dt>
      <dd class="row nowrap small">
        <span class={`dot ${tone}`} />
        {{ green: 'well', red: 'not well', unknown: 'unknown' }[state]}
        {at !== null && (
          <span class="quiet">
            <When at={at} />
          </span>
        )}
      </dd>
    </div>
  );
}

function Brakes({ brakes }: { brakes: NonNullable<Status['brakes']> }) {
  return (
    <section class="panel brakes" aria-labelledby="brakes-title">
      <div class="panel-head">
        <h2 id="brakes-title">Brakes</h2>
        <span class="quiet small">what they hold back goes to a person instead of being taken down</span>
      </div>
      <ul>
        {brakes.map((brake) => (
          <Brake key={brake.id} brake={brake} />
        ))}
      </ul>
    </section>
  );
}

function Brake({ brake }: { brake: NonNullable<Status['brakes']>[number] }) {
  const asking = useSignal(false);
  const busy = useSignal(false);
  async function release(rejudge: boolean): Promise<void> {
    busy.value = true;
    try {
      await post(`/v1/brakes/${encodeURIComponent(brake.id)}/release`, { rejudge });
      toast(`The brake on ${brake.subject} is released.`);
    } catch (error) {
      toast(`Not released: ${sayError(error)}`);
    } finally {
      busy.value = false;
      asking.value = false;
    }
  }
  return (
    <li class="brake">
      <div>
        <strong>{readable(brake.kind)}</strong> <span class="mono">{brake.subject}</span>
        <p class="small">{brake.why}</p>
        <p class="quiet small">
          since <When at={brake.since} />
        </p>
      </div>
      {may('brakes:write') && (
        <div class="row">
          {asking.value ? (
            <>
              <button type="button" class="button primary" disabled={busy.value} onClick={() => void release(true)}>
                Release, and judge again what it held
              </button>
              <button type="button" class="button" disabled={busy.value} onClick={() => void release(false)}>
                Release, leave that to review
              </button>
              <button type="button" class="button ghost" onClick={() => (asking.value = false)}>
                Leave it on
              </button>
            </>
          ) : (
            <button type="button" class="button" onClick={() => (asking.value = true)}>
              Release
            </button>
          )}
        </div>
      )}
    </li>
  );
}
