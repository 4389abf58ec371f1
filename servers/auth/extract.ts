import { htmlText } from './html.ts';
import { contextScore, speaksOfCodes, wordScore } from './signals.ts';

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

/** Long texts have their code near the top; the rest is terms and addresses. */
const LONGEST = 20_000;
const LONGEST_SUBJECT = 500;
/** A text with more numbers than this is a report, and its code would not be found by a person either. */
const MOST_TOKENS = 150;
const LEAST_SCORE = 4;
/** Two that are closer than this are equally good: a person decides. */
const LEAST_LEAD = 1.5;

/**
 * The one-time code of a message. The origin-bound line (wicg.github.io/sms-one-time-codes) says it outright; else each
 * token that could be one is scored by the words around it. Refuses where two are as good.
 */
export function extractCode(message: MessageText): Extracted {
  const body = bodyOf(message);
  const bound = originBound(body);
  if (bound) return { kind: 'code', reason: `a line bound to ${bound.host}`, ...bound };
  const subject = prepared((message.subject ?? '').slice(0, LONGEST_SUBJECT));
  const text = prepared(body);
  const about = speaksOfCodes(subject) || speaksOfCodes(text);
  const found = new Map<string, Candidate>();
  for (const [part, isSubject] of [
    [subject, true],
    [text, false],
  ] as const) {
    for (const { code, at, end } of tokens(part)) {
      const one = scored(part, at, end, code, isSubject, about);
      const known = found.get(code);
      if (!known) found.set(code, one);
      // Said twice, as codes often are (subject and body): the better place counts, and a little more.
      else if (one.score > 0 || known.score > 0) {
        const best = one.score > known.score ? one : known;
        found.set(code, { ...best, score: best.score + (Math.min(one.score, known.score) > 0 ? 1 : 0) });
      }
    }
  }
  const good = [...found.values()]
    .filter(({ score }) => score >= LEAST_SCORE)
    .sort((a, b) => b.score - a.score);
  const [first, second] = good;
  if (!first) return { kind: 'none' };
  if (second && first.score - second.score < LEAST_LEAD)
    return { kind: 'ambiguous', candidates: good.slice(0, 4) };
  return { kind: 'code', code: first.code, reason: first.reasons.join(', ') };
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

/** The message's text, without what was forwarded or quoted: an old code in it is none. */
function bodyOf({ text = '', html = '' }: MessageText): string {
  const plain = text.trim() === '' ? htmlText(html) : text;
  const whole = plain
    .slice(0, LONGEST * 4)
    .normalize('NFKC')
    .replace(/\r\n?/g, '\n');
  const quoted =
    /^(?:-{2,} ?(?:original|forwarded|ursprüngliche|weitergeleitete|message (?:d'origine|transféré)|mensaje (?:original|reenviado)|wiadomość|przekazana|転送|转发)[^\n]*|begin forwarded message:|_{20,}|(?:on|le|am|el|w dniu)\b[^\n]{5,120}(?:wrote|écrit|schrieb|escribió|pisze|napisał\(?a?\)?) ?:)\s*$/im.exec(
      whole,
    );
  const own = quoted ? whole.slice(0, quoted.index) : whole;
  return own
    .split('\n')
    .filter((line) => !line.startsWith('>'))
    .join('\n')
    .slice(0, LONGEST);
}

function originBound(text: string): { host: string; code: string } | undefined {
  const last = text.trimEnd().split('\n').at(-1)?.trim() ?? '';
  const [, host, code] =
    /^@([a-z0-9-]+(?:\.[a-z0-9-]+)+) #([^\s#%@]{3,32})(?: [@%][a-z0-9.-]+)?$/i.exec(last) ?? [];
  return host !== undefined && code !== undefined ? { host: host.toLowerCase(), code } : undefined;
}

/** Wide digits and letters become narrow ones; a wide comma or colon ends a number as a space does. */
const folded = (text: string) => text.replace(/[，：；、]/g, (mark) => `${mark} `).normalize('NFKC');

/** Same length or shorter, so that distances keep their meaning: links and addresses are no codes. */
function prepared(text: string): string {
  return folded(text)
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
const BEFORE = "(?<![A-Za-z0-9À-žА-я_]|[A-Za-z0-9][-./:,'’+]|[#$€£¥+])";
const AFTER = "(?![A-Za-z0-9À-žА-я_]|[-./:,'’][A-Za-z0-9]|[%€£$])";
const FORMS = [
  // 123 456, 123-456, 1234 5678, 12 34 56
  /\d{3}[ -]\d{3}|\d{4}[ -]\d{4}|\d{2}[ -]\d{2}[ -]\d{2}(?:[ -]\d{2})?|\d(?: \d){3,7}/,
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
  about: boolean,
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
  if (alone) add(words.points > 0 ? 2 : 1, 'alone on its line');
  if (isSubject && words.points > 0) add(1, 'in the subject');
  if (/^\d+$/.test(code))
    add(code.length === 6 ? 1.5 : code.length <= 8 ? 0.5 : -1.5, `${code.length} digits`);
  else if (/^[A-Z]+$/.test(code))
    add(alone || /[:：] ?$/.test(text.slice(lineStart, at)) ? 0 : -4, 'letters only');
  else if (/^[a-z0-9]+$/.test(code))
    add(alone || /[:：] ?$/.test(text.slice(lineStart, at)) ? 0 : -2, 'small letters');
  else add(0.5, 'letters and digits');
  for (const { points, why } of contextScore(text, at, end, code)) add(points, why);
  return { code, score, reasons };
}
