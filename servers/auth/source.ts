import type { MessageText } from './extract.ts';

/** A message that arrived, by mail or SMS. */
export interface Message extends MessageText {
  /** Unique in its source, so that none is looked at twice. */
  id: string;
  /** The sender's address as it is, or an SMS's number or sender name. */
  from: string;
  arrived: number;
}

export interface Listening {
  close: () => Promise<void>;
}

export interface Ears {
  /** Only messages that arrived since (epoch ms) are told. */
  since: number;
  /** False for what need not be fetched whole. */
  wanted: (message: Pick<Message, 'from' | 'subject'>) => boolean;
  heard: (message: Message) => void;
  /** It ended for good; the message is for the model. */
  failed: (error: Error) => void;
  signal: AbortSignal;
}

/** Under which its last use is kept; no secret has such a name. */
export const sourceKey = (name: string) => `from~${name}`;

/** A place where codes arrive. */
export interface CodeSource {
  name: string;
  kind: 'mail' | 'sms';
  /** Resolves when nothing that arrives from now on is missed: before that no code may be asked for. */
  listen: (ears: Ears) => Promise<Listening>;
  /** One try to reach it, for status and doctor. Throws with the reason. */
  check: (signal: AbortSignal) => Promise<string>;
}

/**
 * Whether the sender is the one asked for: an exact address, or a domain and those below it. Never a part of a text:
 * `noreply@github.com.evil.test` is not of `github.com`, and a display name counts for nothing.
 */
export function isFrom(sender: string, wanted: string): boolean {
  const one = sender.trim().toLowerCase();
  const asked = wanted.trim().toLowerCase().replace(/^@/, '');
  if (one === asked) return true;
  if (asked.includes('@')) return false;
  const at = one.lastIndexOf('@');
  if (at >= 0) {
    const domain = one.slice(at + 1);
    return asked.includes('.') && (domain === asked || domain.endsWith(`.${asked}`));
  }
  // Numbers are written in many ways; names are not.
  const digits = (text: string) => text.replace(/[\s()./-]/g, '');
  return /^\+?\d{3,15}$/.test(digits(one)) && digits(one) === digits(asked);
}
