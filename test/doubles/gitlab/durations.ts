import { Refused } from './routing.ts';

/** GitLab's hours of work: a day has 8, a week 5 days, a month 4 weeks (docs.gitlab.com/user/project/time_tracking). */
const SECONDS: Record<string, number> = { mo: 576_000, w: 144_000, d: 28_800, h: 3_600, m: 60, s: 1 };

/** Seconds of `1h 30m`, also below zero; a bare number counts hours. */
export function secondsOf(text: string): number {
  const parts = [...text.trim().matchAll(/(-?\d+(?:\.\d+)?)\s*(mo|w|d|h|m|s)?/g)];
  const plain = text.replaceAll(/-?\d+(?:\.\d+)?\s*(?:mo|w|d|h|m|s)?/g, '').trim();
  if (parts.length === 0 || plain !== '') throw new Refused(400, { error: 'duration is invalid' });
  const sign = text.trim().startsWith('-') ? -1 : 1;
  return sign * parts.reduce((sum, [, n, unit = 'h']) => sum + Math.abs(Number(n)) * (SECONDS[unit] ?? 0), 0);
}

/** As GitLab says it to people; null where there is none. */
export function human(seconds: number): string | null {
  if (seconds === 0) return null;
  let left = Math.abs(seconds);
  const words = Object.entries(SECONDS).flatMap(([unit, each]) => {
    const count = Math.floor(left / each);
    left -= count * each;
    return count > 0 ? [`${count}${unit}`] : [];
  });
  return `${seconds < 0 ? '-' : ''}${words.join(' ')}`;
}
