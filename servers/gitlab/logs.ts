import { GitLabError } from './errors.ts';
import type { Api } from './client.ts';
import { sweeper } from './garbage.ts';
import { logSummary } from './log-summary.ts';

/** Of a long log, the end that is looked at for errors. */
const TAIL = 256 * 1024;

/** Longer ones are not read through where GitLab can tell their end by itself. */
const LONG = 8 * 1024 * 1024;

/** The last part of a job's log, however long it is: a range where one is served, what GitLab tells of a long one, else read through. */
export async function logTail(api: Api, project: string, job: number, bytes = TAIL): Promise<string> {
  try {
    const { status, headers, body } = await api.stream(`projects/${project}/jobs/${job}/trace`, -bytes);
    if (status === 416) return drop(body);
    if (Number(headers['content-length']) > LONG) {
      const end = await logSummary(api, project, job);
      if (end !== undefined) {
        await drop(body);
        return end;
      }
    }
    return await lastOf(body, bytes);
  } catch (error) {
    // Erased, or never written: the job did not start.
    if (error instanceof GitLabError && error.status === 404) return '';
    throw error;
  }
}

/** The end of a stream, in one buffer that is written over: hundreds of megabytes make no garbage of ours. */
async function lastOf(body: AsyncIterable<Uint8Array>, bytes: number): Promise<string> {
  const kept = Buffer.allocUnsafe(bytes * 2);
  let size = 0;
  let whole = true;
  const sweep = sweeper();
  for await (const chunk of body) {
    const part = chunk.subarray(-bytes);
    if (size + part.byteLength > kept.byteLength) {
      kept.copyWithin(0, size - bytes, size);
      size = bytes;
    }
    whole &&= part.byteLength === chunk.byteLength && size + part.byteLength <= bytes;
    kept.set(part, size);
    size += part.byteLength;
    sweep(chunk.byteLength);
  }
  return decode(kept.subarray(Math.max(0, size - bytes), size), !whole);
}

interface Part {
  text: string;
  /** The byte that the next part begins with. */
  next: number;
}

/** A part of a job's log from a byte on; ends with a whole line where it can. */
export async function logPart(
  api: Api,
  project: string,
  job: number,
  from: number,
  bytes: number,
): Promise<Part> {
  const { status, body } = await api.stream(`projects/${project}/jobs/${job}/trace`, from);
  if (status === 416) return { text: await drop(body), next: from };
  let skip = status === 206 ? 0 : from;
  const parts: Uint8Array[] = [];
  let size = 0;
  const sweep = sweeper();
  for await (const part of body) {
    sweep(part.byteLength);
    const rest = skip >= part.byteLength ? undefined : part.subarray(skip);
    skip = Math.max(0, skip - part.byteLength);
    if (!rest) continue;
    parts.push(rest);
    size += rest.byteLength;
    if (size >= bytes) break;
  }
  const all = Buffer.concat(parts).subarray(0, bytes);
  const lastLine = all.lastIndexOf(10) + 1;
  const kept = size >= bytes && lastLine > 0 ? all.subarray(0, lastLine) : all;
  return { text: decode(kept, false), next: from + kept.length };
}

/** Lines of a log, counted from 1; reads no further than it must. */
export async function logLines(
  api: Api,
  project: string,
  job: number,
  from: number,
  to: number,
): Promise<string> {
  const { body } = await api.stream(`projects/${project}/jobs/${job}/trace`, 0);
  const decoder = new TextDecoder();
  const kept: string[] = [];
  let line = 1;
  let open = '';
  let size = 0;
  const sweep = sweeper();
  for await (const part of body) {
    sweep(part.byteLength);
    const lines = (open + decoder.decode(part, { stream: true })).split('\n');
    open = (lines.pop() ?? '').slice(-100_000);
    for (const text of lines) {
      if (line >= from && line <= to) kept.push(text);
      size += line >= from ? text.length : 0;
      line++;
    }
    if (line > to || size > TAIL) return kept.join('\n');
  }
  if (line >= from && line <= to && open) kept.push(open);
  return kept.join('\n');
}

async function drop(body: AsyncIterable<Uint8Array>): Promise<string> {
  for await (const _part of body) break;
  return '';
}

/** UTF-8; a character or line that was cut through at the beginning goes. */
function decode(bytes: Uint8Array, wasCut: boolean): string {
  const text = new TextDecoder().decode(bytes);
  return wasCut ? text.slice(text.indexOf('\n') + 1) : text;
}
