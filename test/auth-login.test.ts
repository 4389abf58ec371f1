import assert from 'node:assert/strict';
import { createHmac, randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import type { HostTool, Toolbox } from '../host/mcp/connections.ts';
import { turn, type TurnEvent } from '../host/turn/loop.ts';
import { redeem } from '../kit/handles.ts';
import type { ChatMessage, ChatRequest, Model } from '../kit/model.ts';
import { scriptedModel, type ScriptedAnswer } from '../kit/scripted.ts';
import { otp, otpSettings } from '../kit/secret-otp.ts';
import { ToolError, toolFor, type JsonObject, type ServerDefinition, type ToolContext } from '../kit/tool.ts';
import { noJournal } from '../kit/journal.ts';
import { authHome, keep, openAuthServer } from './auth-kit.ts';
import { dovecot, freePort, type Mailbox } from './doubles/mail-dovecot.ts';
import { listening, missing } from './support.ts';

const settings = otpSettings.parse({ type: 'totp', secret: 'JBSWY3DPEHPK3PXP', period: 600 });
const password = 'kzcanary-site-password-1';

/** Sends a code the way that the site was asked to. */
type Send = (code: string) => Promise<void> | void;

/** A site with a second factor: password first, then the code that it sent or that the app shows. */
async function site(t: TestContext, senders: Record<string, Send>) {
  const sent: string[] = [];
  let signedIn = 0;
  const server = createServer((request, response) => {
    void (async () => {
      const form = new URLSearchParams(await bodyOf(request));
      const method = form.get('method') ?? '';
      if (request.url === '/login') {
        if (form.get('password') !== password) return response.writeHead(401).end('wrong password');
        if (method === 'totp') sent.push(await otp(settings, Math.floor(Date.now() / 600_000)));
        else {
          sent.push(String(randomInt(100_000, 1_000_000)));
          await senders[method]?.(sent.at(-1) ?? '');
        }
        return response.end('code sent');
      }
      const right = form.get('code') === sent.at(-1);
      if (right) signedIn++;
      return response.writeHead(right ? 200 : 403).end(right ? 'welcome' : 'wrong code');
    })();
  });
  const port = await listening(t, server);
  return { origin: `http://127.0.0.1:${port}`, sent, signedIn: () => signedIn };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** A sibling server whose fields take secrets for this site: what a browser or chat server does with a login form. */
function siblingOf(home: string, origin: string): ServerDefinition<object, object> {
  const tool = toolFor<object>();
  const post = async (path: string, fields: Record<string, string>) => {
    const answer = await fetch(`${origin}${path}`, { method: 'POST', body: new URLSearchParams(fields) });
    const text = await answer.text();
    if (!answer.ok) throw new ToolError(`The site said: ${text}. Try again.`);
    return { page: text };
  };
  return {
    name: 'site',
    title: 'Site',
    instructions: '',
    config: z.object({}),
    open: async () => ({}),
    close: async () => {},
    tools: [
      tool({
        name: 'site_login',
        title: 'Log in',
        description: 'Types user and password into the login page.',
        effect: 'read',
        input: z.object({ password: z.string(), method: z.string() }),
        output: z.object({ page: z.string() }),
        run: async ({ password, method }) =>
          post('/login', { method, password: await redeem(password, { purpose: 'password', origin }, home) }),
      }),
      tool({
        name: 'site_code',
        title: 'Enter the code',
        description: 'Types a two-factor code into the login page.',
        effect: 'read',
        input: z.object({ code: z.string() }),
        output: z.object({ page: z.string() }),
        run: async ({ code }) =>
          post('/code', { code: await redeem(code, { purpose: 'two-factor', origin }, home) }),
      }),
    ],
    resources: [],
    prompts: [],
  };
}

/** The script's `$handle` and `$ticket` are what the last results held: all that a model does with them is copy. */
function copying(model: Model & { asked: ChatRequest[] }): Model {
  return {
    ...model,
    async *chat(request, signal) {
      const results = request.messages.map(({ content }) => content).join('\n');
      const value = (name: string) =>
        [...results.matchAll(new RegExp(`"${name}":"([^"]+)"`, 'g'))].at(-1)?.[1] ?? '';
      for await (const event of model.chat(request, signal)) {
        if (event.type !== 'tool_call') yield event;
        else {
          const text = JSON.stringify(event.arguments).replace(/\$(handle|ticket)/g, (_, name: string) =>
            value(name),
          );
          yield { ...event, arguments: z.record(z.string(), z.unknown()).parse(JSON.parse(text)) };
        }
      }
    },
  };
}

test(
  'a scripted model signs in with app, SMS and mail; no code or password is in what it or the journal saw',
  { timeout: 60_000 },
  async (t) => {
    const port = await freePort();
    const box: Mailbox | undefined = missing('KUZNIA_DOVECOT') ? undefined : await dovecot(t);
    const key = 'kzcanary-webhook-key-1';
    const page = await site(t, {
      async sms(code) {
        const at = String(Math.floor(Date.now() / 1000));
        const body = JSON.stringify({ from: 'ACME', text: `Your ACME code is ${code}` });
        const signature = `sha256=${createHmac('sha256', key).update(`${at}.${body}`).digest('hex')}`;
        const headers = { 'x-timestamp': at, 'x-signature': signature };
        assert.equal(
          (await fetch(`http://127.0.0.1:${port}/sms/phone`, { method: 'POST', body, headers })).status,
          200,
        );
      },
      mail: (code) => box?.deliver({ text: `Your verification code is ${code}.` }),
    });
    const home = authHome(t, {
      listen: `127.0.0.1:${port}`,
      check_clock: false,
      sms: { phone: { type: 'webhook', secret: 'secret://key' } },
      ...(box && {
        mailboxes: {
          work: { host: box.host, port: box.port, ca: box.ca, user: box.user, password: 'secret://mail' },
        },
      }),
    });
    await keep(home, {
      key: { value: key },
      site: { value: password, origins: [page.origin] },
      app: { kind: 'otp', value: JSON.stringify(settings), origins: [page.origin] },
      ...(box && { mail: { value: box.password } }),
    });
    const auth = await openAuthServer(t, home);
    const sibling = siblingOf(home, page.origin);
    const context: ToolContext = {
      signal: new AbortController().signal,
      journal: noJournal,
      progress: () => undefined,
    };
    const listed: HostTool[] = (await auth.tools()).map((tool) => hostTool(tool.name, tool.inputSchema));
    for (const tool of sibling.tools) listed.push(hostTool(tool.name, tool.inputSchema()));
    const toolbox: Toolbox = {
      tools: async () => listed,
      async call(name, args) {
        const own = sibling.tools.find((tool) => tool.name === name);
        if (!own) return auth.call(name, args);
        try {
          const value = await own.run(args, {}, context);
          return { ok: true, text: JSON.stringify(value), value };
        } catch (error) {
          return { ok: false, text: error instanceof Error ? error.message : 'failed' };
        }
      },
    };
    const call = (name: string, args: JsonObject) => ({ calls: [{ name, arguments: args }] });
    const typed = call('site_code', { code: '$handle' });
    const scripts: Record<string, ScriptedAnswer[]> = {
      totp: [
        { last: ['Sign in'], ...call('site_login', { password: 'secret://site', method: 'totp' }) },
        { last: ['code sent'], ...call('auth_totp_code', { origin: page.origin }) },
        { last: ['"handle"'], ...typed },
      ],
    };
    for (const [method, from] of Object.entries({
      sms: 'ACME',
      ...(box && { mail: 'noreply@acme.example' }),
    })) {
      const source = method === 'sms' ? 'phone' : 'work';
      scripts[method] = [
        { last: ['Sign in'], ...call('auth_expect_code', { origin: page.origin, from, source }) },
        { last: ['"ticket"'], ...call('site_login', { password: 'secret://site', method }) },
        { last: ['code sent'], ...call('auth_wait_code', { ticket: '$ticket' }) },
        { last: ['"handle"'], ...typed },
      ];
    }
    const events: TurnEvent[] = [];
    const asked: ChatRequest[] = [];
    for (const [method, answers] of Object.entries(scripts)) {
      const model = scriptedModel({ answers: [...answers, { last: ['welcome'], answer: 'Signed in.' }] });
      const messages: ChatMessage[] = [{ role: 'user', content: `Sign in with ${method}.` }];
      const info = { name: 'scripted', capabilities: ['completion', 'tools'], contextLength: 32_768 };
      const options = {
        model: copying(model),
        info,
        connections: toolbox,
        messages,
        signal: context.signal,
        allowed: [],
        approve: async () => 'yes' as const,
      };
      for await (const event of turn(options)) events.push(event);
      const end = events.at(-1);
      assert.ok(
        end?.type === 'end' && end.answer === 'Signed in.',
        JSON.stringify(events.slice(-6)).slice(0, 1500),
      );
      asked.push(...model.asked);
    }
    assert.equal(page.signedIn(), Object.keys(scripts).length);
    await auth.close();
    // Whatever was written, but for what is sealed and its key.
    const written = readdirSync(home, { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() && !/^(?:store\.age|identity\.txt)/.test(entry.name)
        ? [entry.name, readFileSync(join(entry.parentPath, entry.name), 'latin1')]
        : [],
    );
    assert.ok(written.join('').includes('auth_totp_code'));
    const seen = JSON.stringify({ events, asked, written });
    for (const secret of [...page.sent, password, key, settings.secret, ...(box ? [box.password] : [])]) {
      for (const form of [
        secret,
        encodeURIComponent(secret),
        ...['', 'a', 'ab'].map((before) =>
          // The characters that are made of its bits alone.
          Buffer.from(before + secret)
            .toString('base64')
            .slice(Math.ceil((before.length * 8) / 6), Math.floor(((before.length + secret.length) * 8) / 6)),
        ),
        Buffer.from(secret).toString('hex'),
        ...(secret.length === 6 ? [`${secret.slice(0, 3)} ${secret.slice(3)}`] : []),
      ]) {
        assert.ok(!seen.includes(form), `${form} was seen`);
      }
    }
  },
);

function hostTool(name: string, inputSchema: JsonObject): HostTool {
  const rest = { server: 'test', title: name, description: name, effect: 'read' as const };
  return { name, inputSchema, ...rest, long: false, foreign: false, openWorld: false };
}
