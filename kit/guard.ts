import { hostHeaderValidation, originValidation } from '@modelcontextprotocol/node';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { refuse } from './body.ts';

type Guard = (req: IncomingMessage, res: ServerResponse) => boolean;

const HOST = String.raw`(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?`;
/** As browsers write them. `URL` reads a host out of much more (`evil.test@localhost`), which nobody means well with. */
const FORMS = {
  host: new RegExp(`^${HOST}$`, 'i'),
  origin: new RegExp(`^[a-z][a-z0-9+.-]*://${HOST}$`, 'i'),
};

/** Hosts and origins that are remembered: a name is allowed with any port. */
const MOST_NAMES = 100;

/**
 * Lets a request in whose Host and Origin are among `names`, and answers any other: a page of another site, or one whose
 * name was pointed at this machine, has no business here (MCP, Transports: DNS rebinding).
 */
export function hostGuard(names: string[]): Guard {
  const host = remembering('host', hostHeaderValidation(names));
  const origin = remembering('origin', originValidation(names));
  return (req, res) => {
    // RFC 9112, section 3.2: what stands in front may have looked at the other one.
    if (hosts(req.rawHeaders) > 1) {
      refuse(res, 400, 'More than one Host header. Send one.');
      return false;
    }
    return host(req, res) && origin(req, res);
  };
}

/** How many of the headers, names and values in turn, are Host. */
function hosts(raw: string[]): number {
  let count = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}

/** What was let through once need not be taken apart again: a client sends the same with every request. */
function remembering(header: 'host' | 'origin', check: Guard): Guard {
  const good = new Set<string | undefined>();
  return (req, res) => {
    const value = req.headers[header];
    if (good.has(value)) return true;
    if (value !== undefined && value !== '' && !FORMS[header].test(value)) {
      const name = header === 'host' ? 'Host' : 'Origin';
      refuse(res, 403, `Invalid ${name}: ${value.slice(0, 80)}`);
      return false;
    }
    if (!check(req, res)) return false;
    if (good.size >= MOST_NAMES) good.clear();
    good.add(value);
    return true;
  };
}
