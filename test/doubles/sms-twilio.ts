import { createServer } from 'node:http';
import type { TestContext } from 'node:test';
import { listening } from '../support.ts';

/** Twilio's list of messages, as its API answers (twilio.com/docs/messaging/api/message-resource). */
export async function twilio(t: TestContext, sid: string, token: string) {
  const messages: object[] = [];
  let polls = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://twilio.test');
    const wanted = `Basic ${Buffer.from(`${sid}:${token}`).toString('base64')}`;
    response.setHeader('content-type', 'application/json');
    if (request.headers.authorization !== wanted) {
      response.writeHead(401).end(JSON.stringify({ code: 20003, message: 'Authenticate', status: 401 }));
      return;
    }
    if (url.pathname !== `/2010-04-01/Accounts/${sid}/Messages.json`) {
      response.writeHead(404).end(JSON.stringify({ code: 20404, status: 404 }));
      return;
    }
    polls++;
    response.end(JSON.stringify({ messages, page: 0, page_size: 20, next_page_uri: null }));
  });
  const port = await listening(t, server);
  return {
    url: `http://127.0.0.1:${port}`,
    polls: () => polls,
    arrive(from: string, body: string, direction = 'inbound') {
      // Newest first; dates are RFC 2822 with whole seconds.
      const date_sent = new Date().toUTCString();
      messages.unshift({
        sid: `SM${crypto.randomUUID().replaceAll('-', '')}`,
        from,
        body,
        direction,
        date_sent,
      });
    },
  };
}
