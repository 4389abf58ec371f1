import { htmlText } from './html.ts';
import { isAnswer, ownText } from './quoted.ts';
import { contextScore } from './signals.ts';
import { subjectOf, wordScore, type Subject } from './words.ts';

/** What a message says, however it came. */
export interface MessageText {
  subject?: string;
  text?: string;
  html?: string;
}

/** One text that may be the code, with the reasons for and against. */
interface Candidate {
  code: string;
  score: number;
  reasons: string[];
}

type Extracted =
  | { kind: 'code'; code: string; reason: string; host?: string }
  | { kind: 'ambiguous'; candidates: Candidate[] }
  | { kind: 'none' };

const NONE: Extracted = { kind: 'none' };

/** Long texts have their code near the top; the rest is terms and addresses. */
const LONGEST = 20_000;
const LONGEST_SUBJECT = 500;
/** A text with more numbers than this is a report, and its code would not be found by a person either. */
const MOST_TOKENS = 150;
const SHORT = 300;
const LEAST_SCORE = 4;
/** Two that are closer than this are equally good: a person decides. */
const LEAST_LEAD = 1.5;

/**
 * The one-time code of a message. The origin-bound line (wicg.github.io/sms-one-time-codes) says it outright; else each
 * token that could be one is scored by the words around it. Refuses where two are as good.
 */
export function extractCode(message: MessageText): Extracted {
  const { text = '', html = '' } = message;
  const seen = html.trim() === '' ? NONE : extracted({ ...message, text: '' });
  if (seen.kind !== 'none') return seen;
  // What a person sees comes first; some show the code as a picture, and say it in the plain text, or of the picture, alone.
  const plain = text.trim() === '' && html.trim() !== '' ? NONE : extracted({ ...message, html: '' });
  return plain.kind !== 'none' || html.trim() === '' ? plain : extracted({ ...message, text: '' }, true);
}

function extracted(message: MessageText, pictures = false): Extracted {
  const body = bodyOf(message, pictures);
  const bound = originBound(body);
  if (bound) return { kind: 'code', reason: `a line bound to ${bound.host}`, ...bound };
  const subject = prepared((message.subject ?? '').slice(0, LONGEST_SUBJECT));
  const text = prepared(body);
  const about = subjectOf(`${subject}\n${text}`);
  const found = new Map<string, Candidate>();
  const placed: Placed[] = [];
  for (const [part, isSubject] of [
    [subject, true],
    [text, false],
  ] as const) {
    // An answer's subject has the code that was asked about.
    if (isSubject && isAnswer(part)) continue;
    for (const { code, at, end } of tokens(part)) {
      const one = scored(part, at, end, code, isSubject, about);
      if (!isSubject) placed.push({ at, end, shape: shapeOf(part.slice(at, end)), candidate: one });
      const known = found.get(code);
      if (!known) found.set(code, one);
      // Said twice, as codes often are (subject and body): the better place counts, and a little more.
      else if (one.score > 0 || known.score > 0) {
        const best = one.score > known.score ? one : known;
        found.set(code, { ...best, score: best.score + (Math.min(one.score, known.score) > 0 ? 1 : 0) });
      }
    }
  }
  // The only number that a short message about a code has.
  const [only, ...rest] = [...found.values()].filter(({ score }) => score > 0);
  if (only && rest.length === 0 && text.length < SHORT && about.codes && about.signingIn > about.business)
    found.set(only.code, { ...only, score: only.score + 1, reasons: [...only.reasons, 'the only one'] });
  const good = [...found.values()]
    .filter(({ score }) => score >= LEAST_SCORE)
    .sort((a, b) => b.score - a.score);
  const [first, second] = good;
  if (!first) return NONE;
  if (second && first.score - second.score < LEAST_LEAD)
    return { kind: 'ambiguous', candidates: good.slice(0, 4) };
  const list = alike(text, placed, first.code);
  if (list.length > 1) return { kind: 'ambiguous', candidates: list.slice(0, 4) };
  return { kind: 'code', code: first.code, reason: first.reasons.join(', ') };
}

interface Placed {
  at: number;
  end: number;
  /** `123-ABC` is `999-AAA`. */
  shape: string;
  candidate: Candidate;
}

const shapeOf = (token: string) =>
  token.replace(/[A-Za-z\d]/g, (c) =>
    /\d/.test(c) && token.match(/[A-Za-z]/) ? 'A' : /\d/.test(c) ? '9' : 'A',
  );

