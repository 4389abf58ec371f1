import { z } from 'zod';

/** Models give numbers where a text is asked for: both are taken, and the schema stays small. */
const spelled = (value: unknown) => (typeof value === 'number' ? String(value) : value);
const text = z.preprocess(spelled, z.string().max(4000));

// Descriptions are tokens in every conversation: the server's instructions say what these take.
export const project = text.describe('group/project, id or URL');
export const issue = text.describe('number (with project) or URL');
export const mergeRequest = text.describe('number (with project) or URL');
export const idOrUrl = text;
export const next = z.preprocess(spelled, z.string().optional());
/** `10-20`, or one number. */
export const lines = next;
export const names = z.array(z.string()).optional();

/** An answer's object whose fields say themselves what they are. */
export const record = z.looseObject({});
export const records = z.array(record);

/** What writing tools answer: what it is now, and where. */
export const done = z.looseObject({ url: z.string().optional() });
