import type { ContentBlock, PromptMessage, ReadResourceResult } from '@modelcontextprotocol/client';
import type { Effect, JsonObject } from '../../kit/tool.ts';

/** A tool as the host knows it. */
export interface HostTool {
  /** Unique among all servers. */
  name: string;
  server: string;
  title: string;
  description: string;
  inputSchema: JsonObject;
  effect: Effect;
  /** Answers `{ status: 'running', job }` when it takes long; the host waits on. */
  long: boolean;
  /** Of a server that is not ours. */
  foreign: boolean;
  openWorld: boolean;
  /** Cases that it is looked for by, as a server of ours tells: names of a forged tool's tests. */
  examples?: string[];
}

/** A picture that a tool returned; `data` in base64. */
export interface Image {
  data: string;
  mimeType: string;
}

export interface CallResult {
  ok: boolean;
  text: string;
  /** All of its parts, as the server gave them. */
  content?: ContentBlock[];
  value?: JsonObject;
  images?: Image[];
  /** Others wrote text in it. */
  untrusted?: boolean;
}

export interface Progress {
  done: number;
  total?: number;
  note?: string;
}

/** A person's answer; `unavailable` where no person is. */
export type Answer = 'yes' | 'no' | 'unavailable';

/** One field of what a server asks a person to fill in. */
export interface FormField {
  name: string;
  title: string;
  description?: string;
  /** A list is of texts, chosen among the options. */
  type: 'string' | 'number' | 'integer' | 'boolean' | 'list';
  required: boolean;
  options?: { value: string; label?: string }[];
  /** What it is where nothing is said. */
  preset?: string | number | boolean | string[];
}

export interface CallOptions {
  signal: AbortSignal;
  onProgress?: (progress: Progress) => void;
  /** Asked what the server wants a person to decide on. Without it, nobody can. */
  ask?: (question: string) => Promise<Answer>;
  /** Asked for what a server wants filled in; undefined is a refusal. */
  fill?: (question: string, fields: FormField[]) => Promise<JsonObject | undefined>;
  /** Calls with the same are of one person, who can be asked for each of them. */
  asker?: object;
  /** Of the conversation's turn that it belongs to: the journal links them. */
  turn?: string;
}

/** What may be other than before: a server's tools, its resources and prompts, or its state. */
export type Change = 'tools' | 'offers' | 'state';

/** How a server is: `reason` says why it is degraded. */
export interface ServerState {
  name: string;
  state: 'starting' | 'ready' | 'degraded';
  reason?: string;
  tools: number;
}

export interface HostResource {
  server: string;
  /** A URI, or where `template` is true an RFC 6570 template of one. */
  uri: string;
  name: string;
  title?: string;
  description?: string;
  mimeType?: string;
  template: boolean;
}

/** What a resource holds: as text, and as the server gave it. */
export interface ResourceText {
  text: string;
  mimeType?: string;
  contents: ReadResourceResult['contents'];
}

/** A prompt with its arguments filled in: as text, and as the server gave it. */
export interface PromptText {
  text: string;
  messages: PromptMessage[];
}

export interface HostPrompt {
  server: string;
  name: string;
  description: string;
  arguments: { name: string; description?: string; required: boolean }[];
}
