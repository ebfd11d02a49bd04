import type { ReviewItem } from '../../../src/wire.ts';
import { clock, percent } from '../format.ts';
import { Icon } from '../ui/icon.tsx';
import { readable } from '../words.ts';

/** The rule that fired and the ones that did not, in the order in which they were tried. */
export function Why({ item }: { item: Pick<ReviewItem, 'trials' | 'rule' | 'policy'> }) {
  const { trials, policy } = item;
  if (trials.length === 0) return <p class="quiet small">No rule was tried: this claim rests on a notice.</p>;
  return (
    <>
      <ol class="rules">
        {trials.map(({ rule, fired, why }) => (
          <li key={rule} class={fired ? 'fired' : ''}>
            <Icon name={fired ? 'check' : 'cross'} size={16} />
            <div>
              <strong>{readable(rule)}</strong>
              <span class="sr-only">{fired ? ' fired: ' : ' did not fire: '}</span>
              <p>{why}</p>
            </div>
          </li>
        ))}
      </ol>
      {policy && (
        <p class="quiet small">
          The first rule that fires decides, by the holder's{' '}
          <span title={policy.id}>policy, version {policy.version}</span>.
        </p>
      )}
    </>
  );
}

/** How much was found and how it was altered, in a few lines. */
export function Found({ item }: { item: Pick<ReviewItem, 'evidence' | 'altered' | 'geometry' | 'uploadMedia'> }) {
  const { evidence, altered, geometry, uploadMedia } = item;
  if (!evidence) return null;
  const film = evidence.total > 0;
  return (
    <dl class="facts">
      <dt>How</dt>
      <dd>
        <strong>{altered ?? 'as it is'}</strong>
        {geometry && !geometry.fitted && altered && altered !== 'as it is' && (
          <span class="quiet"> (outline from the borders alone)</span>
        )}
      </dd>
      <dt>How much</dt>
      <dd class="num">
        {film ? (
          <>
            {clock(evidence.total)} of {clock(uploadMedia.duration ?? evidence.total)}, {percent(evidence.share.upload)}{' '}
            of the upload
          </>
        ) : (
          <>{percent(evidence.share.upload)} of the upload</>
        )}
        {evidence.share.reference > 0 && (
          <span class="quiet">; {percent(evidence.share.reference)} of the reference</span>
        )}
      </dd>
      {film && (
        <>
          <dt>In one piece</dt>
          <dd class="num">{clock(evidence.longest)}</dd>
        </>
      )}
      <dt>Confidence</dt>
      <dd class="num">
        <span class="meter" aria-hidden="true">
          <i style={{ width: percent(evidence.confidence).replace(' ', '') }} />
        </span>
        {percent(evidence.confidence)}
      </dd>
    </dl>
  );
}
