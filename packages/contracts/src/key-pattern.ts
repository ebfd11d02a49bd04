import type { UploadEvent } from './events.ts';

/** What an object's key says of its upload. */
export interface KeyPattern {
  text: string;
  /** Nothing when the key is not of this form. */
  read(key: string): Pick<UploadEvent, 'account' | 'territory'> & { visibility?: string };
}

const KNOWN = ['account', 'visibility', 'territory'];
const SPECIAL = /[\\^$.*+?()[\]{}|]/g;

/**
 * A pattern such as `{account}/{visibility}/{file}`: each part between slashes may hold one name in braces, which stands for one
 * or more characters other than a slash; in the last part for all that follows. Names other than account, visibility and
 * territory are passed over.
 * @throws RangeError that says what is wrong with the pattern
 */
export function parseKeyPattern(text: string): KeyPattern {
  const parts = text.split('/');
  const names: string[] = [];
  const source = parts.map((part, n) => {
    const found = /^([^{}]*)(?:\{([a-z]\w*)\}([^{}]*))?$/i.exec(part);
    // One name a part, so that no key can be read in two ways, nor slowly.
    if (!found) throw new RangeError(`"${part}": give one {name} between slashes`);
    const [, before = '', name, after = ''] = found;
    if (name === undefined) return literally(before);
    if (names.includes(name)) throw new RangeError(`{${name}} stands in it twice`);
    names.push(name);
    const group = KNOWN.includes(name) ? `?<${name}>` : '?:';
    return `${literally(before)}(${group}${n === parts.length - 1 ? '.' : '[^/]'}+)${literally(after)}`;
  });
  if (!names.some((name) => KNOWN.includes(name))) {
    throw new RangeError(`give at least one of ${KNOWN.map((name) => `{${name}}`).join(', ')}`);
  }
  const pattern = new RegExp(`^${source.join('/')}$`, 's');
  return {
    text,
    read(key) {
      return { ...pattern.exec(key)?.groups };
    },
  };
}

const literally = (literal: string): string => literal.replace(SPECIAL, '\\$&');