/** Others of the same look that stand in one list with the code: backup codes, or `482913 or 771204`. */
function alike(text: string, placed: Placed[], code: string): Candidate[] {
  const order = placed.toSorted((a, b) => a.at - b.at);
  const start = order.findIndex(({ candidate }) => candidate.code === code);
  if (start < 0) return [];
  const neighbours = (step: 1 | -1) => {
    const run: Placed[] = [];
    for (let i = start; ; i += step) {
      const [one, next] = [order[i], order[i + step]];
      if (!one || !next || next.shape !== one.shape) return run;
      const [left, right] = step > 0 ? [one, next] : [next, one];
      if (
        !/^[\s,;|/*.)\d-]{0,8}$|^,? (?:or|and|ou|et|oder|und|lub|albo|i|o|y) $/i.test(
          text.slice(left.end, right.at),
        )
      )
        return run;
      run.push(next);
    }
  };
  const codes = [...neighbours(-1).toReversed(), ...order.slice(start, start + 1), ...neighbours(1)];
  return [...new Map(codes.map(({ candidate }) => [candidate.code, candidate])).values()];
}

/** The sign-in link of a message: https, on the host given or below it. Several different ones are refused. */
export function extractLinks(message: MessageText, host: string): string[] {
  const source = `${message.text ?? ''}\n${(message.html ?? '').replaceAll('&amp;', '&')}`.slice(0, 500_000);
  const links = new Set<string>();
  for (const [found] of source.matchAll(/https:\/\/[^\s"'<>()\\]{4,2000}/g)) {
    const text = found.replace(/[.,;:!?\]]+$/, '');
    if (!URL.canParse(text)) continue;
    const url = new URL(text);
    const same = url.hostname === host || url.hostname.endsWith(`.${host}`);
    const token = /[A-Za-z0-9_-]{16,}/.test(url.pathname + url.search + url.hash);
    const signsIn = /log-?in|sign-?in|magic|verify|confirm|auth|token|session|otp/i.test(
      url.pathname + url.search,
    );
    const other = /unsubscri|privacy|terms|preferences|support|help|\.(?:png|jpe?g|gif|css|svg)$/i.test(text);
    if (same && token && signsIn && !other) links.add(url.href);
  }
  return [...links];
}

/** Latin letters lose their accents, which an SMS often leaves out; those of other scripts keep their marks. */
const unaccented = (text: string) =>
  text.replace(/[\u00c0-\u024f]/g, (c) => special[c] ?? c.normalize('NFD').slice(0, 1));
const special: Record<string, string> = { ł: 'l', Ł: 'L', ß: 'ss', ø: 'o', Ø: 'O', æ: 'ae', œ: 'oe' };

/** The message's own text, with the words of its pictures where they are asked for. */
function bodyOf({ text = '', html = '' }: MessageText, pictures: boolean): string {
  const plain = text.trim() === '' ? htmlText(html, pictures) : text;
  return ownText(plain.slice(0, LONGEST * 4).replace(/\r\n?/g, '\n')).slice(0, LONGEST);
}

function originBound(text: string): { host: string; code: string } | undefined {
  const last = text.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const [, host, code] =
    /^@([a-z0-9-]+(?:\.[a-z0-9-]+)+) #([^\s#%@]{3,32})(?: [@%][a-z0-9.-]+)?$/i.exec(last) ?? [];
  return host !== undefined && code !== undefined ? { host: host.toLowerCase(), code } : undefined;
}

/** Wide digits and letters become narrow ones; a wide comma or colon ends a number as a space does. */
const folded = (text: string) => text.replace(/[，：；、！？]/g, (mark) => `${mark} `).normalize('NFKC');

/** A code that is shown digit by digit, or half by half, each in a cell of its own. */
const joined = (text: string) =>
  text
    .replace(/(?<=^|\n)(?:[0-9A-Z] ?\n){3,9}[0-9A-Z](?= ?(?:\n|$))/g, (cells) => cells.replace(/\s/g, ''))
    .replace(/(?<=^|\n)\d{3}\n\d{3}(?=\n|$)/g, (cells) => cells.replace('\n', ' '));

/** Links and addresses are no codes. */
function prepared(text: string): string {
  return joined(unaccented(folded(text)))
    .replace(/\b(?:https?:\/\/|www\.)\S+/gi, ' ')
    .replace(/[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+/g, ' ')
    .replace(/[\u200b-\u200f\u2060\ufeff\u00ad]|\u034f/g, '')
    .replace(/[\u00a0\t]/g, ' ')
    .replace(/[‐‑‒–]/g, '-');
}

interface Token {
  code: string;
  at: number;
  end: number;
}

// Neighbours that make a token part of something longer; letters of CJK scripts stand next to codes.
const BEFORE = "(?<![A-Za-z0-9А-я_]|[A-Za-z0-9][-./,'’+]|(?<![A-Za-z])[A-Za-z]:|\\d:|[#$€£¥+!])";
const AFTER = "(?![A-Za-z0-9А-я_]|[-./:,'’][A-Za-z0-9]|[%€£$])";
const FORMS = [
  // 123 456, 123-456, 1234 5678, 12 34 56
  /\d{3}[ -]\d{3}(?: \d{3}(?! ?\d))?|\d{4}[ -]\d{4}|\d{2} \d{3}|\d{2}[ -]\d{2}[ -]\d{2}(?:[ -]\d{2})?|\d(?: \d){3,7}/,
  // G-123456: the letters are the sender's mark
  /[A-Z]{1,3}-\d{4,8}/,
  /\d{4,10}/,
  // WDJB-MJHT, 7KQ-4ZP
  /[A-Z0-9]{3,5}-[A-Z0-9]{3,5}/,
  /[A-Z0-9]{4,12}/,
  /[a-z0-9]{5,10}/,
].map(({ source }) => new RegExp(`${BEFORE}(?:${source})${AFTER}`, 'g'));

function* tokens(text: string): Generator<Token> {
  const taken: [number, number][] = [];
  for (const form of FORMS) {
    for (const match of text.matchAll(form)) {
      const [found] = match;
      const at = match.index;
      const end = at + found.length;
      if (taken.some(([from, to]) => at < to && from < end)) continue;
      const code = codeOf(found);
      if (code === undefined) continue;
      if (taken.length >= MOST_TOKENS) return;
      taken.push([at, end]);
      yield { code, at, end };
    }
  }
}

function codeOf(found: string): string | undefined {
  if (/^[\d -]+$/.test(found)) return found.replace(/[ -]/g, '');
  const marked = /^[A-Z]{1,3}-(\d{4,8})$/.exec(found)?.[1];
  if (marked !== undefined) return marked;
  const letters = /[A-Za-z]/.test(found);
  const digits = /\d/.test(found);
  if (letters && !digits) return /^[A-Z-]{5,9}$/.test(found) ? found : undefined;
  // One letter between digits or one digit behind a word is a size, a room, a name (B2B, IPV6).
  if (letters && !/^(?=(?:.*\d){2})|^[A-Z0-9-]{5,}$/.test(found)) return undefined;
  return found;
}

function scored(
  text: string,
  at: number,
  end: number,
  code: string,
  isSubject: boolean,
  about: Subject,
): Candidate {
  const reasons: string[] = [];
  let score = 0;
  const add = (points: number, why: string) => {
    if (points === 0) return;
    score += points;
    reasons.push(why);
  };
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  const lineEnd = text.indexOf('\n', end) < 0 ? text.length : text.indexOf('\n', end);
  const line = text.slice(lineStart, lineEnd);
  const alone =
    line.replace(/[\s*_=|.:。'"“”「」【】[\]<>-]/g, '') === text.slice(at, end).replace(/[\s-]/g, '');
  const words = wordScore(text, at, end, about);
  add(words.points, words.why);
  // Where a message about signing in shows one number by itself, that is what it was sent for.
  const shown = !isSubject && about.signingIn > 0 && about.business <= about.signingIn ? 2.5 : 1;
  if (alone) add(words.points > 2 ? 2 : shown, 'alone on its line');
  if (isSubject && words.points > 0) add(1, 'in the subject');
  if (/^\d+$/.test(code))
    add(code.length === 6 ? 1.5 : code.length <= 8 ? 0.5 : -1.5, `${code.length} digits`);
  else if (/^[A-Z]+$/.test(code))
    add(alone || /[:：] ?$/.test(text.slice(lineStart, at)) ? 0 : -4, 'letters only');
  else if (/^[a-z0-9]+$/.test(code))
    add(alone || /[:：] ?$/.test(text.slice(lineStart, at)) ? 0 : -2, 'small letters');
  else add(0.5, 'letters and digits');
  for (const { points, why } of contextScore(text, at, end, code)) add(points, why);
  if (about.signingIn >= 2 && !isSubject && text.slice(0, at).trim() === '') add(1, 'first in the message');
  // Many languages write thousands so.
  if (/^\d{2} \d{3}$/.test(text.slice(at, end)) && !/[:：]\s*$/.test(text.slice(lineStart, at)))
    add(-3, 'looks like an amount');
  // A receipt, a parcel, an appointment: their codes open no account.
  const goods = about.business - about.signingIn;
  if (goods > 0)
    add(about.signingIn === 0 ? -4 : goods > 2 ? -2.5 : -1, 'in a message about goods or visits');
  return { code, score, reasons };
}
