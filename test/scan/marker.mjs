// Every secret that a test plants begins with this, in small letters or in capitals (which are base32, for seeds). It has
// no shape that gives a secret away, so that only what is registered as one is cut out.
export const MARKER = 'kzcanary';

const escape = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
const anyCase = (text) => text.replace(/[a-z]/gi, (c) => `[${c.toLowerCase()}${c.toUpperCase()}]`);

function forms() {
  const all = [anyCase(MARKER)];
  const bytes = Buffer.from(MARKER);
  all.push(anyCase(bytes.toString('hex')));
  const codes = [...bytes].map((byte) => byte.toString(16));
  all.push(
    codes.map((code) => `%${anyCase(code)}`).join(''),
    codes.map((code) => `\\\\u00${anyCase(code)}`).join(''),
  );
  // UTF-16, as a text of one system is read by another.
  all.push(
    MARKER.split('')
      .map((c) => anyCase(c))
      .join('\\0'),
  );
  for (const value of [MARKER, MARKER.toUpperCase()]) {
    // The secret begins anywhere in what is encoded: three forms, by the bytes before it modulo 3.
    for (const before of [0, 1, 2]) {
      const whole = Buffer.concat([Buffer.alloc(before), Buffer.from(value)]);
      const sure = [Math.ceil((before * 8) / 6), Math.floor((whole.length * 8) / 6)];
      for (const encoding of ['base64', 'base64url'])
        all.push(escape(whole.toString(encoding).slice(...sure)));
    }
  }
  return new RegExp([...new Set(all)].join('|'), 'g');
}

const pattern = forms();
/** Longer than every form, so that one that comes in two parts is found. */
const TAIL = 80;

/** Tells of each part of a stream what it holds; one stream each. */
export function scanner() {
  let tail = '';
  return (part) => {
    const text = tail + (typeof part === 'string' ? part : Buffer.from(part).toString('latin1'));
    const found = [...text.matchAll(pattern)].filter(
      ({ index, 0: form }) => index + form.length > tail.length,
    );
    tail = text.slice(-TAIL);
    return found.map(({ index, 0: form }) => {
      const around = [
        text.slice(Math.max(0, index - 60), index),
        text.slice(index + form.length, index + 60),
      ];
      return around.map((part) => part.replace(pattern, '…').replace(/\s+/g, ' ')).join('[planted]');
    });
  };
}
