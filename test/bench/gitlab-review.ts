import { z } from 'zod';
import type { MergeRequest } from '../doubles/gitlab/model.ts';
import type { Double } from '../doubles/gitlab/server.ts';
import type { Connected } from './client.ts';
import { figure, type Figure } from './figure.ts';

const page = z.object({ sha: z.string(), diff: z.string(), next: z.string().optional() });

/** Pages of a diff after which nobody reads on. */
const MOST = 20;

/**
 * A review of three line comments as a model does it: the diff is read until there is no more, and commented on by the
 * lines that it shows. Counted are the calls, and what arrived at GitLab; then what is left where a review goes wrong.
 */
export async function reviews(
  double: Double,
  { call, must }: Pick<Connected, 'call' | 'must'>,
  project: string,
  mr: MergeRequest,
): Promise<Figure[]> {
  const about = { project, merge_request: mr.iid };
  const from = double.sent.length;
  let calls = 0;
  let diff = '';
  let sha = '';
  let next: string | undefined;
  do {
    calls++;
    const read = page.parse(await must('gitlab_diff', { ...about, ...(next && { next }) }));
    diff += read.diff;
    ({ sha, next } = read);
  } while (next !== undefined && calls < MOST);
  const lines = [...diff.matchAll(/^== (\S+)\n(?:[ -].*\n)*\+(\d+) /gm)].slice(0, 3);
  const comments = lines.map(([, file = '', line]) => ({ file, line: Number(line), text: `On ${line}` }));
  const before = mr.discussions.length;
  calls++;
  await must('gitlab_review', { ...about, sha, comments });
  const writes = double.sent.slice(from).filter((one) => one.method !== 'GET');
  const published = writes.filter((one) => one.path.endsWith('/bulk_publish')).length;
  const posted = mr.discussions.slice(before).flatMap((one) => one.notes);
  const where = posted.map(({ position }) => ({
    file: position?.['new_path'],
    line: position?.['new_line'],
  }));
  const right = JSON.stringify(where) === JSON.stringify(comments.map(({ file, line }) => ({ file, line })));
  const [half, tried] = await goneWrong(double, { call }, about, mr, comments);
  return [
    figure({
      name: 'gitlab.review',
      what: 'calls for a review of three line comments (the whole diff, then post)',
      unit: 'calls',
      // Comments that are not where they were asked for are no review.
      value: right && posted.length === 3 ? calls : Number.POSITIVE_INFINITY,
      bar: 2,
      details: {
        'comments posted': where,
        'requests that wrote': writes.map((one) => `${one.method} ${one.path}`),
      },
    }),
    figure({
      name: 'gitlab.review.published',
      what: 'reviews published by it, as GitLab saw them',
      unit: 'reviews',
      value: published,
      bar: 1,
      details: { 'drafts left': mr.drafts.length },
    }),
    figure({
      name: 'gitlab.review.half',
      what: 'comments or drafts left of reviews with a bad line, or that GitLab broke off at the second comment',
      unit: 'comments',
      value: half,
      bar: 0,
      details: tried,
    }),
  ];
}

/** Reviews that cannot be posted whole; how much of them is there afterwards. */
async function goneWrong(
  double: Double,
  { call }: Pick<Connected, 'call'>,
  about: Record<string, unknown>,
  mr: MergeRequest,
  comments: { file: string; line: number; text: string }[],
): Promise<[number, Record<string, unknown>]> {
  const bad = comments.map((one, at) => (at === 2 ? { ...one, line: 29_999 } : one));
  const second = { method: 'POST', path: /draft_notes$/, times: 1, after: 1 };
  const tries = [
    { name: 'a bad line', comments: bad },
    { name: '502', comments, fault: { ...second, status: 502 } },
    { name: '400', comments, fault: { ...second, status: 400 } },
    { name: 'cut', comments, fault: { ...second, cut: true } },
  ];
  const said: Record<string, unknown> = {};
  let left = 0;
  for (const one of tries) {
    if (one.fault) double.faults.push(one.fault);
    const [drafts, posted, from] = [mr.drafts.length, mr.discussions.length, double.sent.length];
    const { ok, text } = await call('gitlab_review', { ...about, comments: one.comments });
    // One that says it went well has posted what nobody can have wanted.
    left += mr.drafts.length - drafts + mr.discussions.length - posted + (ok ? 1 : 0);
    const writes = double.sent.slice(from).filter((each) => each.method === 'POST').length;
    said[one.name] = { said: text.slice(0, 200), 'POSTs that arrived': writes };
  }
  return [left, said];
}
